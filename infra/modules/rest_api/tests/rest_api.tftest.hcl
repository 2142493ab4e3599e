mock_provider "aws" {
  mock_resource "aws_api_gateway_rest_api" {
    defaults = { id = "abc", execution_arn = "arn:aws:execute-api:eu-west-1:123456789012:abc" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:access" }
  }
}

variables {
  name      = "mvdb-test-movies"
  contract  = yamldecode(file("../../../lambda/crates/movies/openapi.yaml"))
  function  = { name = "mvdb-test-movies", alias = "live", invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:mvdb-test-movies:live/invocations" }
  user_pool = { arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_abc" }
  throttles = {
    stage  = { requests_per_second = 50, burst_requests = 100 }
    routes = { "GET /movies/{year}/{title}" = { requests_per_second = 20, burst_requests = 40 } }
  }
  cors_origins       = ["https://example.org"]
  log_retention_days = 30
}

run "every_operation_of_the_contract_is_routed_to_the_alias" {
  command = plan
  assert {
    condition = (
      toset(flatten([for path, item in var.contract.paths : [for method in keys(item) : "${method} ${path}" if method != "parameters"]])) ==
      toset(flatten([for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for method, operation in item : "${method} ${replace(path, "+}", "}")}" if method != "options" && operation["x-amazon-apigateway-integration"].uri == var.function.invoke_arn && operation["x-amazon-apigateway-integration"].type == "aws_proxy"]]))
    )
    error_message = "An operation of the contract is not routed to the alias, or one is routed that the contract does not have."
  }
}

run "every_operation_but_options_needs_a_token_of_our_pool" {
  command = plan
  assert {
    condition     = alltrue(flatten([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for method, operation in item : try(length(operation.security[0].oauth2) > 0, false) != (method == "options")]]))
    error_message = "An operation is open, or OPTIONS asks for a token that a browser does not send."
  }
  assert {
    condition     = jsondecode(aws_api_gateway_rest_api.this.body).components.securitySchemes.oauth2["x-amazon-apigateway-authorizer"].providerARNs == [var.user_pool.arn]
    error_message = "The authorizer does not ask our user pool."
  }
}

run "each_operation_asks_for_the_scopes_of_the_contract" {
  command = plan
  assert {
    condition = alltrue(flatten([for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for method, operation in item :
      toset(operation.security[0].oauth2) == toset(flatten([for alternative in try(var.contract.paths[replace(path, "+}", "}")][method].security, var.contract.security) : alternative.oauth2])) if method != "options"
    ]]))
    error_message = "An operation asks for other scopes than the contract says."
  }
  assert {
    condition = alltrue(flatten([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for method, operation in item :
      join(" ", operation.security[0].oauth2) == (contains(["get", "head"], method) ? "movies/read movies/write" : "movies/write") if method != "options"
    ]]))
    error_message = "Reading takes either scope, writing takes movies/write."
  }
}

run "every_operation_is_validated_and_only_a_patch_without_its_body" {
  command = plan
  assert {
    condition = alltrue(flatten([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for method, operation in item :
      jsondecode(aws_api_gateway_rest_api.this.body)["x-amazon-apigateway-request-validators"][operation["x-amazon-apigateway-request-validator"]] == { validateRequestParameters = true, validateRequestBody = !contains(["patch", "options"], method) }
    ]]))
    error_message = "An operation does not validate what it should."
  }
  assert {
    condition     = toset(flatten([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for method, operation in item : method if can(operation.requestBody)]])) == toset(["post", "put"])
    error_message = "POST and PUT have a model, and nothing else does."
  }
}

run "every_path_parameter_is_declared_and_required" {
  command = plan
  assert {
    condition = alltrue(flatten([for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for operation in item :
      toset([for parameter in operation.parameters : parameter.name if parameter.in == "path" && parameter.required]) == toset(flatten(regexall("{(\\w+)\\+?}", path)))
    ]]))
    error_message = "A parameter of a path is not declared with it: API Gateway would refuse the import."
  }
}

