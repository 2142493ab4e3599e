variable "name" {
  description = "Name of the web ACL; its rules' metrics begin with it."
  type        = string
}

variable "stage_arn" {
  description = "ARN of the API Gateway stage to protect."
  type        = string
}

variable "requests_per_source_per_minute" {
  description = "Requests from one address within a minute, above which it is refused with 429 until it slows down."
  type        = number
  validation {
    condition     = var.requests_per_source_per_minute >= 10 && var.requests_per_source_per_minute <= 2000000000
    error_message = "WAF takes 10 to 2,000,000,000 requests."
  }
}
