# A Lambda function of a built package, behind the alias `live`. Every apply that changes it publishes a version;
# which version `live` points to is the release's business, so an apply alone never changes what callers get.
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338: how long is the environment's decision: prod keeps 400 days
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.keys.logs.arn
}

resource "aws_iam_role" "this" {
  name                 = var.name
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

locals {
  # What the platform does in the function's name, not its code. No logs:CreateLogGroup: a group that Lambda makes by
  # itself would have no retention. Nothing for the environment's key: Lambda has a grant on it, for this very role, so a
  # role that was deleted and made anew needs a new version of the function.
  platform_statements = concat(
    [
      {
        Sid      = "WriteItsOwnLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:*"] # the streams of this one group
      },
      {
        Sid      = "SendTraces"
        Effect   = "Allow"
        Action   = var.trace_actions
        Resource = ["*"] # X-Ray's writes have no resource
      },
    ],
    # Lambda makes network interfaces by this role. They have no name beforehand, so the code itself is refused the same:
    # a request from inside the function bears its ARN, one that Lambda makes does not.
    flatten([for network in var.network[*] : [
      {
        Sid      = "StandInTheNetwork"
        Effect   = "Allow"
        Action   = local.interface_actions
        Resource = ["*"]
      },
      {
        Sid       = "ButNotByItsCode"
        Effect    = "Deny"
        Action    = local.interface_actions
        Resource  = ["*"]
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = ["arn:aws:lambda:${var.region}:${var.account_id}:function:${var.name}"] } }
      },
    ]]),
  )
  interface_actions = [
    "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
    "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"
  ]
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.platform_statements, [for sid, statement in var.statements : merge(
      { Sid = sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources },
      { for key in ["Condition"] : key => statement.condition if statement.condition != null },
    )])
  })
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116: nobody calls it asynchronously, so there is no letter that could be dead: who calls gets the error
  #checkov:skip=CKV_AWS_117: whether it stands in a network is the environment's decision: prod's does, see infra/README.md
  function_name                  = var.name
  role                           = aws_iam_role.this.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  layers                         = var.layers
  filename                       = var.package.signed == null ? var.package.path : null
  source_code_hash               = var.package.signed == null ? filebase64sha256(var.package.path) : null # a signed one has a new key
  s3_bucket                      = one(var.package.signed[*].bucket)
  s3_key                         = one(var.package.signed[*].key)
  code_signing_config_arn        = one(var.package.signed[*].config_arn)
  publish                        = true
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency == null ? -1 : var.reserved_concurrency
  kms_key_arn                    = var.keys.environment.arn

  environment {
    variables = var.environment_variables
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = var.log_level
    system_log_level      = "WARN"
    log_group             = aws_cloudwatch_log_group.this.name
  }

  tracing_config {
    mode = "Active"
  }

  dynamic "vpc_config" {
    for_each = var.network[*]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  # Without its rights a first call would fail: an apply has ended only when the function can be called.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version

  lifecycle {
    ignore_changes = [description, function_version, routing_config] # in the description the release notes what was live before
  }
}
