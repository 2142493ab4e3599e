variable "name" {
  description = "Name of the user pool."
  type        = string
}

variable "domain_prefix" {
  description = "Where tokens are asked for: https://<prefix>.auth.<region>.amazoncognito.com. Unique in the region."
  type        = string
}

variable "scopes" {
  description = "Scope -> description, spelled <resource server>/<scope>, all of one resource server."
  type        = map(string)
}

variable "consumers" {
  description = "Who may call, by name, and with which scopes."
  type        = map(object({ scopes = list(string) }))
  validation {
    condition     = alltrue(flatten([for consumer in var.consumers : [for scope in consumer.scopes : contains(keys(var.scopes), scope)]]))
    error_message = "A consumer names a scope that the contract does not declare: ${join(", ", setsubtract(flatten([for consumer in var.consumers : consumer.scopes]), keys(var.scopes)))}."
  }
  validation {
    condition     = alltrue([for consumer in var.consumers : length(consumer.scopes) > 0])
    error_message = "A consumer without scopes can call nothing: name at least one."
  }
}

variable "deletion_protection" {
  description = "Cognito refuses to delete the pool: with it every consumer would lose its credentials."
  type        = bool
}
