variable "name" {
  description = "Name of the layer."
  type        = string
}

variable "description" {
  description = "What the layer does, in a sentence: shown beside it in the console."
  type        = string
}

variable "package" {
  description = "Path of the zip that holds `extensions/<name>`; signed: where the same lies signed, which a function that takes only signed code asks of its layers too."
  type        = object({ path = string, signed = optional(object({ bucket = string, key = string })) })
}

variable "architecture" {
  description = "What the package was built for: arm64 or x86_64. It has to be the function's."
  type        = string
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}
