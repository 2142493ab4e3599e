# What AWS has once per account, or per account and region. A stack that owned it would take it from all others when it goes.

# API Gateway writes the logs of all its APIs in a region by one role.
resource "aws_api_gateway_account" "this" {
  for_each = aws_iam_role.api_gateway_log

  cloudwatch_role_arn = each.value.arn

  lifecycle {
    prevent_destroy = true # every API of the region would stop logging, without a word
  }

  depends_on = [aws_iam_role_policy_attachment.api_gateway_log] # API Gateway tries the role before it takes it
}

resource "aws_iam_role" "api_gateway_log" {
  for_each = toset(var.api_gateway_log_role_arn == null ? ["this"] : [])

  name = "${local.name}-api-gateway-log"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "apigateway.amazonaws.com" }
    }]
  })
}

# AWS's own policy, the only one that is: API Gateway tries a role against what that allows, and it makes groups of names
# that it chooses, for every API of the region, those of others too.
resource "aws_iam_role_policy_attachment" "api_gateway_log" {
  for_each = aws_iam_role.api_gateway_log

  role       = each.value.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

# No bucket of this account is ever public, whatever its own settings say.
resource "aws_s3_account_public_access_block" "this" {
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# Traces that arrive by OpenTelemetry are kept as log lines; X-Ray writes them if the groups let it. Sending them there is
# switched on by two commands, see outputs.tf: the provider has no resource for it.
resource "aws_cloudwatch_log_resource_policy" "spans" {
  policy_name = "${local.name}-spans"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "XRayWritesSpans"
      Effect    = "Allow"
      Principal = { Service = "xray.amazonaws.com" }
      Action    = "logs:PutLogEvents"
      Resource = [for group in ["aws/spans", "/aws/application-signals/data"] :
      "arn:aws:logs:${var.region}:${var.account_id}:log-group:${group}:*"]
      Condition = {
        ArnLike      = { "aws:SourceArn" = "arn:aws:xray:${var.region}:${var.account_id}:*" }
        StringEquals = { "aws:SourceAccount" = var.account_id }
      }
    }]
  })
}

# EventBridge delivers "AWS API Call via CloudTrail" only where a trail logs management events; the stacks' rules for
# threatened keys and the kill switch need it. The first trail of a region is free but for its objects in S3.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
resource "aws_cloudtrail" "this" {
  #checkov:skip=CKV_AWS_35: the log bucket has S3's own key, see state.tf
  #checkov:skip=CKV_AWS_252: no person reads about each object; EventBridge delivers the events that matter
  #checkov:skip=CKV2_AWS_10: as above
  count = var.create_trail ? 1 : 0

  name                       = local.name
  s3_bucket_name             = aws_s3_bucket.this["log"].id
  s3_key_prefix              = "cloudtrail"
  is_multi_region_trail      = true
  enable_log_file_validation = true

  depends_on = [aws_s3_bucket_policy.this] # CloudTrail tries to write before it accepts the bucket
}
