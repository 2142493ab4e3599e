output "config" {
  description = "The plug of a function: what it takes only signed code by."
  value       = { arn = aws_lambda_code_signing_config.this.arn }
}

output "packages" {
  description = "The plugs of functions and layers: where the signed packages lie, by name."
  value       = { for name, job in aws_signer_signing_job.this : name => { bucket = job.signed_object[0].s3[0].bucket, key = job.signed_object[0].s3[0].key } }
}
