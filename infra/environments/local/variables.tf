variable "endpoint" {
  description = "Where the emulator listens."
  type        = string
  default     = "http://127.0.0.1:4566"
}

variable "served_table" {
  description = "As the stack describes it; data in the other environments, here a drill's."
  type        = string
  default     = null
}

variable "architecture" {
  description = "What this machine runs: x86_64 or arm64."
  type        = string
  default     = "x86_64"
}
