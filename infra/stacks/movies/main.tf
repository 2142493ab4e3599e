# The movies product: API Gateway behind WAF, one function, one table, who may call, and who is told when it ails.
locals {
  name     = "mvdb-${var.environment.name}-movies"
  lambda   = "${path.module}/../../../lambda"
  contract = yamldecode(file("${local.lambda}/services/movies/openapi.yaml"))
  schemas  = jsondecode(file("${local.lambda}/services/movies/tables.json"))
  packages = {
    movies    = "${local.lambda}/target/lambda/movies/bootstrap.zip"
    telemetry = "${local.lambda}/target/lambda/telemetry-extension/layer.zip"
  }

  environment_variables = merge(
    { TABLE_NAME = local.served.name, CREATIONS_TABLE_NAME = module.creations.table.name, REGION = var.environment.region },
    { CONSUMERS = join(",", [for client, id in module.identity.client_ids : "${id}=${local.consumers[client]}"]) },
    { TOKEN_URL = local.token_url, DOCUMENTATION_URL = local.documentation_url },
    { for name in ["CORS_ORIGINS"] : name => join(",", var.cors_origins) if length(var.cors_origins) > 0 },
    { for name in ["OTEL_EXPORTER_OTLP_ENDPOINT"] : name => "http://127.0.0.1:4318" if length(local.layers) > 0 },
  )

  # What the function knows of each client: whose it is, and the first day on which it is rejected. A second client NAME-next is
  # the same consumer's. Our own tools never expire.
  consumers = merge(
    { for client, consumer in var.consumers : client => "${trimsuffix(client, "-next")}:${consumer.expires_on}" },
    { operations = "operations:9999-12-31" },
  )

  documentation_url = coalesce(var.documentation_url, local.contract.externalDocs.url)

  permissions_boundary = one([for name in var.environment.permissions_boundary[*] : "arn:aws:iam::${var.environment.account_id}:policy/${name}"])

  # What callers are served from: the stack's own table, or one restored from it. The function may then reach both: the version
  # that callers still reach while the next one is released reads the own one.
  served = (var.served_table == null ? module.table.table :
  { name = var.served_table, arn = "arn:aws:dynamodb:${var.environment.region}:${var.environment.account_id}:table/${var.served_table}" })
  table_arns = distinct([module.table.table.arn, local.served.arn])

  # The calls that the code makes, and no other: BatchWriteItem is the loader's, which runs as a person.
  table_actions = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem"]
  # The same as CloudWatch counts it: each write comes in a transaction.
  table_calls = ["GetItem", "Query", "Scan", "TransactWriteItems"]
  statements = {
    ReadAndWriteMovies = { actions = local.table_actions, resources = local.table_arns }
    RememberCreations  = { actions = ["dynamodb:PutItem"], resources = [module.creations.table.arn] }
    # DynamoDB opens the table's key with the caller's rights; by itself the function decrypts nothing.
    ReadWithTheTablesKey = {
      actions   = ["kms:Decrypt"]
      resources = [module.key["table"].key.arn]
      condition = { StringEquals = { "kms:ViaService" = "dynamodb.${var.environment.region}.amazonaws.com" } }
    }
  }
}

locals {
  # Lambda's own, and what X-Ray's OTLP endpoint asks of the layer.
  trace_actions = concat(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], length(local.layers) > 0 ? ["xray:PutSpans", "xray:PutSpansForIndexing"] : [])

  # Not the network's: it knows machines and no persons, and the filter of the alarm `breakout` could not read what is masked.
  log_groups = { function = module.function.function.log_group_name, access = module.rest_api.rest_api.log_group_name, waf = module.waf.web_acl.log_group_name }
  flow_log   = one([for network in module.network : network.flow_log])

  # What the next release moves: its alarms are its own before the first call reaches it.
  next = one([for canary in var.canary[*] : { alias = module.function.function.alias, version = module.function.newest_version }])
}

