variable "name" {
  description = "Name of the table."
  type        = string
}

variable "schema" {
  description = "The keys of the table; type is S, N or B. Other attributes are the items' own and need no schema."
  type = object({
    partition_key = object({ name = string, type = string })
    sort_key      = object({ name = string, type = string })
  })
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
