variable "name" {
  description = "Name of the network and of all that is in it."
  type        = string
}

variable "region" {
  description = "Region: part of the endpoints' names."
  type        = string
}

variable "account_id" {
  description = "Account: only its own credentials get through the endpoints."
  type        = string
}

variable "cidr" {
  description = "Address range, /16 to /24; each zone gets a sixteenth of it. It is reached from nowhere, so it may overlap with others."
  type        = string
  validation {
    condition     = can(cidrsubnet(var.cidr, 4, 2)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "cidr is an IPv4 range of /16 to /24, like 10.0.0.0/24."
  }
}

variable "zones" {
  description = "Three availability zones of the region, by name: eu-west-1a, ... An account sees its zones with: aws ec2 describe-availability-zones"
  type        = list(string)
  validation {
    condition     = length(distinct(var.zones)) == 3 && alltrue([for zone in var.zones : startswith(zone, var.region)])
    error_message = "Name three different zones of the region."
  }
}

variable "tables" {
  description = "The tables that can be reached from inside, and the calls that get through to each."
  type        = map(object({ arn = string, actions = list(string) }))
  validation {
    condition     = alltrue([for table in var.tables : length(table.actions) > 0 && !strcontains(join(" ", table.actions), "*")])
    error_message = "Name every action: a wildcard lets through what the code does not do."
  }
}

variable "trace_actions" {
  description = "X-Ray's calls that get through to it: those of the function's role."
  type        = list(string)
}

variable "key" {
  description = "The KMS key of the flow log; its policy has to admit CloudWatch Logs."
  type        = object({ arn = string })
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds every role of the account; null where there is none."
  type        = string
  nullable    = true
}

variable "log_retention_days" {
  description = "Days a line of the flow log is kept."
  type        = number
}
