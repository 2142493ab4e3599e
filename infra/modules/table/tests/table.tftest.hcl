mock_provider "aws" {
  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies" }
  }
  mock_resource "aws_backup_vault" {
    defaults = { arn = "arn:aws:backup:eu-west-1:123456789012:backup-vault:mvdb-test-movies" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mvdb-test-movies-backup" }
  }
}

variables {
  name                 = "mvdb-test-movies"
  region               = "eu-west-1"
  account_id           = "123456789012"
  schema               = jsondecode(file("../../../lambda/services/movies/tables.json")).movies
  key                  = { arn = "arn:aws:kms:eu-west-1:123456789012:key/table" }
  max_units_per_second = { read = 1000, write = 200 }
  deletion_protection  = true
  recovery_days        = 35
  backup               = { retention_days = 90 }
  permissions_boundary = "arn:aws:iam::123456789012:policy/mvdb-boundary"
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

run "what_expires_is_deleted_by_dynamodb" {
  command = plan
  variables {
    schema = jsondecode(file("../../../lambda/services/movies/tables.json")).creations
  }
  assert {
    condition     = aws_dynamodb_table.this.ttl[0].enabled && aws_dynamodb_table.this.ttl[0].attribute_name == var.schema.expires
    error_message = "What has expired stays, and is paid for, for ever."
  }
}

run "what_does_not_expire_is_kept" {
  command = plan
  assert {
    condition     = length([for ttl in aws_dynamodb_table.this.ttl : ttl if try(ttl.enabled, false)]) == 0
    error_message = "DynamoDB deletes movies by itself."
  }
}

run "c12_the_table_grows_with_demand_up_to_what_may_be_spent" {
  command = plan
  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST"
    error_message = "The table has a capacity of its own that it can run out of."
  }
  assert {
    condition     = [aws_dynamodb_table.this.on_demand_throughput[0].max_read_request_units, aws_dynamodb_table.this.on_demand_throughput[0].max_write_request_units] == [1000, 200]
    error_message = "Nothing ends what a flood of requests costs."
  }
}

run "c13_the_table_can_be_restored_for_as_long_as_asked" {
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

run "c14_the_table_is_copied_every_day_and_each_copy_kept_as_long_as_asked" {
  assert {
    condition     = aws_backup_selection.this["this"].resources == toset([aws_dynamodb_table.this.arn]) && aws_backup_selection.this["this"].plan_id == aws_backup_plan.this["this"].id
    error_message = "The backup plan does not copy this table, or copies another."
  }
  assert {
    condition     = [for rule in aws_backup_plan.this["this"].rule : [rule.target_vault_name, rule.schedule, rule.lifecycle[0].delete_after]] == [["mvdb-test-movies", "cron(17 3 * * ? *)", 90]]
    error_message = "Copies are not made every day, go elsewhere, or are kept for another time than asked."
  }
  assert {
    condition     = output.backup == { vault_name = "mvdb-test-movies" }
    error_message = "Nobody learns which vault to watch."
  }
}

run "no_copies_are_made_unless_asked" {
  command = plan
  variables {
    backup = null
  }
  assert {
    condition     = length(aws_backup_plan.this) + length(aws_backup_vault.this) + length(aws_iam_role.backup) == 0 && output.backup == null
    error_message = "Copies are made that nobody asked for."
  }
}

run "c15_the_table_cannot_be_deleted_by_mistake" {
  command = plan
  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "The table can be deleted."
  }
}

run "c16_the_table_is_encrypted_with_the_key" {
  command = plan
  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].enabled && aws_dynamodb_table.this.server_side_encryption[0].kms_key_arn == var.key.arn
    error_message = "The table is not encrypted with the customer key."
  }
}

run "c40_the_copies_are_encrypted_with_the_key" {
  command = plan
  assert {
    condition     = aws_backup_vault.this["this"].kms_key_arn == var.key.arn
    error_message = "The vault is not encrypted with the customer key."
  }
}

run "every_change_can_be_followed_for_a_day" {
  command = plan
  assert {
    condition     = aws_dynamodb_table.this.stream_enabled && aws_dynamodb_table.this.stream_view_type == "NEW_AND_OLD_IMAGES"
    error_message = "The table has no stream, or one that does not tell what was there before."
  }
}

run "c36_the_backups_role_may_copy_this_table_and_nothing_else" {
  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.backup["this"].policy).Statement : statement.Sid => join(" ", concat(statement.Action, statement.Resource)) } == {
      CopyTheTable         = "dynamodb:DescribeTable dynamodb:ListTagsOfResource dynamodb:StartAwsBackupJob arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies"
      IntoTheVault         = "backup:CopyIntoBackupVault backup:DescribeBackupVault arn:aws:backup:eu-west-1:123456789012:backup-vault:mvdb-test-movies"
      TagTheCopies         = "backup:TagResource arn:aws:backup:eu-west-1:123456789012:recovery-point:*"
      ReadWithTheKey       = "kms:Decrypt kms:GenerateDataKey arn:aws:kms:eu-west-1:123456789012:key/table"
      KnowTheKey           = "kms:DescribeKey arn:aws:kms:eu-west-1:123456789012:key/table"
      LendTheKeyToTheVault = "kms:CreateGrant arn:aws:kms:eu-west-1:123456789012:key/table"
    }
    error_message = "The role may do more or less than copy this table."
  }
  assert {
    condition     = jsonencode(jsondecode(aws_iam_role.backup["this"].assume_role_policy).Statement) == jsonencode([{ Action = "sts:AssumeRole", Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } }, Effect = "Allow", Principal = { Service = "backup.amazonaws.com" } }])
    error_message = "Another than this account's AWS Backup may take the role."
  }
  assert {
    condition     = aws_iam_role.backup["this"].permissions_boundary == var.permissions_boundary
    error_message = "The role is unbounded."
  }
}

run "c30_the_backups_role_uses_the_key_through_its_services_only" {
  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.backup["this"].policy).Statement : statement.Sid => jsonencode(statement.Condition) if can(statement.Condition) } == {
      ReadWithTheKey       = jsonencode({ StringEquals = { "kms:ViaService" = ["dynamodb.eu-west-1.amazonaws.com", "backup.eu-west-1.amazonaws.com"] } })
      LendTheKeyToTheVault = jsonencode({ Bool = { "kms:GrantIsForAWSResource" = "true" } })
    }
    error_message = "The role could decrypt by itself whatever the key encrypted."
  }
}
