variable "endpoint" {
  description = "Where the emulator listens."
  type        = string
  default     = "http://127.0.0.1:4566"
}

variable "architecture" {
  description = "What this machine runs: x86_64 or arm64."
  type        = string
  default     = "x86_64"
}
