# Who is told. AWS publishes to an encrypted topic only if the key, too, lets it: where a service is missing in the key's
# policy its notifications are lost without a trace.
locals {
  publishers = { CloudWatch = "cloudwatch.amazonaws.com", Budgets = "budgets.amazonaws.com", EventBridge = "events.amazonaws.com" }
  # Not aws:SourceAccount: EventBridge does not tell KMS whom it publishes for, and would be refused. SNS names the topic to
  # KMS whoever publishes, and who may publish to the topic is its policy's to say.
  own_topics = { ArnLike = { "kms:EncryptionContext:aws:sns:topicArn" = "arn:aws:sns:${var.region}:${var.account_id}:${var.name}-*" } }
  key_uses   = { for sid, service in local.publishers : sid => { service = service, actions = ["kms:Decrypt", "kms:GenerateDataKey*"], condition = local.own_topics } }
}

module "key" {
  source = "../key"

  name       = "${var.name}-notifications"
  purpose    = "Notifications of ${var.name}"
  account_id = var.account_id
  uses       = local.key_uses
}

resource "aws_sns_topic" "this" {
  for_each = var.subscribers

  name              = "${var.name}-${each.key}"
  kms_master_key_id = module.key.key.arn
}

# EventBridge sends no aws:SourceAccount: with that condition SNS refuses it, and only FailedInvocations shows it.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
resource "aws_sns_topic_policy" "this" {
  #checkov:skip=CKV_AWS_385: the principal is EventBridge, which supports no condition here; the topic's key bounds it too
  for_each = aws_sns_topic.this

  arn = each.value.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsAndBudgetsPublish"
        Effect    = "Allow"
        Principal = { Service = [local.publishers.Budgets, local.publishers.CloudWatch] }
        Action    = "sns:Publish"
        Resource  = each.value.arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      },
      {
        Sid       = "EventBridgePublishes"
        Effect    = "Allow"
        Principal = { Service = local.publishers.EventBridge }
        Action    = "sns:Publish"
        Resource  = each.value.arn
      },
    ]
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
