# A DynamoDB table of a given schema, paid per request and encrypted with a customer key.
resource "aws_dynamodb_table" "this" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = var.schema.partition_key.name
  range_key                   = var.schema.sort_key.name
  deletion_protection_enabled = var.deletion_protection # data, as `prevent_destroy` cannot be

  attribute {
    name = var.schema.partition_key.name
    type = var.schema.partition_key.type
  }

  attribute {
    name = var.schema.sort_key.name
    type = var.schema.sort_key.type
  }

  # Paid per request has no end by itself: above this DynamoDB throttles, and the bill stays what was agreed.
  on_demand_throughput {
    max_read_request_units  = var.max_units_per_second.read
    max_write_request_units = var.max_units_per_second.write
  }

  dynamic "ttl" {
    for_each = var.schema.expires[*]
    content {
      attribute_name = ttl.value
      enabled        = true
    }
  }

  # Every change, kept for 24 hours, for whoever needs to follow or to undo; unread it costs nothing.
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.key.arn
  }

  # The days are said aloud: left out, the provider compares its own 0 with AWS's default and plans a change for ever.
  point_in_time_recovery {
    enabled                 = var.recovery_days > 0
    recovery_period_in_days = var.recovery_days > 0 ? var.recovery_days : null
  }
}
