mock_provider "aws" {}

variables {
  name                = "mvdb-test-movies"
  schema              = jsondecode(file("../../../lambda/crates/movies/tables.json")).movies
  deletion_protection = true
  recovery_days       = 35
}

run "the_keys_are_those_of_the_schema_file" {
  command = plan
  assert {
    condition     = aws_dynamodb_table.this.hash_key == var.schema.partition_key.name && aws_dynamodb_table.this.range_key == var.schema.sort_key.name
    error_message = "The keys are not those of tables.json."
  }
  assert {
    condition     = { for attribute in aws_dynamodb_table.this.attribute : attribute.name => attribute.type } == { (var.schema.partition_key.name) = var.schema.partition_key.type, (var.schema.sort_key.name) = var.schema.sort_key.type }
    error_message = "The types of the keys are not those of tables.json."
  }
}

run "the_table_is_paid_per_request_encrypted_and_protected" {
  command = plan
  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST"
    error_message = "The table has a capacity of its own that it can run out of."
  }
  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].enabled
    error_message = "The table is not encrypted with a KMS key."
  }
  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "The table can be deleted."
  }
}

run "the_table_can_be_restored_for_as_long_as_asked" {
  command = plan
  assert {
    condition     = aws_dynamodb_table.this.point_in_time_recovery[0].enabled && aws_dynamodb_table.this.point_in_time_recovery[0].recovery_period_in_days == 35
    error_message = "The table cannot be restored to any second of the last 35 days."
  }
}

run "no_recovery_is_asked_for_with_0_days" {
  command = plan
  variables {
    recovery_days = 0
  }
  assert {
    condition     = !aws_dynamodb_table.this.point_in_time_recovery[0].enabled
    error_message = "Recovery is on although nobody asked for it."
  }
}

run "more_days_than_aws_keeps_are_refused" {
  command = plan
  variables {
    recovery_days = 36
  }
  expect_failures = [var.recovery_days]
}
