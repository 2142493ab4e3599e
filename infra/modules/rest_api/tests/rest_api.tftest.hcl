mock_provider "aws" {
  mock_resource "aws_api_gateway_rest_api" {
    defaults = { id = "abc", execution_arn = "arn:aws:execute-api:eu-west-1:123456789012:abc" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:access" }
  }
}

variables {
  name              = "mvdb-test-movies"
  documentation_url = "https://docs.example.org/movies"
  contract          = yamldecode(file("../../../lambda/services/movies/openapi.yaml"))
  function          = { name = "mvdb-test-movies", alias = "live", invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:mvdb-test-movies:live/invocations" }
  user_pool         = { arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_abc" }
  throttles = {
    stage  = { requests_per_second = 50, burst_requests = 100 }
    routes = { "GET /movies/{year}/{title}" = { requests_per_second = 20, burst_requests = 40 } }
  }
  cors_origins       = ["https://example.org"]
  log_retention_days = 400
  key                = { arn = "arn:aws:kms:eu-west-1:123456789012:key/logs" }
  client_certificate = { id = "certificate" }
}

run "every_operation_of_the_contract_is_routed_to_the_alias" {
  command = plan
  assert {
    condition = (
      toset(flatten([for path, item in var.contract.paths : [
        for method in keys(item) : "${method} ${path}" if method != "parameters"
      ]])) ==
      toset(flatten([for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [
        for method in keys(item) : "${method} ${replace(path, "+}", "}")}"
        if !contains(["options", "x-amazon-apigateway-any-method"], method)
      ]]))
    )
    error_message = "An operation of the contract is not routed, or one is routed that the contract does not have."
  }
  assert {
    condition = alltrue(flatten([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [
      for operation in item : operation["x-amazon-apigateway-integration"].uri == var.function.invoke_arn &&
      operation["x-amazon-apigateway-integration"].type == "aws_proxy"
    ]]))
    error_message = "An operation is not passed to the alias."
  }
}

run "paths_and_methods_that_the_contract_does_not_have_reach_the_function" {
  command = plan
  assert {
    condition = toset([
      for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths : path
      if can(item["x-amazon-apigateway-any-method"])
    ]) == toset(["/", "/{proxy+}"])
    error_message = "The gateway answers an unknown path or method itself, with a 403 about credentials."
  }
  assert {
    condition     = !strcontains(jsonencode(var.contract), "x-amazon")
    error_message = "The contract has an AWS extension; Terraform adds them."
  }
}

run "c06_every_operation_of_the_contract_needs_a_token_of_our_pool" {
  command = plan
  assert {
    condition = alltrue(flatten([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [
      for method, operation in item : try(length(operation.security[0].oauth2) > 0, false)
      if !contains(["options", "x-amazon-apigateway-any-method"], method)
    ]]))
    error_message = "An operation of the contract is open."
  }
  assert {
    condition = jsondecode(aws_api_gateway_rest_api.this.body).components.securitySchemes.oauth2[
      "x-amazon-apigateway-authorizer"
    ].providerARNs == [var.user_pool.arn]
    error_message = "The authorizer does not ask our user pool."
  }
}

# The function answers them with 404, 405 or CORS headers alone (tests/api/contract.rs).
run "c06_only_preflights_and_what_the_contract_does_not_have_need_no_token" {
  command = plan
  assert {
    condition = toset(flatten([for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [
      for method, operation in item : "${method} ${path}" if operation.security == []
      ]])) == setunion(
      ["x-amazon-apigateway-any-method /", "x-amazon-apigateway-any-method /{proxy+}"],
    [for path in keys(var.contract.paths) : "options ${replace(path, "/{title}", "/{title+}")}"])
    error_message = "Something else needs no token, or a preflight or an unknown path needs one."
  }
}

run "c06_each_operation_asks_for_the_scopes_of_the_contract" {
  command = plan
  assert {
    condition = alltrue(flatten([for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for method, operation in item :
      toset(operation.security[0].oauth2) == toset(flatten([
        for alternative in try(var.contract.paths[replace(path, "+}", "}")][method].security, var.contract.security) :
        alternative.oauth2
      ])) if operation.security != []
    ]]))
    error_message = "An operation asks for other scopes than the contract says."
  }
  assert {
    condition = alltrue(flatten([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for method, operation in item :
      join(" ", operation.security[0].oauth2) ==
      (contains(["get", "head"], method) ? "movies/read movies/write" : "movies/write") if operation.security != []
    ]]))
    error_message = "Reading takes either scope, writing takes movies/write."
  }
}

