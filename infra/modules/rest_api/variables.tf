variable "name" {
  description = "Name of the API; its access log is /aws/api-gateway/<name>."
  type        = string
}

variable "contract" {
  description = <<-EOT
    The OpenAPI 3.0 document, decoded. Its security scheme is `oauth2`; components.examples has a problem document for each
    error code of the gateway.
  EOT
  type        = any
}

variable "documentation_url" {
  description = "Where the API reference is; a 401 links to it."
  type        = string
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
  description = "Days a line of the two logs is kept."
  type        = number
}

variable "key" {
  description = "The KMS key of the logs; its policy has to admit CloudWatch Logs."
  type        = object({ arn = string })
}

variable "domain" {
  description = "The API's own name and its certificate in ACM; with it API Gateway's name is off. truststore: an object in S3 with the authorities whose client certificates are asked for (mutual TLS); null asks for none."
  type = object({
    name            = string
    certificate_arn = string
    truststore      = optional(object({ uri = string, version = string }))
  })
  nullable = true
  default  = null
}

variable "allowed_addresses" {
  description = "Address ranges from which alone one may call; empty is from everywhere."
  type        = list(string)
  default     = []
}

variable "client_certificate" {
  description = "By which the gateway proves itself to a backend that asks; null, and it does not."
  type        = object({ id = string })
  nullable    = true
}
