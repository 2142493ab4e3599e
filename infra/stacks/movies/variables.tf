variable "environment" {
  description = "Where the stack is deployed. `emulated` is null in AWS, or says where the local emulator listens: its API and token endpoints have other URLs."
  type = object({
    name       = string
    region     = string
    account_id = string
    emulated   = optional(object({ endpoint = string }))
  })
}

variable "function" {
  description = "What the function is given; reserved_concurrency null shares the account's pool."
  type = object({
    architecture         = string
    memory_mb            = number
    timeout_seconds      = number
    reserved_concurrency = optional(number)
    log_level            = string
  })
}

variable "table" {
  description = "recovery_days: how far back the table can be restored to any second; 0 is off."
  type        = object({ recovery_days = number })
}

variable "consumers" {
  description = "Who may call, by name, and with which of the contract's scopes."
  type        = map(object({ scopes = list(string) }))
}

variable "throttles" {
  description = "Requests over all callers: for the stage, and for single routes of the contract (\"GET /movies\") where they differ."
  type = object({
    stage  = object({ requests_per_second = number, burst_requests = number })
    routes = map(object({ requests_per_second = number, burst_requests = number }))
  })
}

variable "waf" {
  description = "requests_per_source_per_minute: above it an address is refused."
  type        = object({ requests_per_source_per_minute = number })
}

variable "cors_origins" {
  description = "Origins whose pages may call from a browser."
  type        = list(string)
}

variable "deletion_protection" {
  description = "AWS refuses to delete the table and the user pool; to destroy the stack, apply false first."
  type        = bool
}

variable "log_retention_days" {
  description = "Days a log line is kept."
  type        = number
}
