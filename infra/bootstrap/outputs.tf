output "backend_config" {
  description = "What `init` of an environment wants: scripts/terraform dev init $(terraform -chdir=infra/bootstrap output -raw backend_config)"
  value       = join(" ", [for name, value in { bucket = aws_s3_bucket.this["state"].id, kms_key_id = aws_kms_key.this["state"].arn, region = var.region } : "-backend-config=${name}=${value}"])
}

output "permissions_boundary" {
  description = "Name of the policy that every role of a stack has to bear: data of the environment."
  value       = aws_iam_policy.boundary.name
}

output "plan_role_arn" {
  description = "What a pipeline's plan runs as; with `-lock=false`, because it may write nothing but saved plans."
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
  description = "The commands that let X-Ray take traces by OpenTelemetry, once per account and region. The second indexes 1 % of them for search by attribute, which is free; all are kept, for as long as the third says, which can be run once the first spans have come."
  value       = <<-EOT
    aws xray update-trace-segment-destination --region ${var.region} --destination CloudWatchLogs
    aws xray update-indexing-rule --region ${var.region} --name Default --rule 'Probabilistic={DesiredSamplingPercentage=1}'
    aws logs put-retention-policy --region ${var.region} --log-group-name aws/spans --retention-in-days 30
  EOT
}

output "cost_tags" {
  description = "The command by which bills and budgets know the stacks' tags; AWS takes it from whoever pays for the account, a day after a first stack bears them. Until then a stack's budget counts nothing."
  value       = "aws ce update-cost-allocation-tags-status --cost-allocation-tags-status ${join(" ", [for tag in ["product", "environment"] : "TagKey=${tag},Status=Active"])}"
}
