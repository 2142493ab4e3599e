# Who is told. AWS publishes to an encrypted topic only if the key, too, lets it: where a service is missing in the key's
# policy its notifications are lost without a trace.
locals {
  publishers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com", "events.amazonaws.com"]
  own_calls  = { StringEquals = { "aws:SourceAccount" = var.account_id } }
}

resource "aws_kms_key" "this" {
  description             = "Notifications of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AccountAdministers" # the account's own policies say who; without this nobody could, for ever
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*" # in a key's policy: this key
      },
      {
        Sid       = "ServicesPublish"
        Effect    = "Allow"
        Principal = { Service = local.publishers }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = local.own_calls
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-notifications"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_sns_topic" "this" {
  for_each = var.subscribers

  name              = "${var.name}-${each.key}"
  kms_master_key_id = aws_kms_key.this.arn
}

resource "aws_sns_topic_policy" "this" {
  for_each = aws_sns_topic.this

  arn = each.value.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ServicesPublish"
      Effect    = "Allow"
      Principal = { Service = local.publishers }
      Action    = "sns:Publish"
      Resource  = each.value.arn
      Condition = local.own_calls
    }]
  })
}

resource "aws_sns_topic_subscription" "this" {
  for_each = merge([for severity, subscribers in var.subscribers : {
    for subscriber in subscribers : "${severity} ${subscriber.endpoint}" => merge(subscriber, { severity = severity })
  }]...)

  topic_arn = aws_sns_topic.this[each.value.severity].arn
  protocol  = each.value.protocol
  endpoint  = each.value.endpoint
}
