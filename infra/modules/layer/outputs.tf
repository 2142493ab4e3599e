output "layer" {
  description = "The plug: ARN of the newest version."
  value       = { arn = aws_lambda_layer_version.this.arn }
}