run "c09_every_request_is_validated_and_every_body_has_a_model" {
  command = plan
  assert {
    condition = alltrue(flatten([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [
      for operation in item :
      jsondecode(aws_api_gateway_rest_api.this.body)["x-amazon-apigateway-request-validators"][
        operation["x-amazon-apigateway-request-validator"]
      ] == { validateRequestParameters = true, validateRequestBody = true }
    ]]))
    error_message = "An operation does not validate its requests."
  }
  assert {
    condition = {
      for operation in flatten([for path, item in var.contract.paths : [
        for method, operation in item : { name = "${method} ${path}", types = keys(operation.requestBody.content) }
        if can(operation.requestBody)
      ]]) : operation.name => operation.types
      } == {
      for operation in flatten([for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [
        for method, operation in item : {
          name = "${method} ${replace(path, "+}", "}")}"
          types = [for type, content in operation.requestBody.content : type
          if content.schema["$ref"] == "#/components/schemas/Body"]
        } if can(operation.requestBody)
      ]]) : operation.name => operation.types
    }
    error_message = "A body of the contract has no model, or something else has one."
  }
  assert {
    condition = (jsonencode(jsondecode(aws_api_gateway_rest_api.this.body).components.schemas) ==
    jsonencode({ Body = { type = "object", maxProperties = 100 } }))
    error_message = "The model checks neither type nor size, or so much that the function cannot name the invalid field."
  }
}

run "a_missing_query_parameter_reaches_the_function_which_names_it" {
  command = plan
  assert {
    condition = alltrue(flatten([for item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [
      for operation in item : [for parameter in operation.parameters : parameter.required == (parameter.in == "path")]
    ]]))
    error_message = "The gateway rejects a missing query parameter without naming it."
  }
}

run "every_path_parameter_is_declared_and_required" {
  command = plan
  assert {
    condition = alltrue(flatten([for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths : [for operation in item :
      toset([for parameter in operation.parameters : parameter.name if parameter.in == "path" && parameter.required]) == toset(flatten(regexall("{(\\w+)\\+?}", path)))
    ]]))
    error_message = "A parameter of a path is not declared: API Gateway rejects the import."
  }
}