run "a_title_may_hold_slashes" {
  command = plan
  assert {
    condition     = toset(keys(jsondecode(aws_api_gateway_rest_api.this.body).paths)) == toset(["/movies", "/movies/{year}/{title+}", "/health", "/version"])
    error_message = "The title's path part is not greedy, or another one is."
  }
}

run "a_body_names_only_models_that_are_imported" {
  command = plan
  assert {
    condition     = length(setsubtract(flatten(regexall("#/components/schemas/(\\w+)", aws_api_gateway_rest_api.this.body)), keys(jsondecode(aws_api_gateway_rest_api.this.body).components.schemas))) == 0
    error_message = "A model is referred to that the body does not hold."
  }
  assert {
    condition     = can(jsondecode(aws_api_gateway_rest_api.this.body).components.schemas.Movie.properties.info)
    error_message = "The models of what POST and PUT take are missing."
  }
}

run "the_body_holds_nothing_that_api_gateway_cannot_import" {
  command = plan
  assert {
    condition     = length(regexall("\"(nullable|example|oneOf|anyOf|discriminator|readOnly|exclusiveMinimum|exclusiveMaximum)\":", aws_api_gateway_rest_api.this.body)) == 0
    error_message = "A keyword is in the body that API Gateway's models do not have."
  }
  assert {
    condition     = alltrue([for name in keys(jsondecode(aws_api_gateway_rest_api.this.body).components.schemas) : can(regex("^[A-Za-z0-9]+$", name))])
    error_message = "A model's name is not alphanumeric."
  }
  assert {
    condition     = startswith(jsondecode(aws_api_gateway_rest_api.this.body).openapi, "3.0.")
    error_message = "API Gateway imports OpenAPI 3.0 only."
  }
}

run "every_answer_of_the_gateway_is_a_problem_of_the_contract" {
  command = plan
  assert {
    condition = alltrue([for type, response in jsondecode(aws_api_gateway_rest_api.this.body)["x-amazon-apigateway-gateway-responses"] :
      response.responseParameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'" &&
      toset(keys(jsondecode(response.responseTemplates["application/json"]))) == toset(var.contract.components.schemas.Problem.required) &&
      tostring(jsondecode(response.responseTemplates["application/json"]).status) == response.statusCode &&
      contains(var.contract.components.schemas.Problem.properties.code.enum, jsondecode(response.responseTemplates["application/json"]).code)
    ])
    error_message = "An answer of the gateway is no problem as the contract describes it."
  }
  assert {
    condition     = toset(flatten(regexall("\\$context\\.[A-Za-z.]+", jsonencode(jsondecode(aws_api_gateway_rest_api.this.body)["x-amazon-apigateway-gateway-responses"])))) == toset(["$context.requestId"])
    error_message = "An answer repeats what the caller may have written, or lacks the request id."
  }
}

run "the_gateway_has_an_answer_for_each_of_its_refusals" {
  command = plan
  assert {
    condition = { for type, response in jsondecode(aws_api_gateway_rest_api.this.body)["x-amazon-apigateway-gateway-responses"] : type => "${response.statusCode} ${jsondecode(response.responseTemplates["application/json"]).code}" } == {
      ACCESS_DENIED                  = "403 forbidden"
      API_CONFIGURATION_ERROR        = "500 internal_error"
      AUTHORIZER_CONFIGURATION_ERROR = "500 internal_error"
      AUTHORIZER_FAILURE             = "500 internal_error"
      BAD_REQUEST_BODY               = "400 invalid_request"
      BAD_REQUEST_PARAMETERS         = "400 invalid_request"
      DEFAULT_4XX                    = "400 invalid_request"
      DEFAULT_5XX                    = "500 internal_error"
      EXPIRED_TOKEN                  = "403 forbidden"
      INTEGRATION_FAILURE            = "502 bad_gateway"
      INTEGRATION_TIMEOUT            = "504 timeout"
      INVALID_API_KEY                = "403 forbidden"
      INVALID_SIGNATURE              = "403 forbidden"
      MISSING_AUTHENTICATION_TOKEN   = "404 route_not_found"
      QUOTA_EXCEEDED                 = "429 too_many_requests"
      REQUEST_TOO_LARGE              = "413 payload_too_large"
      RESOURCE_NOT_FOUND             = "404 route_not_found"
      THROTTLED                      = "429 too_many_requests"
      UNAUTHORIZED                   = "401 unauthorized"
      UNSUPPORTED_MEDIA_TYPE         = "415 unsupported_media_type"
      WAF_FILTERED                   = "403 forbidden"
    }
    error_message = "A refusal of the gateway has not the status and code that the contract gives it."
  }
}

