variable "name" {
  description = "Alias of the key."
  type        = string
}

variable "purpose" {
  description = "What it encrypts, in a few words: shown beside it in the console."
  type        = string
}

variable "account_id" {
  description = "Account whose policies may allow the key's use."
  type        = string
}

variable "uses" {
  description = "AWS services that use the key in their own name, by statement id. A condition ties each to what is ours: without one the service could be made to use the key for another account."
  type        = map(object({ service = string, actions = list(string), condition = map(map(string)) }))
  default     = {}
  validation {
    condition     = alltrue([for use in var.uses : length(use.condition) > 0])
    error_message = "Give each use a condition, like { StringEquals = { \"aws:SourceAccount\" = \"...\" } }."
  }
}