run "a_title_may_hold_slashes" {
  command = plan
  assert {
    condition = toset(keys(jsondecode(aws_api_gateway_rest_api.this.body).paths)) == setunion(
    [for path in keys(var.contract.paths) : replace(path, "/{title}", "/{title+}")], ["/{proxy+}"])
    error_message = "The title's path part is not greedy, or another one is."
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

run "every_response_of_the_gateway_is_a_problem_of_the_contract" {
  command = plan
  assert {
    condition = alltrue([for type, document in local.documents :
      local.gateway_responses[type].responseParameters["gatewayresponse.header.Content-Type"] ==
      "'application/problem+json'" &&
      local.gateway_responses[type].responseTemplates["application/json"] == jsonencode(document) &&
      length(setsubtract(var.contract.components.schemas.Problem.required, keys(document))) == 0 &&
      length(setsubtract(keys(document), keys(var.contract.components.schemas.Problem.properties))) == 0 &&
      tostring(document.status) == local.gateway_responses[type].statusCode &&
      contains(var.contract.components.schemas.Problem.properties.code.enum, document.code)
    ])
    error_message = "A response of the gateway is no problem as the contract describes it."
  }
  assert {
    condition     = toset(flatten(regexall("\\$context\\.[A-Za-z.]+", jsonencode(jsondecode(aws_api_gateway_rest_api.this.body)["x-amazon-apigateway-gateway-responses"])))) == toset(["$context.requestId"])
    error_message = "An answer repeats what the caller may have written, or lacks the request id."
  }
}

run "the_gateway_and_the_function_answer_with_one_text" {
  command = plan
  assert {
    condition = alltrue([for type, document in local.documents :
      document.detail == var.contract.components.examples[document.code].value.detail
      if !contains(["BAD_REQUEST_PARAMETERS", "DEFAULT_4XX"], type) && document.code != "forbidden"
    ])
    error_message = "A response of the gateway has another text than the contract's example, which the function uses."
  }
}

run "a_body_that_is_no_object_is_answered_with_the_field_named" {
  command = plan
  assert {
    condition = jsonencode(try(local.documents.BAD_REQUEST_BODY.errors, null)) == jsonencode([
      { field = "body", message = "must be a JSON object with at most 100 members" }
    ])
    error_message = "A 400 of the gateway's validator names no field."
  }
}

run "a_401_says_which_scope_is_needed_and_where_the_documentation_is" {
  command = plan
  assert {
    condition = alltrue([for type in ["UNAUTHORIZED", "EXPIRED_TOKEN"] :
      try(local.documents[type].documentation, "") == "https://docs.example.org/movies" &&
      lookup(local.gateway_responses[type].responseParameters, "gatewayresponse.header.WWW-Authenticate", "") ==
      "'Bearer realm=\"mvdb-test-movies\"'" &&
      strcontains(local.documents[type].detail, "GET and HEAD need the scope movies/read, all other methods movies/write")
    ])
    error_message = "A client cannot see which scope it lacks, or takes a missing scope for an expired token."
  }
  assert {
    condition = alltrue(flatten([for item in var.contract.paths : [
      for method, operation in item : try(operation.security, var.contract.security)[0].oauth2[0] ==
      (contains(["get", "head"], method) ? "movies/read" : "movies/write") if method != "parameters"
    ]]))
    error_message = "The rule in the 401 is not the contract's."
  }
}

run "a_429_says_when_to_retry" {
  command = plan
  assert {
    condition = alltrue([for response in local.gateway_responses :
      can(regex("^'[1-9][0-9]*'$", response.responseParameters["gatewayresponse.header.Retry-After"])) ==
      contains(["429", "503"], response.statusCode)
    ])
    error_message = "A 429 or a 503 of the gateway has no Retry-After, or another response has one."
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
      EXPIRED_TOKEN                  = "401 unauthorized"
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
  assert {
    condition     = !strcontains(aws_api_gateway_rest_api.this.body, "Access-Control")
    error_message = "The gateway's own answers let browsers in although no origin may call."
  }
}

run "browsers_are_answered_on_every_path_when_origins_are_named" {
  command = plan
  assert {
    condition = alltrue([for path, item in jsondecode(aws_api_gateway_rest_api.this.body).paths :
    can(item.options) || path == "/{proxy+}"])
    error_message = "A path has no OPTIONS route: a browser cannot ask whether it may call."
  }
  assert {
    condition = alltrue([for answer in jsondecode(aws_api_gateway_rest_api.this.body)["x-amazon-apigateway-gateway-responses"] :
      answer.responseParameters["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"
    ])
    error_message = "A page may not read what the gateway itself refuses: a 401 would look like a broken network."
  }
}

run "c11_a_changed_body_is_deployed" {
  command = plan
  assert {
    condition     = aws_api_gateway_deployment.this.triggers.body == sha256(aws_api_gateway_rest_api.this.body)
    error_message = "The deployment does not follow the body: a change would be imported and never served."
  }
  assert {
    condition     = aws_api_gateway_deployment.this.triggers.default_endpoint == "enabled"
    error_message = "The deployment does not follow whether API Gateway's own name answers."
  }
}

# A method response has a status code of three digits (pattern [1-5]\d\d), which `default` is not; a proxy integration needs none:
# https://docs.aws.amazon.com/apigateway/latest/api/API_PutMethodResponse.html
run "the_import_names_no_response_that_api_gateway_refuses" {
  command = plan
  assert {
    condition     = !strcontains(jsonencode(jsondecode(aws_api_gateway_rest_api.this.body).paths), "\"responses\"")
    error_message = "API Gateway would import a response without a status code."
  }
}

run "a_route_is_throttled_as_told" {
  command = plan
  assert {
    condition = { for path, method in aws_api_gateway_method_settings.this : path => [method.settings[0].throttling_rate_limit, method.settings[0].throttling_burst_limit] } == {
      "*/*"                            = [50, 100]
      "~1movies~1{year}~1{title+}/GET" = [20, 40]
    }
    error_message = "A throttle is not where it was asked for."
  }
}

# A route's settings replace the stage's: each has to say all of them.
run "c01_errors_are_logged_on_every_route" {
  command = plan
  assert {
    condition     = alltrue([for method in aws_api_gateway_method_settings.this : method.settings[0].logging_level == "ERROR" && method.settings[0].metrics_enabled])
    error_message = "A route is without error log or metrics."
  }
}

run "c10_no_bodies_and_tokens_are_logged_on_any_route" {
  command = plan
  assert {
    condition     = alltrue([for method in aws_api_gateway_method_settings.this : !method.settings[0].data_trace_enabled])
    error_message = "A route writes whole requests into the log."
  }
}

run "c02_the_gateway_can_prove_itself_to_a_backend" {
  assert {
    condition     = aws_api_gateway_stage.this.client_certificate_id == "certificate"
    error_message = "The stage has no client certificate."
  }
}

run "c03_every_request_can_be_traced" {
  command = plan
  assert {
    condition     = aws_api_gateway_stage.this.xray_tracing_enabled
    error_message = "Requests leave no trace in X-Ray."
  }
}

run "c07_a_line_of_the_access_log_tells_what_waf_said_and_how_long_the_function_took" {
  assert {
    condition = alltrue([for name, variable in { waf = "wafResponseCode", latency_ms = "responseLatency", integration_latency_ms = "integrationLatency", integration_status = "integrationStatus" } :
    jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format)[name] == "$context.${variable}"])
    error_message = "A line does not tell who was slow, or who refused."
  }
  assert {
    condition     = aws_api_gateway_stage.this.access_log_settings[0].destination_arn == aws_cloudwatch_log_group.access.arn
    error_message = "Requests are logged elsewhere, or not at all."
  }
}

run "c08_an_own_name_takes_tls_1_2_and_is_the_only_way_in" {
  variables {
    domain = { name = "movies.example.org", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/abc" }
  }
  assert {
    condition     = aws_api_gateway_domain_name.this["this"].security_policy == "TLS_1_2" && aws_api_gateway_domain_name.this["this"].regional_certificate_arn == var.domain.certificate_arn
    error_message = "The name takes TLS 1.0, or shows another certificate."
  }
  assert {
    condition     = aws_api_gateway_rest_api.this.disable_execute_api_endpoint
    error_message = "API Gateway's own name leads past the domain."
  }
  # "After you disable the default endpoint, you must deploy your API for the change to take effect": https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-disable-default-endpoint.html
  assert {
    condition     = aws_api_gateway_deployment.this.triggers.default_endpoint == "disabled"
    error_message = "The deployment does not follow whether API Gateway's own name answers."
  }
  assert {
    condition     = aws_api_gateway_base_path_mapping.this["this"].api_id == aws_api_gateway_rest_api.this.id && aws_api_gateway_base_path_mapping.this["this"].stage_name == "v1" && output.rest_api.url == "https://movies.example.org"
    error_message = "The name does not lead to the stage, or callers are sent elsewhere."
  }
  assert {
    condition     = length(aws_api_gateway_domain_name.this["this"].mutual_tls_authentication) == 0
    error_message = "Client certificates are asked for although no authority is named."
  }
}

run "without_an_own_name_the_gateways_is_on" {
  assert {
    condition     = !aws_api_gateway_rest_api.this.disable_execute_api_endpoint && output.domain_target == null && output.rest_api.url == aws_api_gateway_stage.this.invoke_url
    error_message = "There is no way in."
  }
}

run "client_certificates_are_asked_for_where_authorities_are_named" {
  command = plan
  variables {
    domain = { name = "movies.example.org", certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/abc", truststore = { uri = "s3://trust/authorities.pem", version = "1" } }
  }
  assert {
    condition     = aws_api_gateway_domain_name.this["this"].mutual_tls_authentication[0].truststore_uri == "s3://trust/authorities.pem" && aws_api_gateway_domain_name.this["this"].mutual_tls_authentication[0].truststore_version == "1"
    error_message = "A client without a certificate gets in."
  }
}

run "only_the_addresses_named_may_call" {
  command = plan
  variables {
    allowed_addresses = ["192.0.2.0/24"]
  }
  assert {
    condition = jsonencode(jsondecode(aws_api_gateway_rest_api.this.body)["x-amazon-apigateway-policy"].Statement) == jsonencode([
      { Action = "execute-api:Invoke", Effect = "Allow", Principal = "*", Resource = "execute-api:/*" },
      { Action = "execute-api:Invoke", Condition = { NotIpAddress = { "aws:SourceIp" = ["192.0.2.0/24"] } }, Effect = "Deny", Principal = "*", Resource = "execute-api:/*" },
    ])
    error_message = "Others than the addresses named may call."
  }
}

run "every_address_may_call_unless_some_are_named" {
  command = plan
  assert {
    condition     = !strcontains(aws_api_gateway_rest_api.this.body, "x-amazon-apigateway-policy")
    error_message = "There is a policy that nobody asked for."
  }
}

# What a plan does not show, the source does.
run "c11_the_api_and_its_deployments_are_replaced_before_they_are_destroyed" {
  command = plan
  assert {
    condition     = aws_api_gateway_rest_api.this.name == var.name && length(regexall("resource \"aws_api_gateway_(?:rest_api|deployment)\" \"this\" {[^}]*(?:{[^}]*}[^}]*)*?create_before_destroy = true", file("main.tf"))) == 2
    error_message = "Replacing the API or a deployment takes it away from callers first."
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

run "c07_the_access_log_names_the_caller_and_repeats_nothing_a_caller_writes_freely" {
  assert {
    condition     = jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format).client_id == "$context.authorizer.claims.client_id" && jsondecode(aws_api_gateway_stage.this.access_log_settings[0].format).request_id == "$context.requestId"
    error_message = "A line of the access log does not tell who called, or which request it is."
  }
  assert {
    condition     = length(regexall("context\\.(path|identity\\.userAgent|error\\.message|error\\.validationErrorString)\"", aws_api_gateway_stage.this.access_log_settings[0].format)) == 0
    error_message = "API Gateway does not escape this value: a quote in it would break or forge a line."
  }
}

run "c33_both_logs_are_encrypted_and_kept_as_long_as_asked" {
  assert {
    condition     = aws_cloudwatch_log_group.access.retention_in_days == 400 && aws_cloudwatch_log_group.execution.retention_in_days == 400
    error_message = "A log is kept for another time than asked."
  }
  assert {
    condition     = aws_cloudwatch_log_group.access.kms_key_id == var.key.arn && aws_cloudwatch_log_group.execution.kms_key_id == var.key.arn
    error_message = "A log is not encrypted with the customer key."
  }
  assert {
    condition     = aws_cloudwatch_log_group.execution.name == "API-Gateway-Execution-Logs_abc/v1"
    error_message = "API Gateway would make a group of its own, one that is kept for ever."
  }
}

run "c17_only_this_stage_may_call_and_only_the_alias" {
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
