output "function" {
  description = "The plug: the function's name, its alias and the ARN by which API Gateway calls the alias; its log's group."
  value = {
    log_group_name = aws_cloudwatch_log_group.this.name
    name           = aws_lambda_function.this.function_name
    alias          = aws_lambda_alias.live.name
    invoke_arn     = aws_lambda_alias.live.invoke_arn
  }
}

output "newest_version" {
  description = "The newest published version: what a release moves the alias to."
  value       = aws_lambda_function.this.version
}
