output "rest_api" {
  description = "The plug: the API's id and its stage, by name, ARN and URL (no slash at the end)."
  value = {
    id         = aws_api_gateway_rest_api.this.id
    stage_name = aws_api_gateway_stage.this.stage_name
    stage_arn  = aws_api_gateway_stage.this.arn
    url        = aws_api_gateway_stage.this.invoke_url
  }
}
