output "region" {
  description = "Region of the stack."
  value       = var.environment.region
}

output "api_url" {
  description = "The API's base URL, without a slash at the end."
  value       = local.api_url
}

output "token_url" {
  description = "Where consumers ask for tokens."
  value       = local.token_url
}

output "consumers" {
  description = "Per client: client_id, client_secret and scopes, the consumer whose it is (NAME for NAME-next, too), and, but for our own tools, owner, contact and expires_on."
  value = { for client, secrets in module.identity.consumers : client => merge(
    secrets,
    { consumer = trimsuffix(client, "-next") },
    { for key in ["owner", "contact", "expires_on"] : key => var.consumers[client][key] if can(var.consumers[client]) },
  ) }
  sensitive = true
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

output "deployment_group" {
  description = "What a release asks CodeDeploy for, and the alarms that stop it; null where it moves all calls at once."
  value       = one([for delivery in module.delivery : delivery.deployment_group])
}

output "table_name" {
  description = "Name of the table that callers are served from."
  value       = local.served.name
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

output "switch" {
  description = "The kill switch: id and name of the set of what is frozen."
  value       = module.waf.switch
}

output "domain_target" {
  description = "What the record of the API's own name points to; null without one."
  value       = module.rest_api.domain_target
}

output "topics" {
  description = "Topic ARN by severity."
  value       = module.observability.topics
}

output "alarms" {
  description = "Every alarm by name: its severity, its heading in the runbook and how it tells."
  value       = module.observability.alarms
}

output "notifications_key" {
  description = "ARN of the key of the topics."
  value       = module.observability.key
}

output "infrastructure" {
  description = "What the smoke checks compare AWS with. `absent`: what this environment does not hold, and why."
  value = {
    stage = {
      arn                   = module.rest_api.rest_api.stage_arn
      throttles             = var.throttles
      client_certificate_id = one(local.client_certificate[*].id)
    }
    table = {
      key_arn             = module.key["table"].key.arn
      deletion_protection = var.deletion_protection
      recovery_days       = var.table.recovery_days
    }
    logs = {
      groups         = concat(values(local.log_groups), [module.rest_api.rest_api.execution_log_group_name])
      masked_groups  = values(local.watched_log_groups)
      retention_days = var.log_retention_days
      key_arn        = module.key["logs"].key.arn
    }
    code_signing_config_arn = one([for signing in module.signing : signing.config.arn])
    layer_arns              = local.layers
    tags                    = data.aws_default_tags.this.tags
    absent = length(local.aws) > 0 ? {} : {
      client_certificate = "the emulator knows no client certificates"
      code_signing       = "the emulator knows no code signing"
      layers             = "the emulator mounts no layers"
      log_masking        = "the emulator masks nothing in logs"
    }
  }
}

output "counted_rules" {
  description = "Managed rules that count instead of block for a while: the reason, and until which day."
  value       = var.waf.counted_rules
}

# The provider puts them on everything that it makes.
data "aws_default_tags" "this" {}
