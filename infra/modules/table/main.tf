# A DynamoDB table of a given schema, paid per request.
resource "aws_dynamodb_table" "this" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = var.schema.partition_key.name
  range_key                   = var.schema.sort_key.name
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = var.schema.partition_key.name
    type = var.schema.partition_key.type
  }

  attribute {
    name = var.schema.sort_key.name
    type = var.schema.sort_key.type
  }

  server_side_encryption {
    enabled = true
  }

  # The days are said aloud: left out, the provider compares its own 0 with AWS's default and plans a change for ever.
  point_in_time_recovery {
    enabled                 = var.recovery_days > 0
    recovery_period_in_days = var.recovery_days > 0 ? var.recovery_days : null
  }
}