# All that `environment.emulated` switches, and why: what the local emulator cannot hold is not made there. That these
# are right in AWS only their modules' tests say, and AWS.
locals {
  aws = var.environment.emulated == null ? { this = true } : {}

  # It knows no code signing: asking it for a signing config crashes Terraform's provider.
  signed = one([for signing in module.signing : { for name, package in signing.packages : name => merge(package, { config_arn = signing.config.arn }) }])
  # It mounts no layers: the function would send its traces to nobody.
  layers = [for layer in module.layer : layer.layer.arn]
  # It knows no client certificates.
  client_certificate = one([for certificate in aws_api_gateway_client_certificate.this : { id = certificate.id }])
  # It masks nothing in logs and saves no queries.
  watched_log_groups = { for name, group in local.log_groups : name => group if var.environment.emulated == null }
  # It has no CodeDeploy: a release moves all calls at once. The alarms that would stop it are there all the same.
  canary = var.environment.emulated == null ? var.canary : null
  # Its URLs are paths of one address.
  api_url = (var.environment.emulated == null ? module.rest_api.rest_api.url : join("/", [
    var.environment.emulated.endpoint, "_aws/execute-api", module.rest_api.rest_api.id, module.rest_api.rest_api.stage_name
  ]))
  token_url = (var.environment.emulated == null
    ? "https://${module.identity.domain_prefix}.auth.${var.environment.region}.amazoncognito.com/oauth2/token"
    : "${var.environment.emulated.endpoint}/oauth2/token"
  )
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

# A key for each purpose: taking one away stops that purpose, and who may use it is read in one policy.
module "key" {
  source   = "../../modules/key"
  for_each = local.keys

  name       = "${local.name}-${each.key}"
  purpose    = each.value.purpose
  account_id = var.environment.account_id
  uses       = each.value.uses
}

locals {
  keys = {
    table    = { purpose = "Movies, and the copies of them", uses = {} }
    function = { purpose = "The function's packages and environment variables", uses = {} }
    logs = { purpose = "All logs", uses = {
      LogsAreWritten = {
        service   = "logs.${var.environment.region}.amazonaws.com"
        actions   = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:${var.environment.region}:${var.environment.account_id}:log-group:*" } }
      }
    } }
  }
}

module "table" {
  source = "../../modules/table"

  name                 = local.name
  region               = var.environment.region
  account_id           = var.environment.account_id
  schema               = local.schemas.movies
  key                  = module.key["table"].key
  max_units_per_second = var.table.max_units_per_second
  recovery_days        = var.table.recovery_days
  backup               = var.table.backup
  deletion_protection  = var.deletion_protection
  permissions_boundary = local.permissions_boundary
}

# What was created under which Idempotency-Key, for a day. It is restored as far back as the movies are: without it, what is
# sent again would be done again. The daily copies need none of it.
module "creations" {
  source = "../../modules/table"

  name                 = "${local.name}-creations"
  region               = var.environment.region
  account_id           = var.environment.account_id
  schema               = local.schemas.creations
  key                  = module.key["table"].key
  max_units_per_second = var.table.max_units_per_second
  recovery_days        = var.table.recovery_days
  backup               = null
  deletion_protection  = var.deletion_protection
  permissions_boundary = local.permissions_boundary
}

module "network" {
  source   = "../../modules/network"
  for_each = { for network in var.network[*] : "this" => network }

  name       = local.name
  region     = var.environment.region
  account_id = var.environment.account_id
  cidr       = each.value.cidr
  zones      = each.value.zones
  tables = merge({
    Movies    = { arn = module.table.table.arn, actions = local.statements.ReadAndWriteMovies.actions }
    Creations = { arn = module.creations.table.arn, actions = local.statements.RememberCreations.actions }
  }, { for table in var.served_table[*] : "Restored" => { arn = local.served.arn, actions = local.statements.ReadAndWriteMovies.actions } })
  trace_actions        = local.trace_actions
  key                  = module.key["logs"].key
  permissions_boundary = local.permissions_boundary
  log_retention_days   = var.log_retention_days
}

module "signing" {
  source   = "../../modules/signing"
  for_each = local.aws

  name        = local.name
  bucket_name = "${local.name}-packages-${var.environment.account_id}"
  packages    = local.packages
  key         = module.key["function"].key
}

module "layer" {
  source   = "../../modules/layer"
  for_each = local.aws

  name         = "${local.name}-telemetry"
  description  = "Ships the function's traces to X-Ray after the answer"
  package      = { path = local.packages.telemetry, signed = local.signed == null ? null : local.signed.telemetry }
  architecture = var.function.architecture
}

module "function" {
  source = "../../modules/function"

  name                 = local.name
  region               = var.environment.region
  account_id           = var.environment.account_id
  package              = { path = local.packages.movies, signed = local.signed == null ? null : local.signed.movies }
  layers               = local.layers
  trace_actions        = local.trace_actions
  network              = one([for network in module.network : network.network])
  architecture         = var.function.architecture
  memory_mb            = var.function.memory_mb
  timeout_seconds      = var.function.timeout_seconds
  reserved_concurrency = var.function.reserved_concurrency
  log_level            = var.function.log_level
  log_retention_days   = var.log_retention_days
  keys                 = { environment = module.key["function"].key, logs = module.key["logs"].key }
  permissions_boundary = local.permissions_boundary

  environment_variables = local.environment_variables
  statements            = local.statements
}

module "delivery" {
  source   = "../../modules/delivery"
  for_each = { for canary in local.canary[*] : "this" => canary }

  name                 = local.name
  region               = var.environment.region
  account_id           = var.environment.account_id
  function             = module.function.function
  canary               = each.value
  alarms               = module.observability.version_alarms
  permissions_boundary = local.permissions_boundary
}

module "identity" {
  source = "../../modules/identity"

  name                = local.name
  domain_prefix       = "${local.name}-${var.environment.account_id}"
  scopes              = local.contract.components.securitySchemes.oauth2.flows.clientCredentials.scopes
  consumers           = var.consumers
  deletion_protection = var.deletion_protection
}

# API Gateway shows it to HTTP backends; a Lambda never sees it, so that it expires after a year harms nobody, and no alarm
# tells of it. A backend that is no Lambda would check it: then apply with -replace once a year.
resource "aws_api_gateway_client_certificate" "this" {
  for_each = local.aws

  description = local.name
}

module "rest_api" {
  source = "../../modules/rest_api"

  name               = local.name
  contract           = local.contract
  documentation_url  = local.documentation_url
  function           = module.function.function
  user_pool          = module.identity.user_pool
  throttles          = var.throttles
  cors_origins       = var.cors_origins
  client_certificate = local.client_certificate
  domain             = var.domain
  allowed_addresses  = var.allowed_addresses
  key                = module.key["logs"].key
  log_retention_days = var.log_retention_days
}

module "waf" {
  source = "../../modules/waf"

  name                = local.name
  stage_arn           = module.rest_api.rest_api.stage_arn
  requests_per_minute = var.waf.requests_per_minute
  blocked_addresses   = var.waf.blocked_addresses
  allowed_countries   = var.waf.allowed_countries
  counted_rules       = var.waf.counted_rules
  cors_origins        = var.cors_origins
  key                 = module.key["logs"].key
  log_retention_days  = var.log_retention_days
}

module "observability" {
  source = "../../modules/observability"

  name        = local.name
  region      = var.environment.region
  account_id  = var.environment.account_id
  runbook_url = var.observability.runbook_url
  slo         = var.observability.slo
  api         = module.rest_api.rest_api
  function = {
    name                 = module.function.function.name
    timeout_seconds      = var.function.timeout_seconds
    reserved_concurrency = var.function.reserved_concurrency
    log_group_name       = module.function.function.log_group_name
    namespace            = "mvdb" # as the code prints it
  }
  canary   = local.next
  table    = { name = local.served.name, operations = local.table_calls }
  web_acl  = module.waf.web_acl
  switch   = module.waf.switch
  backup   = module.table.backup
  flow_log = local.flow_log
  keys     = { for purpose, key in module.key : purpose => key.key }
  consumers = { for name, clients in { for client, consumer in var.consumers : trimsuffix(client, "-next") => consumer... } :
    name => { requests_per_hour = max(clients[*].requests_per_hour...) }
  }
  silence_minutes = var.observability.silence_minutes
  log_groups      = local.watched_log_groups
  subscribers     = var.observability.subscribers
  budget          = var.observability.budget
}
