# A REST API made from a contract (OpenAPI 3.0) in front of one Lambda alias. REST and not HTTP API: only REST has
# request models, gateway responses and WAF. What is added to the contract is told in body.tf.
resource "aws_api_gateway_rest_api" "this" {
  name                         = var.name
  body                         = local.body
  disable_execute_api_endpoint = var.domain != null # else callers pass by what the domain asks of them

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

# A stage serves a deployment, a snapshot: without the triggers a changed contract would be imported and never served, and the
# default endpoint would stay open beside a domain.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-disable-default-endpoint.html
resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  triggers    = { body = sha256(local.body), default_endpoint = var.domain == null ? "enabled" : "disabled" }

  lifecycle {
    create_before_destroy = true # a deployment that a stage serves cannot be deleted
  }
}

resource "aws_cloudwatch_log_group" "access" {
  name              = "/aws/api-gateway/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key.arn
}

# API Gateway writes its own errors under this name and would make the group itself, one that is kept for ever.
resource "aws_cloudwatch_log_group" "execution" {
  name              = "API-Gateway-Execution-Logs_${aws_api_gateway_rest_api.this.id}/${local.stage_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key.arn
}

resource "aws_api_gateway_stage" "this" {
  #checkov:skip=CKV2_AWS_29: the waf module stands before it (c04 in its tests); checkov does not follow a plug between modules
  #checkov:skip=CKV_AWS_120: no cache: a reader would get what was before a write for as long as it lives
  rest_api_id           = aws_api_gateway_rest_api.this.id
  deployment_id         = aws_api_gateway_deployment.this.id
  stage_name            = local.stage_name
  xray_tracing_enabled  = true
  client_certificate_id = one(var.client_certificate[*].id)

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    # API Gateway does not escape values: only those a caller cannot write quotes into, so no user agent and no path.
    format = jsonencode({
      request_id             = "$context.requestId"
      extended_request_id    = "$context.extendedRequestId"
      time_ms                = "$context.requestTimeEpoch"
      source_ip              = "$context.identity.sourceIp"
      client_id              = "$context.authorizer.claims.client_id"
      method                 = "$context.httpMethod"
      route                  = "$context.resourcePath"
      status                 = "$context.status"
      error_type             = "$context.error.responseType"
      waf                    = "$context.wafResponseCode"
      latency_ms             = "$context.responseLatency"
      integration_latency_ms = "$context.integrationLatency"
      integration_status     = "$context.integrationStatus"
    })
  }
}

locals {
  stage_name = "v1"

  # A route's settings replace the stage's, they are not merged: each gets all of them. API Gateway wants
  # "GET /movies" as "~1movies/GET".
  throttles = merge({ "*/*" = var.throttles.stage }, {
    for route, throttle in var.throttles.routes :
    "${replace(replace(split(" ", route)[1], local.last_parameter, "{$1+}"), "/", "~1")}/${split(" ", route)[0]}" => throttle
  })
}

resource "aws_api_gateway_method_settings" "this" {
  #checkov:skip=CKV_AWS_225: no cache, see the stage
  #checkov:skip=CKV_AWS_308: no cache, so nothing in it to encrypt
  for_each = local.throttles

  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = each.key

  settings {
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false # it would write bodies and tokens into the log
    throttling_rate_limit  = each.value.requests_per_second
    throttling_burst_limit = each.value.burst_requests
  }

  depends_on = [aws_cloudwatch_log_group.execution] # from here on errors are logged
}

resource "aws_lambda_permission" "this" {
  statement_id  = "api-gateway"
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  function_name = var.function.name
  qualifier     = var.function.alias
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/${aws_api_gateway_stage.this.stage_name}/*"
}

# The name under which callers know the API. Its record is made where its zone is, often another account: see the output.
resource "aws_api_gateway_domain_name" "this" {
  for_each = local.domain

  domain_name              = each.value.name
  regional_certificate_arn = each.value.certificate_arn
  security_policy          = "TLS_1_2" # and later; API Gateway's other choice admits TLS 1.0

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  dynamic "mutual_tls_authentication" {
    for_each = each.value.truststore[*]
    content {
      truststore_uri     = mutual_tls_authentication.value.uri
      truststore_version = mutual_tls_authentication.value.version
    }
  }
}

resource "aws_api_gateway_base_path_mapping" "this" {
  for_each = local.domain

  api_id      = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  domain_name = aws_api_gateway_domain_name.this[each.key].domain_name
}

locals {
  domain = { for domain in var.domain[*] : "this" => domain }
}
