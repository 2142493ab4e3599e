variable "name" {
  description = "Name of the function, of its role and, behind /aws/lambda/, of its log group."
  type        = string
}

variable "package" {
  description = "Path of the zip that holds `bootstrap`."
  type        = string
}

variable "architecture" {
  description = "What the package was built for: arm64 or x86_64."
  type        = string
}

variable "memory_mb" {
  description = "Memory; the share of CPU grows with it."
  type        = number
}

variable "timeout_seconds" {
  description = "After this Lambda ends the call. API Gateway waits 29 seconds at the most."
  type        = number
}

variable "reserved_concurrency" {
  description = "Calls that run at a time at the most, taken from the account's pool; null shares the pool without a limit."
  type        = number
  nullable    = true
}

variable "log_level" {
  description = "Lowest level of the function's own lines that is kept."
  type        = string
}

variable "log_retention_days" {
  description = "Days a log line is kept."
  type        = number
}

variable "environment_variables" {
  description = "The function's environment. No secrets: whoever may read the function's configuration reads them."
  type        = map(string)
}

variable "statements" {
  description = "What the code may do, by statement id: exact actions on exact resources."
  type        = map(object({ actions = list(string), resources = list(string) }))
  validation {
    condition     = !strcontains(jsonencode([for statement in var.statements : statement.actions]), "*") && !contains(flatten([for statement in var.statements : statement.resources]), "*")
    error_message = "Name every action and every resource: a wildcard grants what the code does not do."
  }
}
