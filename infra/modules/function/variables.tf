variable "name" {
  description = "Name of the function, of its role and, behind /aws/lambda/, of its log group."
  type        = string
}

variable "region" {
  description = "Region of the function."
  type        = string
}

variable "account_id" {
  description = "Account of the function."
  type        = string
}

variable "package" {
  description = "Path of the zip that holds `bootstrap`; signed: where the same lies signed, and by which config Lambda checks it. Null, and Lambda takes the zip as it is."
  type = object({
    path   = string
    signed = optional(object({ config_arn = string, bucket = string, key = string }))
  })
}

variable "layers" {
  description = "ARNs of the layers' versions that the function is given."
  type        = list(string)
}

variable "network" {
  description = "Where the function stands: what it may reach is the security groups' business. Null, and it stands in Lambda's own network, from which it reaches the whole internet."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  nullable    = true
}

variable "keys" {
  description = "KMS keys: of the environment variables, and of the log; the log's has to admit CloudWatch Logs."
  type        = object({ environment = object({ arn = string }), logs = object({ arn = string }) })
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds every role of the account; null where there is none."
  type        = string
  nullable    = true
}

variable "architecture" {
  description = "What the package was built for: arm64 or x86_64."
  type        = string
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Lambda runs arm64 and x86_64."
  }
}

variable "memory_mb" {
  description = "Memory; the share of CPU grows with it."
  type        = number
}

variable "timeout_seconds" {
  description = "After this Lambda ends the call. API Gateway waits 29 seconds at the most."
  type        = number
  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 29
    error_message = "timeout_seconds is 1 to 29: API Gateway waits no longer, and the call would go on for nobody."
  }
}

variable "reserved_concurrency" {
  description = "Calls that run at a time at the most, taken from the account's pool; null shares the pool without a limit. Lambda refuses to leave less than 100 unreserved: a young account, with a pool of 10 or 50, has to ask for a higher quota first."
  type        = number
  nullable    = true
}

variable "log_level" {
  description = "Lowest level of the function's own lines that is kept. Its metrics are lines at INFO."
  type        = string
  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO"], var.log_level)
    error_message = "log_level is TRACE, DEBUG or INFO: above that Lambda drops the lines that are the metrics, and alarms and dashboard go blind."
  }
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
  description = "What the code may do, by statement id: exact actions on exact resources, under a condition where there is one."
  type = map(object({
    actions   = list(string)
    resources = list(string)
    condition = optional(map(map(string)))
  }))
  validation {
    condition     = !strcontains(jsonencode([for statement in var.statements : statement.actions]), "*") && !contains(flatten([for statement in var.statements : statement.resources]), "*")
    error_message = "Name every action and every resource: a wildcard grants what the code does not do."
  }
}

variable "trace_actions" {
  description = "X-Ray's calls that are made in the function's name. By itself Lambda makes the first two."
  type        = list(string)
  default     = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
  validation {
    condition     = alltrue([for action in var.trace_actions : startswith(action, "xray:Put") && !strcontains(action, "*")])
    error_message = "Name X-Ray's writes one by one, like xray:PutTraceSegments."
  }
}
