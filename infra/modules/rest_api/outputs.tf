output "rest_api" {
  description = "The plug: the API's id and its stage, by name, ARN and URL (no slash at the end); the groups of its access log and of API Gateway's own errors."
  value = {
    id                       = aws_api_gateway_rest_api.this.id
    name                     = aws_api_gateway_rest_api.this.name
    stage_name               = aws_api_gateway_stage.this.stage_name
    stage_arn                = aws_api_gateway_stage.this.arn
    url                      = var.domain == null ? aws_api_gateway_stage.this.invoke_url : "https://${var.domain.name}"
    log_group_name           = aws_cloudwatch_log_group.access.name
    execution_log_group_name = aws_cloudwatch_log_group.execution.name
  }
}

output "domain_target" {
  description = "What the record of the API's own name points to, as an alias in Route 53 or a CNAME; null without one."
  value       = one([for domain in aws_api_gateway_domain_name.this : { name = domain.regional_domain_name, zone_id = domain.regional_zone_id }])
}