run "browsers_are_answered_only_when_origins_are_named" {
  command = plan
  variables {
    cors_origins = []
  }
  assert {
    condition     = !strcontains(aws_api_gateway_rest_api.this.body, "\"options\":")
    error_message = "An OPTIONS route exists although no origin may call."
  }
}

run "browsers_are_answered_on_every_path_when_origins_are_named" {
  command = plan
  assert {
    condition     = alltrue([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : can(item.options)])
    error_message = "A path has no OPTIONS route: a browser cannot ask whether it may call."
  }
}

run "a_changed_body_is_deployed" {
  command = plan
  assert {
    condition     = aws_api_gateway_deployment.this.triggers.body == sha256(aws_api_gateway_rest_api.this.body)
    error_message = "The deployment does not follow the body: a change would be imported and never served."
  }
}

run "a_route_is_throttled_as_told_and_keeps_the_rest_of_the_stages_settings" {
  command = plan
  assert {
    condition = { for path, method in aws_api_gateway_method_settings.this : path => [method.settings[0].throttling_rate_limit, method.settings[0].throttling_burst_limit] } == {
      "*/*"                            = [50, 100]
      "~1movies~1{year}~1{title+}/GET" = [20, 40]
    }
    error_message = "A throttle is not where it was asked for."
  }
  assert {
    condition     = alltrue([for method in aws_api_gateway_method_settings.this : method.settings[0].logging_level == "ERROR" && method.settings[0].metrics_enabled && !method.settings[0].data_trace_enabled])
    error_message = "A route is without metrics or error logs, or with a data trace."
  }
}

run "a_throttle_of_a_route_that_does_not_exist_is_refused" {
  command = plan
  variables {
    throttles = {
      stage  = { requests_per_second = 50, burst_requests = 100 }
      routes = { "GET /movie" = { requests_per_second = 1, burst_requests = 1 } }
    }
  }
  expect_failures = [var.throttles]
}

run "the_access_log_names_the_caller_and_repeats_nothing_a_caller_writes_freely" {
  assert {
    condition     = jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format).client_id == "$context.authorizer.claims.client_id" && jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format).request_id == "$context.requestId"
    error_message = "A line of the access log does not tell who called, or which request it is."
  }
  assert {
    condition     = length(regexall("context\\.(path|identity\\.userAgent|error\\.message|error\\.validationErrorString)\"", aws_api_gateway_stage.this.access_log_settings[0].format)) == 0
    error_message = "API Gateway does not escape this value: a quote in it would break or forge a line."
  }
}

run "both_logs_are_kept_as_long_as_asked" {
  assert {
    condition     = aws_cloudwatch_log_group.access.retention_in_days == 30 && aws_cloudwatch_log_group.execution.retention_in_days == 30
    error_message = "A log is kept for another time than asked."
  }
  assert {
    condition     = aws_cloudwatch_log_group.execution.name == "API-Gateway-Execution-Logs_abc/v1"
    error_message = "API Gateway would make a group of its own, one that is kept for ever."
  }
}

run "only_this_stage_may_call_and_only_the_alias" {
  assert {
    condition     = aws_lambda_permission.this.source_arn == "arn:aws:execute-api:eu-west-1:123456789012:abc/v1/*" && aws_lambda_permission.this.qualifier == "live" && aws_lambda_permission.this.principal == "apigateway.amazonaws.com"
    error_message = "The permission is wider than API Gateway's stage calling the alias."
  }
}

run "the_api_is_regional" {
  command = plan
  assert {
    condition     = aws_api_gateway_rest_api.this.endpoint_configuration[0].types == tolist(["REGIONAL"])
    error_message = "WAF of the region does not stand before an edge endpoint."
  }
}
