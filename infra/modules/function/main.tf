# A Lambda function of a built package, behind the alias `live`. Every apply that changes it publishes a version;
# which version `live` points to is the release's business, so an apply alone never changes what callers get.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_iam_role" "this" {
  name = var.name
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
  # itself would have no retention.
  platform_statements = [{
    Sid      = "WriteItsOwnLog"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = ["${aws_cloudwatch_log_group.this.arn}:*"] # the streams of this one group
  }]
}

resource "aws_iam_role_policy" "this" {
  name = "function"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.platform_statements, [for sid, statement in var.statements : {
      Sid      = sid
      Effect   = "Allow"
      Action   = statement.actions
      Resource = statement.resources
    }])
  })
}

resource "aws_lambda_function" "this" {
  function_name                  = var.name
  role                           = aws_iam_role.this.arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  filename                       = var.package
  source_code_hash               = filebase64sha256(var.package)
  publish                        = true
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency == null ? -1 : var.reserved_concurrency

  environment {
    variables = var.environment_variables
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = var.log_level
    system_log_level      = "WARN"
    log_group             = aws_cloudwatch_log_group.this.name
  }

  # Without its rights a first call would fail: an apply has ended only when the function can be called.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.this.function_name
  function_version = aws_lambda_function.this.version

  lifecycle {
    ignore_changes = [function_version, routing_config]
  }
}
