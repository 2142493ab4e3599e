# The movies product: API Gateway behind WAF, one function, one table, and who may call.
locals {
  name     = "mvdb-${var.environment.name}-movies"
  lambda   = "${path.module}/../../../lambda"
  contract = yamldecode(file("${local.lambda}/crates/movies/openapi.yaml"))
  schemas  = jsondecode(file("${local.lambda}/crates/movies/tables.json"))

  environment_variables = merge(
    { TABLE_NAME = module.table.table.name, REGION = var.environment.region },
    { for name in ["CORS_ORIGINS"] : name => join(",", var.cors_origins) if length(var.cors_origins) > 0 },
  )

  # The calls that the code makes, and no other: BatchWriteItem is the loader's, which runs as a person.
  statements = {
    ReadAndWriteMovies = {
      actions   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:DeleteItem"]
      resources = [module.table.table.arn]
    }
  }
}

# The wrong credentials must change nothing: every plan fails here before it has a change to show.
data "aws_caller_identity" "this" {
  lifecycle {
    postcondition {
      condition     = self.account_id == var.environment.account_id
      error_message = "The credentials are of account ${self.account_id}, but environment ${var.environment.name} is account ${var.environment.account_id}: log in there, or change account_id in infra/environments/${var.environment.name}/main.tf."
    }
  }
}

module "table" {
  source = "../../modules/table"

  name                = local.name
  schema              = local.schemas.movies
  deletion_protection = var.deletion_protection
  recovery_days       = var.table.recovery_days
}

module "function" {
  source = "../../modules/function"

  name                 = local.name
  package              = "${local.lambda}/target/lambda/movies/bootstrap.zip"
  architecture         = var.function.architecture
  memory_mb            = var.function.memory_mb
  timeout_seconds      = var.function.timeout_seconds
  reserved_concurrency = var.function.reserved_concurrency
  log_level            = var.function.log_level
  log_retention_days   = var.log_retention_days

  environment_variables = local.environment_variables
  statements            = local.statements
}

module "identity" {
  source = "../../modules/identity"

  name                = local.name
  domain_prefix       = "${local.name}-${var.environment.account_id}"
  scopes              = local.contract.components.securitySchemes.oauth2.flows.clientCredentials.scopes
  consumers           = var.consumers
  deletion_protection = var.deletion_protection
}

module "rest_api" {
  source = "../../modules/rest_api"

  name               = local.name
  contract           = local.contract
  function           = module.function.function
  user_pool          = module.identity.user_pool
  throttles          = var.throttles
  cors_origins       = var.cors_origins
  log_retention_days = var.log_retention_days
}

module "waf" {
  source = "../../modules/waf"

  name                           = local.name
  stage_arn                      = module.rest_api.rest_api.stage_arn
  requests_per_source_per_minute = var.waf.requests_per_source_per_minute
}
