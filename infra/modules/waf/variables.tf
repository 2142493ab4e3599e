variable "name" {
  description = "Name of the web ACL; its rules' metrics begin with it."
  type        = string
}

variable "stage_arn" {
  description = "ARN of the API Gateway stage to protect."
  type        = string
}

variable "requests_per_minute" {
  description = "Requests from one address, and with one token from wherever, above which they are refused with 429 until there are fewer."
  type        = object({ source = number, token = number })
  validation {
    condition     = alltrue([for limit in values(var.requests_per_minute) : limit >= 10 && limit <= 2000000000])
    error_message = "WAF takes 10 to 2,000,000,000 requests."
  }
}

variable "blocked_addresses" {
  description = "Address ranges that may not call, of either version: 192.0.2.0/24, 2001:db8::/32."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for address in var.blocked_addresses : can(cidrhost(address, 0)) && !endswith(address, "/0")])
    error_message = "Write ranges: 192.0.2.0/24, 192.0.2.7/32, 2001:db8::/32; all of them, /0, WAF does not take."
  }
}

variable "allowed_countries" {
  description = "Countries, by their two letters, from which alone one may call; empty is from everywhere."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for country in var.allowed_countries : can(regex("^[A-Z]{2}$", country))])
    error_message = "Write countries by two capital letters: BE, NL."
  }
}

variable "counted_rules" {
  description = "Managed rules that count instead of block because they hit a consumer, as group/rule: common/CrossSiteScripting_BODY. Each for a reason and until a day, by when the consumer or the rule has to be fixed; the nightly workflow reports it from 30 days before, and no plan fails because of it."
  type        = map(object({ reason = string, expires_on = string }))
  default     = {}
  validation {
    condition     = alltrue([for rule in keys(var.counted_rules) : can(regex("^(ip-reputation|known-bad-inputs|common|sql-injection)/\\w+$", rule))])
    error_message = "Write group/rule; groups: ip-reputation, known-bad-inputs, common, sql-injection."
  }
  validation {
    condition     = length(setintersection(keys(var.counted_rules), [for rule in keys(local.contradicting) : "common/${rule}"])) == 0
    error_message = "These count already, because the contract allows what they block, and AWS refuses to override a rule twice: ${join(", ", setintersection(keys(var.counted_rules), [for rule in keys(local.contradicting) : "common/${rule}"]))}."
  }
  validation {
    condition     = alltrue([for rule in var.counted_rules : trimspace(rule.reason) != "" && can(timecmp("${rule.expires_on}T23:59:59Z", plantimestamp()))])
    error_message = "Give each a reason and expires_on, a day like 2027-06-30."
  }
}

variable "cors_origins" {
  description = "Web origins whose pages may call the API. With any, pages can read the responses of the web ACL."
  type        = list(string)
}

variable "key" {
  description = "The KMS key of the log; its policy has to admit CloudWatch Logs."
  type        = object({ arn = string })
}

variable "log_retention_days" {
  description = "Days a line of the log is kept."
  type        = number
}
