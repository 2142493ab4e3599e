# A release by CodeDeploy: of all calls through the alias a few percent reach the new version first, and while they do, an alarm
# takes them back. Which versions, scripts/release says; nothing moves when this is applied.
resource "aws_codedeploy_app" "this" {
  name             = var.name
  compute_platform = "Lambda"
}

resource "aws_codedeploy_deployment_config" "this" {
  deployment_config_name = "${var.name}-${var.canary.percent}-percent-for-${var.canary.minutes}-minutes" # it cannot be changed, so another is another
  compute_platform       = "Lambda"

  traffic_routing_config {
    type = "TimeBasedCanary"

    time_based_canary {
      percentage = var.canary.percent
      interval   = var.canary.minutes
    }
  }

  lifecycle {
    create_before_destroy = true # the group uses the old one until it is given the new
  }
}

resource "aws_codedeploy_deployment_group" "this" {
  app_name               = aws_codedeploy_app.this.name
  deployment_group_name  = var.name
  deployment_config_name = aws_codedeploy_deployment_config.this.deployment_config_name
  service_role_arn       = aws_iam_role.this.arn

  deployment_style {
    deployment_type   = "BLUE_GREEN"
    deployment_option = "WITH_TRAFFIC_CONTROL"
  }

  alarm_configuration {
    enabled                   = true
    alarms                    = var.alarms
    ignore_poll_alarm_failure = false # who cannot see the alarms stops
  }

  auto_rollback_configuration {
    enabled = true
    events  = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]
  }

  depends_on = [aws_iam_role_policy.this] # CodeDeploy tries the role before it takes it
}

resource "aws_iam_role" "this" {
  name                 = "${var.name}-delivery"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "codedeploy.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

# AWS's managed policy for this allows the same on every function of the account, and to read S3.
resource "aws_iam_role_policy" "this" {
  name = "delivery"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "MoveTheAlias"
        Effect   = "Allow"
        Action   = ["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"]
        Resource = [local.function, "${local.function}:*"] # its aliases and versions
      },
      {
        Sid      = "SeeTheAlarms"
        Effect   = "Allow"
        Action   = ["cloudwatch:DescribeAlarms"]
        Resource = ["arn:aws:cloudwatch:${var.region}:${var.account_id}:alarm:*"] # a question for all alarms is about all of them
      },
    ]
  })
}

locals {
  function = "arn:aws:lambda:${var.region}:${var.account_id}:function:${var.function.name}"
}
