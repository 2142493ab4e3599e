variable "name" {
  description = "Name of what is watched; all alarms, topics and queries begin with it."
  type        = string
}

variable "region" {
  description = "Region: where the metrics are."
  type        = string
}

variable "account_id" {
  description = "Account: only on its behalf may AWS's services publish to the topics."
  type        = string
}

variable "runbook_url" {
  description = "URL of the runbook; every alarm links a heading in it."
  type        = string
}

variable "slo" {
  description = "What callers are promised. Targets are shares of all requests, below 1. Below minimum_requests in an hour (6 hours, a day) a share says nothing and no alarm is raised."
  type = object({
    availability     = object({ target = number })
    latency          = object({ target = number, threshold_milliseconds = number })
    minimum_requests = number
  })
  validation {
    condition     = alltrue([for target in [var.slo.availability.target, var.slo.latency.target] : target >= 0.9 && target < 1])
    error_message = "A target is a share of 0.9 or more and below 1: a target of 1 leaves nothing to burn."
  }
  validation {
    condition     = var.slo.minimum_requests >= 12
    error_message = "minimum_requests is at least 12: the short windows take a twelfth of it."
  }
}

variable "api" {
  description = "The REST API and the stage that callers use."
  type        = object({ name = string, stage_name = string })
}

variable "function" {
  description = "The function behind it; reserved_concurrency null when it shares the account's pool. namespace: of the metrics that it prints itself."
  type        = object({ name = string, timeout_seconds = number, reserved_concurrency = number, log_group_name = string, namespace = string })
}

variable "canary" {
  description = "The version that a release lets a few calls reach first, and the alias by which they do: it is watched by itself. Null, and no version is."
  type        = object({ alias = string, version = string })
  nullable    = true
}

variable "table" {
  description = "The table and the operations on it."
  type        = object({ name = string, operations = list(string) })
}

variable "web_acl" {
  description = "The web ACL before the stage, by the name of its metrics."
  type        = object({ metric_name = string })
}

variable "switch" {
  description = "The kill switch: the id of the set whose changes freeze and thaw."
  type        = object({ id = string })
}

variable "backup" {
  description = "The vault into which something is backed up daily; null when there is none."
  type        = object({ vault_name = string })
  nullable    = true
}

variable "flow_log" {
  description = "The log of a network without a way out, and the pattern of the addresses in it, like 10.0.0.*; null when there is none."
  type        = object({ log_group_name = string, addresses = string })
  nullable    = true
}

variable "keys" {
  description = "KMS keys without which something stops, by what they are for."
  type        = map(object({ arn = string }))
}

variable "consumers" {
  description = "Consumers by name, and how many requests an hour each agreed on, by all its clients together."
  type        = map(object({ requests_per_hour = number }))
}

variable "silence_minutes" {
  description = "After so many minutes without a single request callers cannot reach us; null where nobody calls all day long."
  type        = number
  nullable    = true
  validation {
    condition     = var.silence_minutes == null ? true : var.silence_minutes >= 1 && var.silence_minutes <= 1440 && floor(var.silence_minutes) == var.silence_minutes
    error_message = "silence_minutes is a whole number from 1 to 1440, a day: a period of CloudWatch is no longer."
  }
}

variable "log_groups" {
  description = "Groups whose secrets and personal data are masked, by what is in them: function, access, waf, ... The first three are offered to saved queries."
  type        = map(string)
}

variable "subscribers" {
  description = "Who is told, by severity. An email address has to confirm."
  type        = object({ page = list(object({ protocol = string, endpoint = string })), ticket = list(object({ protocol = string, endpoint = string })) })
}

variable "budget" {
  description = "What may be spent a month. cost_tag narrows it to what bears this tag, once it is activated as a cost allocation tag: until then it counts nothing; null is the whole account."
  type = object({
    usd_per_month = number
    cost_tag      = optional(object({ name = string, value = string }))
  })
  validation {
    condition     = var.budget.usd_per_month > 0
    error_message = "usd_per_month is above 0: AWS has no budget of nothing."
  }
}
