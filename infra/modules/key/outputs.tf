output "key" {
  description = "The plug: the key's ARN."
  value       = { arn = aws_kms_key.this.arn }
}
