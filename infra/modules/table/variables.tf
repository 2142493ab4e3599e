variable "name" {
  description = "Name of the table, of its vault and of its backup plan."
  type        = string
}

variable "region" {
  description = "Region: the key is used through its services only."
  type        = string
}

variable "account_id" {
  description = "Account: only its own backups may take the role."
  type        = string
}

variable "schema" {
  description = "The keys of the table; type is S, N or B. `expires` names the attribute that holds the second since 1970 after which DynamoDB deletes an item. Other attributes are the items' own and need no schema."
  type = object({
    partition_key = object({ name = string, type = string })
    sort_key      = object({ name = string, type = string })
    expires       = optional(string)
  })
}

variable "key" {
  description = "The KMS key of the table and of its backups."
  type        = object({ arn = string })
}

variable "max_units_per_second" {
  description = "Above this DynamoDB throttles. A unit reads 4 KiB (8 KiB eventually consistent) or writes 1 KiB."
  type        = object({ read = number, write = number })
}

variable "deletion_protection" {
  description = "DynamoDB refuses to delete the table; to destroy it, apply false first."
  type        = bool
}

variable "recovery_days" {
  description = "How far back the table can be restored to any second (1 to 35 days); 0 switches it off."
  type        = number
  validation {
    condition     = var.recovery_days >= 0 && var.recovery_days <= 35
    error_message = "recovery_days is 0 (off) or 1 to 35."
  }
}

variable "backup" {
  description = "Daily copies, each kept for so many days; null makes none."
  type        = object({ retention_days = number })
  nullable    = true
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds every role of the account; null where there is none."
  type        = string
  nullable    = true
}
