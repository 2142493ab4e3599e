# The whole of prod, without an account, made of nothing: what test_plan.py and scripts/parity read. AWS's answers are made
# up; what is asked of it is not. Where two of a type must not be mistaken for each other, each has an ARN of its own.
mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "222222222222" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:222222222222:log-group:group" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::222222222222:role/role" }
  }
  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-west-1:222222222222:table/mvdb-prod-movies" }
  }
  mock_resource "aws_backup_vault" {
    defaults = { arn = "arn:aws:backup:eu-west-1:222222222222:backup-vault:mvdb-prod-movies" }
  }
  mock_resource "aws_cognito_user_pool" {
    defaults = { arn = "arn:aws:cognito-idp:eu-west-1:222222222222:userpool/pool" }
  }
  mock_resource "aws_api_gateway_rest_api" {
    defaults = { id = "api", execution_arn = "arn:aws:execute-api:eu-west-1:222222222222:api" }
  }
  mock_resource "aws_api_gateway_stage" {
    defaults = { arn = "arn:aws:apigateway:eu-west-1::/restapis/api/stages/v1" }
  }
  mock_resource "aws_wafv2_regex_pattern_set" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:222222222222:regional/regexpatternset/mvdb-prod-movies-frozen/abc" }
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:222222222222:regional/webacl/mvdb-prod-movies/acl" }
  }
  mock_resource "aws_lambda_layer_version" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:222222222222:layer:mvdb-prod-movies-telemetry:1" }
  }
  mock_resource "aws_lambda_code_signing_config" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:222222222222:code-signing-config:csc-1" }
  }
  mock_resource "aws_signer_signing_profile" {
    defaults = { version_arn = "arn:aws:signer:eu-west-1:222222222222:/signing-profiles/profile/1" }
  }
  override_resource {
    target = module.movies.module.function.aws_lambda_function.this
    values = { version = "7", invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/function/invocations" }
  }
  override_resource {
    target = module.movies.module.creations.aws_dynamodb_table.this
    values = { arn = "arn:aws:dynamodb:eu-west-1:222222222222:table/mvdb-prod-movies-creations" }
  }
  override_resource {
    target = module.movies.module.key["table"].aws_kms_key.this
    values = { arn = "arn:aws:kms:eu-west-1:222222222222:key/table" }
  }
  override_resource {
    target = module.movies.module.key["function"].aws_kms_key.this
    values = { arn = "arn:aws:kms:eu-west-1:222222222222:key/function" }
  }
  override_resource {
    target = module.movies.module.key["logs"].aws_kms_key.this
    values = { arn = "arn:aws:kms:eu-west-1:222222222222:key/logs" }
  }
  override_resource {
    target = module.movies.module.observability.module.key.aws_kms_key.this
    values = { arn = "arn:aws:kms:eu-west-1:222222222222:key/notifications" }
  }
  override_resource {
    target = module.movies.module.observability.aws_sns_topic.this["page"]
    values = { arn = "arn:aws:sns:eu-west-1:222222222222:mvdb-prod-movies-page" }
  }
  override_resource {
    target = module.movies.module.observability.aws_sns_topic.this["ticket"]
    values = { arn = "arn:aws:sns:eu-west-1:222222222222:mvdb-prod-movies-ticket" }
  }
  override_resource {
    target = module.movies.module.signing["this"].aws_signer_signing_job.this["movies"]
    values = { signed_object = [{ s3 = [{ bucket = "packages", key = "signed/movies" }] }] }
  }
  override_resource {
    target = module.movies.module.signing["this"].aws_signer_signing_job.this["telemetry"]
    values = { signed_object = [{ s3 = [{ bucket = "packages", key = "signed/telemetry" }] }] }
  }
}

run "prod" {
}
