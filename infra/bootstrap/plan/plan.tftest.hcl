# Bootstrap as a whole, planned without an account: test_rights.py reads the policies from it.
mock_provider "aws" {
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:222222222222:key/key" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::222222222222:policy/mvdb-bootstrap-boundary" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::222222222222:oidc-provider/token.actions.githubusercontent.com" }
  }
  override_resource {
    target = aws_s3_bucket.this["state"]
    values = { arn = "arn:aws:s3:::tfstate-mvdb-222222222222-eu-west-1" }
  }
  override_resource {
    target = aws_s3_bucket.this["evidence"]
    values = { arn = "arn:aws:s3:::evidence-mvdb-222222222222-eu-west-1" }
  }
  override_resource {
    target = aws_s3_bucket.this["log"]
    values = { arn = "arn:aws:s3:::tfstate-mvdb-log-222222222222-eu-west-1" }
  }
}

variables {
  account_id = "222222222222"
  region     = "eu-west-1"
  github = {
    repository      = "example/mvdb"
    owner_id        = 123456
    repository_id   = 456789
    plan_subjects   = ["ref:refs/heads/main"]
    deploy_subjects = ["environment:prod"]
  }
  api_gateway_log_role_arn = null
  create_trail             = true
}

run "bootstrap" {
  command = plan
}
