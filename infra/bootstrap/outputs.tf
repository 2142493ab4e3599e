output "backend_config" {
  description = "What `init` of an environment wants: scripts/terraform dev init $(terraform -chdir=infra/bootstrap output -raw backend_config)"
  value       = join(" ", [for name, value in { bucket = aws_s3_bucket.this["state"].id, kms_key_id = aws_kms_key.this["state"].arn, region = var.region } : "-backend-config=${name}=${value}"])
}

output "permissions_boundary_arn" {
  description = "The policy that every role of a stack has to bear: data of the environment."
  value       = aws_iam_policy.boundary.arn
}

output "plan_role_arn" {
  description = "What a pipeline's plan runs as; with `-lock=false`, for it may write nothing."
  value       = aws_iam_role.github["plan"].arn
}

output "deploy_role_arn" {
  description = "What a pipeline's apply runs as."
  value       = aws_iam_role.github["deploy"].arn
}

output "evidence_bucket" {
  description = "Where the record of every deployment is kept; what is put there stays until its days are over."
  value       = aws_s3_bucket.this["evidence"].id
}

output "transaction_search" {
  description = "The commands that let X-Ray take traces by OpenTelemetry, once per account and region. The second indexes 1 % of them for search by attribute, which is free; all are kept."
  value       = <<-EOT
    aws xray update-trace-segment-destination --region ${var.region} --destination CloudWatchLogs
    aws xray update-indexing-rule --region ${var.region} --name Default --rule 'Probabilistic={DesiredSamplingPercentage=1}'
  EOT
}
