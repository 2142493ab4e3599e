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
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/mvdb-test-movies/abc" }
  }
}

# The package is not built for these tests.
override_module {
  target = module.function
  outputs = {
    function       = { name = "mvdb-test-movies", alias = "live", invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:mvdb-test-movies:live/invocations" }
    newest_version = "7"
  }
}

variables {
  environment         = { name = "test", region = "eu-west-1", account_id = "123456789012" }
  function            = { architecture = "arm64", memory_mb = 512, timeout_seconds = 10, log_level = "INFO" }
  table               = { recovery_days = 35 }
  consumers           = { reader = { scopes = ["movies/read"] } }
  throttles           = { stage = { requests_per_second = 50, burst_requests = 100 }, routes = {} }
  waf                 = { requests_per_source_per_minute = 1000 }
  cors_origins        = []
  deletion_protection = true
  log_retention_days  = 30
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

run "callers_are_sent_to_the_emulator_where_there_is_one" {
  variables {
    environment = { name = "test", region = "eu-west-1", account_id = "123456789012", emulated = { endpoint = "http://127.0.0.1:4566" } }
  }
  assert {
    condition     = output.api_url == "http://127.0.0.1:4566/_aws/execute-api/abc/v1" && output.token_url == "http://127.0.0.1:4566/oauth2/token"
    error_message = "A URL does not lead to the emulator."
  }
}

run "the_code_may_make_five_calls_on_its_own_table" {
  assert {
    condition = local.statements == { ReadAndWriteMovies = {
      actions   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:DeleteItem"]
      resources = ["arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies"]
    } }
    error_message = "The function may do more or less than its code does."
  }
}

run "the_function_learns_its_table_and_region_and_no_origins" {
  command = plan
  assert {
    condition     = local.environment_variables == { TABLE_NAME = "mvdb-test-movies", REGION = "eu-west-1" }
    error_message = "The function's environment is not what it reads at its start."
  }
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
