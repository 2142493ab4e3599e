output "region" {
  description = "Region of the stack."
  value       = var.environment.region
}

output "api_url" {
  description = "The API's base URL, without a slash at the end."
  value = (var.environment.emulated == null ? module.rest_api.rest_api.url :
  "${var.environment.emulated.endpoint}/_aws/execute-api/${module.rest_api.rest_api.id}/${module.rest_api.rest_api.stage_name}")
}

output "token_url" {
  description = "Where consumers ask for tokens."
  value = (var.environment.emulated == null ? "https://${module.identity.domain_prefix}.auth.${var.environment.region}.amazoncognito.com/oauth2/token" :
  "${var.environment.emulated.endpoint}/oauth2/token")
}

output "consumers" {
  description = "Per consumer: client_id, client_secret, scopes."
  value       = module.identity.consumers
  sensitive   = true
}

output "function_name" {
  description = "Name of the function."
  value       = module.function.function.name
}

output "function_version" {
  description = "The newest published version: what a release moves the alias to."
  value       = module.function.newest_version
}

output "alias_name" {
  description = "The alias that the API calls."
  value       = module.function.function.alias
}

output "table_name" {
  description = "Name of the table."
  value       = module.table.table.name
}

output "rest_api_id" {
  description = "Id of the REST API."
  value       = module.rest_api.rest_api.id
}

output "stage_name" {
  description = "Name of the REST API's stage."
  value       = module.rest_api.rest_api.stage_name
}

output "web_acl_arn" {
  description = "ARN of the web ACL in front of the stage."
  value       = module.waf.web_acl.arn
}
