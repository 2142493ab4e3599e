variable "environment" {
  description = "Where the stack is deployed. `permissions_boundary`: name of the account's policy that every role has to bear, made by infra/bootstrap; null where there is none. `emulated` is null in AWS, or says where the local emulator listens; what it switches is in one place of main.tf."
  type = object({
    name                 = string
    region               = string
    account_id           = string
    permissions_boundary = optional(string)
    emulated             = optional(object({ endpoint = string }))
  })
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{0,9}$", var.environment.name))
    error_message = "name is at most ten small letters and digits: it is in every name, and some of them may be no longer."
  }
  validation {
    condition     = can(regex("^\\d{12}$", var.environment.account_id))
    error_message = "account_id has twelve digits, in quotes."
  }
}

locals {
  # The environments come with accounts like 111111111111; the emulator's is 000000000000. No real one has one digit only.
  placeholder_account = length(distinct(split("", var.environment.account_id))) == 1
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

variable "canary" {
  description = "A release lets so many percent of the calls reach the new version for so many minutes, and takes them back when it fails. Null moves all calls at once."
  type        = object({ percent = number, minutes = number })
  nullable    = true
}

variable "table" {
  description = "max_units_per_second: where DynamoDB throttles instead of costing more. recovery_days: how far back it can be restored to any second; 0 is off. backup: daily copies beyond that; null makes none."
  type = object({
    max_units_per_second = object({ read = number, write = number })
    recovery_days        = number
    backup               = optional(object({ retention_days = number }))
  })
}

variable "served_table" {
  description = "A table restored from the stack's own (make restore), from which callers are served instead; null serves the own one. Neither the apply that sets it nor the one that takes it back changes or deletes a table."
  type        = string
  default     = null
  validation {
    condition     = var.served_table == null || can(regex("^mvdb-${var.environment.name}-movies-restored-[a-z0-9-]+$", var.served_table))
    error_message = "Name a table that `make restore` made of this stack's: mvdb-${var.environment.name}-movies-restored-..."
  }
}

variable "network" {
  description = "The network without a way out in which the function stands: an address range and three zones. Null, and it stands in Lambda's own, with the internet before it. A function that has none gets one in two applies, the network first (infra/README.md): the provider plans no change while the subnets are not known."
  type        = object({ cidr = string, zones = list(string) })
  nullable    = true
}

variable "consumers" {
  description = "Who may call, by name: with which of the contract's scopes, who answers for it, and from which day on it is rejected. NAME-next is a second client of consumer NAME, by which its secret is rotated."
  type        = map(object({ scopes = list(string), owner = string, contact = string, expires_on = string, requests_per_hour = number }))
  # Lambda takes 4 KB of environment variables: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
  # Each client takes its id of 26 characters, its consumer's name, a day and three separators.
  validation {
    condition     = sum([for name in concat(keys(var.consumers), ["operations"]) : 26 + length(trimsuffix(name, "-next")) + 10 + 3]) <= 3072
    error_message = "The function's environment has 3,072 bytes for consumers, and these take ${sum([for name in concat(keys(var.consumers), ["operations"]) : 26 + length(trimsuffix(name, "-next")) + 10 + 3])}: name them shorter, or remove those that have expired."
  }
  validation {
    condition     = local.placeholder_account || !anytrue([for consumer in var.consumers : endswith(consumer.contact, "@example.org")])
    error_message = "These consumers' contacts are still placeholders: ${join(", ", [for name, consumer in var.consumers : name if endswith(consumer.contact, "@example.org")])}."
  }
}

variable "throttles" {
  description = "Requests over all callers: for the stage, and for single routes of the contract (\"GET /movies\") where they differ."
  type = object({
    stage  = object({ requests_per_second = number, burst_requests = number })
    routes = map(object({ requests_per_second = number, burst_requests = number }))
  })
}

variable "waf" {
  description = "requests_per_minute: above it an address, or a token, is refused. The rest, and its form, is told in modules/waf."
  type = object({
    requests_per_minute = object({ source = number, token = number })
    blocked_addresses   = optional(list(string), [])
    allowed_countries   = optional(list(string), [])
    counted_rules       = optional(map(object({ reason = string, expires_on = string })), {})
  })
}

variable "documentation_url" {
  description = "The API reference, linked by GET / and every 401; null is the release's, from the contract."
  type        = string
  default     = null
  validation {
    condition     = var.documentation_url == null || can(regex("^https://[!-~]+$", var.documentation_url))
    error_message = "documentation_url is an https URL, such as https://docs.example.org/movies, or null."
  }
}

variable "domain" {
  description = "The API's own name, told in modules/rest_api; null leaves it API Gateway's."
  type        = object({ name = string, certificate_arn = string, truststore = optional(object({ uri = string, version = string })) })
  default     = null
}

variable "allowed_addresses" {
  description = "Address ranges from which alone one may call; empty is from everywhere."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for address in var.allowed_addresses : can(cidrhost(address, 0))])
    error_message = "Write ranges: 192.0.2.0/24, 192.0.2.7/32, 2001:db8::/32."
  }
}

variable "cors_origins" {
  description = "Origins whose pages may call from a browser, such as https://app.example.org."
  type        = list(string)
  validation {
    condition     = alltrue([for origin in var.cors_origins : can(regex("^[a-z0-9+.-]+://[a-z0-9._:\\[\\]-]+$", origin))])
    error_message = "Write origins as browsers send them: a scheme and a host in lower case, no path, no *. The function does not start with others."
  }
}

variable "deletion_protection" {
  description = "AWS refuses to delete the table and the user pool; to destroy the stack, apply false first."
  type        = bool
}

variable "log_retention_days" {
  description = "Days a log line is kept."
  type        = number
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch Logs keeps lines for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "observability" {
  description = "What callers are promised, who is told when it is not kept, and what may be spent; each is told in modules/observability."
  type = object({
    runbook_url = string
    slo = object({
      availability     = object({ target = number })
      latency          = object({ target = number, threshold_milliseconds = number })
      minimum_requests = number
    })
    silence_minutes = optional(number)
    subscribers     = object({ page = list(object({ protocol = string, endpoint = string })), ticket = list(object({ protocol = string, endpoint = string })) })
    budget          = object({ usd_per_month = number, cost_tag = optional(object({ name = string, value = string })) })
  })
  # Mail to example.org is never confirmed, and nobody is notified; SNS reports no error.
  validation {
    condition     = local.placeholder_account || !strcontains(var.observability.runbook_url, "your-organisation")
    error_message = "runbook_url is still a placeholder: every alarm links to it."
  }
  validation {
    condition     = local.placeholder_account || !anytrue([for subscriber in flatten(values(var.observability.subscribers)) : endswith(subscriber.endpoint, "@example.org")])
    error_message = "subscribers are still placeholders: no alarm would reach anybody."
  }
}
