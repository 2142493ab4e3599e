variable "name" {
  description = "Name of what is signed; the profile's name begins with it."
  type        = string
}

variable "bucket_name" {
  description = "Name of the bucket for the packages; unique among all of AWS's customers."
  type        = string
}

variable "packages" {
  description = "Paths of the built packages, by name."
  type        = map(string)
}

variable "key" {
  description = "The KMS key of the bucket."
  type        = object({ arn = string })
}
