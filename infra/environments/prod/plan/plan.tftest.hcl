# The whole plan, without an account: scripts/parity reads it. A mock knows no values that AWS makes, only what is asked of it.
mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "222222222222" }
  }
}

run "plan" {
  command = plan
}
