variable "name" {
  description = "Name of the API; its access log is /aws/api-gateway/<name>."
  type        = string
}

variable "contract" {
  description = "The OpenAPI 3.0 document, decoded. Its security scheme is `oauth2`."
  type        = any
}

variable "function" {
  description = "The Lambda alias that answers every operation."
  type        = object({ name = string, alias = string, invoke_arn = string })
}

variable "user_pool" {
  description = "The Cognito user pool whose access tokens are accepted."
  type        = object({ arn = string })
}

variable "throttles" {
  description = "Requests per second over all callers, and how many may come at once: for the stage, and for single routes (\"GET /movies\", as in the contract) where they differ."
  type = object({
    stage  = object({ requests_per_second = number, burst_requests = number })
    routes = map(object({ requests_per_second = number, burst_requests = number }))
  })
  validation {
    condition     = alltrue([for route in keys(var.throttles.routes) : can(var.contract.paths[split(" ", route)[1]][lower(split(" ", route)[0])])])
    error_message = "A throttled route is not in the contract; write it as there: \"GET /movies\"."
  }
}

variable "cors_origins" {
  description = "Origins whose pages may call from a browser; none, and no OPTIONS route exists."
  type        = list(string)
}

variable "log_retention_days" {
  description = "Days an access log line is kept."
  type        = number
}
