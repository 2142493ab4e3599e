# As the stack describes them; scripts read them with `terraform output`.
output "region" {
  value = module.movies.region
}

output "api_url" {
  value = module.movies.api_url
}

output "token_url" {
  value = module.movies.token_url
}

output "consumers" {
  value     = module.movies.consumers
  sensitive = true
}

output "counted_rules" {
  value = module.movies.counted_rules
}

output "function_name" {
  value = module.movies.function_name
}

output "function_version" {
  value = module.movies.function_version
}

output "alias_name" {
  value = module.movies.alias_name
}

output "deployment_group" {
  value = module.movies.deployment_group
}

output "table_name" {
  value = module.movies.table_name
}

output "rest_api_id" {
  value = module.movies.rest_api_id
}

output "stage_name" {
  value = module.movies.stage_name
}

output "web_acl_arn" {
  value = module.movies.web_acl_arn
}

output "switch" {
  value = module.movies.switch
}

output "domain_target" {
  value = module.movies.domain_target
}

output "topics" {
  value = module.movies.topics
}

output "alarms" {
  value = module.movies.alarms
}

output "notifications_key" {
  value = module.movies.notifications_key
}

output "infrastructure" {
  value = module.movies.infrastructure
}
