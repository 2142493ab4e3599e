mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies" }
  }
  mock_resource "aws_cognito_user_pool" {
    defaults = { arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_abc" }
  }
  mock_resource "aws_api_gateway_rest_api" {
    defaults = { id = "abc", execution_arn = "arn:aws:execute-api:eu-west-1:123456789012:abc" }
  }
  mock_resource "aws_api_gateway_stage" {
    defaults = { arn = "arn:aws:apigateway:eu-west-1::/restapis/abc/stages/v1", invoke_url = "https://abc.execute-api.eu-west-1.amazonaws.com/v1" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:access" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/abc" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mvdb-test-movies" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:topic" }
  }
}

# Not to be mistaken for the movies'.
override_resource {
  target = module.creations.aws_dynamodb_table.this
  values = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies-creations" }
}

# The packages are not built for these tests.
override_module {
  target = module.signing
  outputs = {
    config   = { arn = "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-1" }
    packages = { movies = { bucket = "packages", key = "signed/movies-1.zip" }, telemetry = { bucket = "packages", key = "signed/telemetry-1.zip" } }
  }
}
# Its rules are tested beside it, and their schema is so large that it would take four fifths of the time of these tests.
override_module {
  target = module.waf
  outputs = {
    web_acl = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/mvdb-test-movies/abc", metric_name = "mvdb-test-movies", log_group_name = "aws-waf-logs-mvdb-test-movies" }
    switch  = { id = "set", name = "mvdb-test-movies-frozen" }
  }
}
override_module {
  target  = module.layer
  outputs = { layer = { arn = "arn:aws:lambda:eu-west-1:123456789012:layer:mvdb-test-movies-telemetry:1" } }
}
override_module {
  target = module.function
  outputs = {
    function       = { log_group_name = "/aws/lambda/mvdb-test-movies", name = "mvdb-test-movies", alias = "live", invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:mvdb-test-movies:live/invocations" }
    newest_version = "7"
  }
}

variables {
  environment         = { name = "test", region = "eu-west-1", account_id = "123456789012" }
  function            = { architecture = "arm64", memory_mb = 512, timeout_seconds = 10, log_level = "INFO" }
  table               = { max_units_per_second = { read = 1000, write = 200 }, recovery_days = 35, backup = { retention_days = 90 } }
  canary              = { percent = 10, minutes = 10 }
  network             = null
  consumers           = { reader = { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.com", expires_on = "9999-12-31", requests_per_hour = 1000 } }
  throttles           = { stage = { requests_per_second = 50, burst_requests = 100 }, routes = {} }
  waf                 = { requests_per_minute = { source = 1000, token = 3000 } }
  cors_origins        = []
  deletion_protection = true
  log_retention_days  = 400
  observability = {
    runbook_url = "https://example.com/infra/RUNBOOK.md"
    slo         = { availability = { target = 0.999 }, latency = { target = 0.99, threshold_milliseconds = 300 }, minimum_requests = 120 }
    subscribers = { page = [], ticket = [] }
    budget      = { usd_per_month = 50 }
  }
}

run "another_account_is_refused" {
  command = plan
  variables {
    environment = { name = "test", region = "eu-west-1", account_id = "999999999999" }
  }
  expect_failures = [data.aws_caller_identity.this]
}

run "callers_are_sent_to_aws" {
  assert {
    condition     = output.api_url == "https://abc.execute-api.eu-west-1.amazonaws.com/v1"
    error_message = "The API's URL is not that of its stage."
  }
  assert {
    condition     = output.token_url == "https://mvdb-test-movies-123456789012.auth.eu-west-1.amazoncognito.com/oauth2/token"
    error_message = "The token URL is not that of the user pool's domain."
  }
}

run "the_smoke_checks_leave_nothing_out_in_aws" {
  assert {
    condition     = length(output.infrastructure.absent) == 0 && output.infrastructure.code_signing_config_arn != null && length(output.infrastructure.layer_arns) == 1 && length(output.infrastructure.logs.masked_groups) == 3
    error_message = "The smoke checks would skip what AWS holds, or find nothing to look at."
  }
}

run "callers_are_sent_to_the_emulator_where_there_is_one" {
  variables {
    environment = { name = "test", region = "eu-west-1", account_id = "123456789012", emulated = { endpoint = "http://127.0.0.1:4566" } }
  }
  assert {
    condition     = output.api_url == "http://127.0.0.1:4566/_aws/execute-api/abc/v1" && output.token_url == "http://127.0.0.1:4566/oauth2/token"
    error_message = "A URL does not lead to the emulator."
  }
  assert {
    condition     = output.infrastructure.code_signing_config_arn == null && output.infrastructure.stage.client_certificate_id == null && toset(keys(output.infrastructure.absent)) == toset(["client_certificate", "code_signing", "layers", "log_masking"])
    error_message = "What the emulator does not hold has no reason in the outputs."
  }
}

# What the code calls is declared once, beside the calls, and held to them by the crate's own tests.
run "c36_the_code_may_make_the_calls_it_makes_on_its_own_table_and_no_other" {
  assert {
    condition = (
      toset([for operation in regexall("\"(\\w+)\"", regex("(?s)OPERATIONS: \\[&str; \\d+\\] = \\[(.*?)\\]", file("../../../lambda/services/movies/src/store/mod.rs"))[0]) : "dynamodb:${operation[0]}"])
      == toset(local.statements.ReadAndWriteMovies.actions)
    )
    error_message = "The function may make other calls than its code makes."
  }
  assert {
    condition     = local.statements.RememberCreations.actions == ["dynamodb:PutItem"]
    error_message = "The function may do more with what was created than remember it."
  }
  assert {
    condition     = toset(local.table_calls) == setunion([for action in local.table_actions : split(":", action)[1] if !contains(["PutItem", "UpdateItem", "DeleteItem"], split(":", action)[1])], ["TransactWriteItems"])
    error_message = "An alarm looks at calls that the code does not make, or overlooks one that it makes."
  }
  assert {
    condition     = jsonencode({ for sid, statement in local.statements : sid => statement.resources }) == jsonencode({ ReadAndWriteMovies = ["arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies"], ReadWithTheTablesKey = ["arn:aws:kms:eu-west-1:123456789012:key/abc"], RememberCreations = ["arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies-creations"] })
    error_message = "The function may reach more than its tables and their key."
  }
  assert {
    condition     = local.trace_actions == ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:PutSpans", "xray:PutSpansForIndexing"]
    error_message = "The function may do other things to traces than send its own."
  }
}

# Callers reach the version before until the release has moved all of them: it may not lose its table on the way.
run "a_restored_table_is_served_and_the_own_one_still_reached" {
  variables {
    served_table = "mvdb-test-movies-restored-20261121t170000z"
  }
  assert {
    condition     = local.environment_variables.TABLE_NAME == var.served_table && output.table_name == var.served_table && module.table.table.name == "mvdb-test-movies"
    error_message = "The function does not read the restored table, or the own one is another."
  }
  assert {
    condition     = local.statements.ReadAndWriteMovies.resources == tolist([module.table.table.arn, "arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies-restored-20261121t170000z"])
    error_message = "A version of the function loses its table while the release goes on."
  }
}

run "a_table_of_somebody_else_is_not_served" {
  command = plan
  variables {
    served_table = "mvdb-prod-movies-restored-20261121t170000z"
  }
  expect_failures = [var.served_table]
}

run "c30_the_tables_key_is_used_through_dynamodb_only" {
  assert {
    condition     = local.statements.ReadWithTheTablesKey.actions == ["kms:Decrypt"] && local.statements.ReadWithTheTablesKey.condition == { StringEquals = { "kms:ViaService" = "dynamodb.eu-west-1.amazonaws.com" } }
    error_message = "The code could decrypt by itself what the key encrypted."
  }
}

run "c33_only_cloudwatch_logs_and_only_for_this_account_writes_with_the_logs_key" {
  command = plan
  assert {
    condition     = { for purpose, key in local.keys : purpose => keys(key.uses) } == { function = [], logs = ["LogsAreWritten"], table = [] } && local.keys.logs.uses.LogsAreWritten.service == "logs.eu-west-1.amazonaws.com" && local.keys.logs.uses.LogsAreWritten.condition == { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:eu-west-1:123456789012:log-group:*" } }
    error_message = "Logs cannot be written, or others' logs could be."
  }
}

run "in_aws_code_is_signed_traces_are_sent_and_logs_masked" {
  assert {
    condition     = length(local.layers) == 1 && local.signed.movies.key == "signed/movies-1.zip" && local.environment_variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318" && local.client_certificate != null && length(local.watched_log_groups) == 3 && local.canary == var.canary
    error_message = "Something is left out in AWS that only the emulator cannot hold."
  }
}

run "what_the_emulator_cannot_hold_is_not_made_there" {
  variables {
    environment = { name = "test", region = "eu-west-1", account_id = "123456789012", emulated = { endpoint = "http://127.0.0.1:4566" } }
  }
  assert {
    condition     = length(local.layers) == 0 && local.signed == null && local.client_certificate == null && length(local.watched_log_groups) == 0 && local.canary == null
    error_message = "Something is asked of the emulator that it cannot hold."
  }
}

run "c41_a_release_is_watched_by_the_alarms_of_the_newest_version" {
  assert {
    condition     = output.deployment_group == { application = "mvdb-test-movies", name = "mvdb-test-movies", alarms = tolist(["mvdb-test-movies-version-fails", "mvdb-test-movies-version-slow"]) }
    error_message = "CodeDeploy is not asked, or nothing stops it."
  }
  assert {
    condition     = local.next == { alias = "live", version = "7" }
    error_message = "The alarms watch another version than the one that is released."
  }
}

run "where_there_is_no_canary_all_calls_move_at_once" {
  variables {
    canary = null
  }
  assert {
    condition     = length(module.delivery) == 0 && output.deployment_group == null && !contains(keys(output.alarms), "mvdb-test-movies-version-fails")
    error_message = "CodeDeploy is asked where nobody wants it."
  }
}

run "a_function_in_a_network_has_no_way_out" {
  command = plan
  variables {
    network = { cidr = "10.0.0.0/24", zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }
  assert {
    condition     = length(module.network) == 1 && local.flow_log == { log_group_name = "/aws/vpc/mvdb-test-movies", addresses = "10.0.0.*" } && !contains(values(local.watched_log_groups), local.flow_log.log_group_name)
    error_message = "The network is not made, or nobody watches it, or who does sees masks."
  }
}

run "c22_the_environment_is_tables_a_region_the_consumers_and_no_secret" {
  assert {
    condition = { for name, value in local.environment_variables : name => value if name != "CONSUMERS" && !startswith(name, "OTEL_") } == {
      TABLE_NAME           = "mvdb-test-movies"
      CREATIONS_TABLE_NAME = "mvdb-test-movies-creations"
      REGION               = "eu-west-1"
      TOKEN_URL            = "https://mvdb-test-movies-123456789012.auth.eu-west-1.amazoncognito.com/oauth2/token"
      DOCUMENTATION_URL    = local.contract.externalDocs.url
    }
    error_message = "The function's environment is not what it reads at its start."
  }
  assert {
    condition     = local.environment_variables.CONSUMERS == "${module.identity.client_ids.operations}=operations:9999-12-31,${module.identity.client_ids.reader}=reader:9999-12-31"
    error_message = "The function does not know whose a client is, or until when."
  }
}

run "the_documentation_is_the_releases_unless_the_environment_names_another" {
  command = plan
  variables {
    documentation_url = "https://docs.example.org/movies"
  }
  assert {
    condition     = local.environment_variables.DOCUMENTATION_URL == "https://docs.example.org/movies"
    error_message = "The function does not link to the documentation that the environment names."
  }
  assert {
    condition     = strcontains(local.contract.externalDocs.url, "/v${local.contract.info.version}/")
    error_message = "The contract links to the documentation of another release."
  }
}

run "a_documentation_url_without_https_is_rejected" {
  command = plan
  variables {
    documentation_url = "docs.example.org/movies"
  }
  expect_failures = [var.documentation_url]
}

run "the_function_learns_the_origins_that_may_call" {
  command = plan
  variables {
    cors_origins = ["https://a.example", "https://b.example"]
  }
  assert {
    condition     = local.environment_variables["CORS_ORIGINS"] == "https://a.example,https://b.example"
    error_message = "The function does not learn which origins may call."
  }
}

run "what_aws_would_refuse_in_the_middle_of_an_apply_is_refused_before" {
  command = plan
  variables {
    environment        = { name = "a-long-environment", region = "eu-west-1", account_id = "123456789012" }
    log_retention_days = 100
    allowed_addresses  = ["192.0.2.7"]
  }
  expect_failures = [var.environment, var.log_retention_days, var.allowed_addresses]
}

run "origins_that_no_browser_sends_are_refused" {
  command = plan
  variables {
    cors_origins = ["*"]
  }
  expect_failures = [var.cors_origins]
}

run "an_origin_with_a_path_is_refused" {
  command = plan
  variables {
    cors_origins = ["https://app.example.org/"]
  }
  expect_failures = [var.cors_origins]
}

run "an_account_without_twelve_digits_is_refused" {
  command = plan
  variables {
    environment = { name = "test", region = "eu-west-1", account_id = "1234" }
  }
  expect_failures = [var.environment]
}

run "two_clients_of_a_consumer_are_one_to_the_function_and_its_alarm" {
  command = plan
  variables {
    consumers = { for name, requests in { shop = 1000, shop-next = 2000 } : name => { scopes = ["movies/read"], owner = "Shop", contact = "shop@example.com", expires_on = "2030-06-30", requests_per_hour = requests } }
  }
  assert {
    condition     = local.consumers == { shop = "shop:2030-06-30", shop-next = "shop:2030-06-30", operations = "operations:9999-12-31" }
    error_message = "A consumer that rotates its secret is two to the function."
  }
  assert {
    condition     = [for name, alarm in module.observability.alarms : name if strcontains(name, "consumer-usage")] == ["mvdb-test-movies-consumer-usage-shop"]
    error_message = "A consumer that rotates its secret is two to its alarm."
  }
}

# "4 KB, for all environment variables associated with the function, in aggregate":
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
run "as_many_consumers_as_the_functions_environment_holds_are_taken" {
  command = plan
  variables {
    consumers = { for number in range(61) : format("consumer%02d", number) => { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.com", expires_on = "9999-12-31", requests_per_hour = 1000 } }
  }
  assert {
    condition     = length(local.consumers) == 62
    error_message = "Fewer consumers are taken than fit."
  }
}

run "more_consumers_than_the_functions_environment_holds_are_refused" {
  command = plan
  variables {
    consumers = { for number in range(62) : format("consumer%02d", number) => { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.com", expires_on = "9999-12-31", requests_per_hour = 1000 } }
  }
  expect_failures = [var.consumers]
}

run "placeholders_are_refused_in_a_real_account" {
  command = plan
  variables {
    consumers = { reader = { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.org", expires_on = "9999-12-31", requests_per_hour = 1000 } }
    observability = {
      runbook_url = "https://github.com/your-organisation/mvdb/blob/main/infra/RUNBOOK.md"
      slo         = { availability = { target = 0.999 }, latency = { target = 0.99, threshold_milliseconds = 300 }, minimum_requests = 120 }
      subscribers = { page = [{ protocol = "email", endpoint = "on-call@example.org" }], ticket = [] }
      budget      = { usd_per_month = 50 }
    }
  }
  expect_failures = [var.consumers, var.observability]
}
