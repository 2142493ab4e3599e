mock_provider "aws" {}

variables {
  name       = "mvdb-test-movies-logs"
  purpose    = "Logs of mvdb-test-movies"
  account_id = "123456789012"
  uses = {
    LogsAreWritten = { service = "logs.eu-west-1.amazonaws.com", actions = ["kms:Decrypt"], condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:eu-west-1:123456789012:*" } } }
  }
}

run "c31_the_key_rotates_and_is_deleted_as_late_as_possible" {
  command = plan
  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "The key never changes, or is lost sooner than 30 days after somebody's mistake."
  }
}

run "c31_only_the_account_and_the_services_named_may_use_the_key" {
  command = plan
  assert {
    condition = jsonencode(jsondecode(aws_kms_key.this.policy).Statement) == jsonencode([
      { Sid = "AccountAdministers", Effect = "Allow", Principal = { AWS = "arn:aws:iam::123456789012:root" }, Action = "kms:*", Resource = "*" },
      { Sid = "LogsAreWritten", Effect = "Allow", Principal = { Service = "logs.eu-west-1.amazonaws.com" }, Action = ["kms:Decrypt"], Resource = "*", Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:eu-west-1:123456789012:*" } } },
    ])
    error_message = "Others than the account and the services named may use the key."
  }
}

run "the_key_is_found_by_its_name" {
  assert {
    condition     = aws_kms_alias.this.name == "alias/mvdb-test-movies-logs" && aws_kms_alias.this.target_key_id == aws_kms_key.this.key_id
    error_message = "The alias leads to no key, or to another."
  }
}

run "c30_a_use_without_a_condition_is_refused" {
  command = plan
  variables {
    uses = { Any = { service = "logs.eu-west-1.amazonaws.com", actions = ["kms:Decrypt"], condition = {} } }
  }
  expect_failures = [var.uses]
}
