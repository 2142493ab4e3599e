variable "name" {
  description = "Name of the CodeDeploy application and of its deployment group; its role's begins with it."
  type        = string
}

variable "region" {
  description = "Region of the function and its alarms."
  type        = string
}

variable "account_id" {
  description = "Account: CodeDeploy takes the role on its behalf alone."
  type        = string
}

variable "function" {
  description = "The function whose alias is moved."
  type        = object({ name = string })
}

variable "canary" {
  description = "Percent of the calls that reach the new version first, and for how many minutes; then all do."
  type        = object({ percent = number, minutes = number })
  validation {
    condition     = var.canary.percent >= 1 && var.canary.percent <= 50 && floor(var.canary.percent) == var.canary.percent
    error_message = "percent is a whole number from 1 to 50: with more, most callers have the new version before it is known to work."
  }
  validation {
    condition     = var.canary.minutes >= 5 && floor(var.canary.minutes) == var.canary.minutes
    error_message = "minutes is a whole number from 5: an alarm looks at three minutes, and CloudWatch knows of each a minute or two later."
  }
}

variable "alarms" {
  description = "Names of the alarms that stop a release and take it back. Alarms on all calls would see a tenth of a version's failures."
  type        = list(string)
  validation {
    condition     = length(var.alarms) >= 1 && length(var.alarms) <= 10
    error_message = "Name 1 to 10 alarms, more CodeDeploy does not take: without one nothing stops a release."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds every role of the account; null where there is none."
  type        = string
  nullable    = true
}
