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
  description = "Who may call, by name: with which scopes, who answers for it and how to reach them, and the first day on which it is rejected (2027-06-30). NAME-next is a second client of consumer NAME: both get tokens until one of them is deleted, which is how a secret is rotated."
  type        = map(object({ scopes = list(string), owner = string, contact = string, expires_on = string }))
  validation {
    condition     = alltrue(flatten([for consumer in var.consumers : [for scope in consumer.scopes : contains(keys(var.scopes), scope)]]))
    error_message = "A consumer names a scope that the contract does not declare: ${join(", ", setsubtract(flatten([for consumer in var.consumers : consumer.scopes]), keys(var.scopes)))}."
  }
  validation {
    condition     = alltrue([for consumer in var.consumers : length(consumer.scopes) > 0])
    error_message = "A consumer without scopes can call nothing: name at least one."
  }
  validation {
    condition     = alltrue([for consumer in var.consumers : trimspace(consumer.owner) != "" && can(regex("^[^@\\s]+@[^@\\s]+$", consumer.contact))])
    error_message = "Without an owner and an address to write to: ${join(", ", [for name, consumer in var.consumers : name if trimspace(consumer.owner) == "" || !can(regex("^[^@\\s]+@[^@\\s]+$", consumer.contact))])}. Nobody could be asked whether it is still needed."
  }
  validation {
    condition     = alltrue([for consumer in var.consumers : can(regex("^\\d{4}-\\d\\d-\\d\\d$", consumer.expires_on)) && can(timecmp("${consumer.expires_on}T23:59:59Z", plantimestamp()))])
    error_message = "expires_on is a day like 2027-06-30."
  }
  validation {
    condition     = alltrue([for name in keys(var.consumers) : can(regex("^[a-z][a-z0-9-]{0,39}$", name)) && trimsuffix(name, "-next") != "operations"])
    error_message = "A consumer's name has at most 40 small letters, digits and hyphens, and is not operations: that is the client of our own tools. Rename: ${join(", ", [for name in keys(var.consumers) : name if !can(regex("^[a-z][a-z0-9-]{0,39}$", name)) || trimsuffix(name, "-next") == "operations"])}."
  }
}

variable "deletion_protection" {
  description = "Cognito refuses to delete the pool: with it every consumer would lose its credentials."
  type        = bool
}
