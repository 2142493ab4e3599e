# From the contract, which knows no AWS, to the body that API Gateway imports.
locals {
  body = jsonencode(merge(local.policy, {
    openapi = var.contract.openapi
    info    = { title = var.name, version = var.contract.info.version }
    paths   = local.paths

    components = {
      schemas = local.models
      # API Gateway imports no oauth2: it wants the same as an API key in the header, read by a Cognito authorizer.
      securitySchemes = {
        oauth2 = {
          type                           = "apiKey"
          name                           = "Authorization"
          in                             = "header"
          "x-amazon-apigateway-authtype" = "cognito_user_pools"
          "x-amazon-apigateway-authorizer" = {
            type         = "cognito_user_pools"
            providerARNs = [var.user_pool.arn]
          }
        }
      }
    }

    "x-amazon-apigateway-request-validators" = {
      parameters = { validateRequestParameters = true, validateRequestBody = false }
      all        = { validateRequestParameters = true, validateRequestBody = true }
    }
    "x-amazon-apigateway-gateway-responses" = local.gateway_responses
  }))

  # In the body, and so a part of what is deployed: a resource policy of its own would wait for the next deployment.
  policy = { for key in ["x-amazon-apigateway-policy"] : key => {
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = "*", Action = "execute-api:Invoke", Resource = "execute-api:/*" },
      { Effect = "Deny", Principal = "*", Action = "execute-api:Invoke", Resource = "execute-api:/*", Condition = { NotIpAddress = { "aws:SourceIp" = var.allowed_addresses } } },
    ]
  } if length(var.allowed_addresses) > 0 }

  # A parameter that ends its path takes the rest of it, slashes included: {title} becomes {title+}. With a plain one,
  # API Gateway decodes %2F before it routes and the title 50/50 is not found.
  last_parameter = "/{([^{}]+)}$/"

  paths = {
    for path, item in var.contract.paths : replace(path, local.last_parameter, "{$1+}") => merge(
      { for method, operation in item : method => merge(
        { for key in ["operationId", "requestBody"] : key => operation[key] if can(operation[key]) && !(key == "requestBody" && method == "patch") },
        {
          parameters = [
            for parameter in [
              for parameter in concat(try(item.parameters, []), try(operation.parameters, [])) :
              try(var.contract.components.parameters[basename(parameter["$ref"])], parameter)
            ] :
            { name = parameter.name, in = parameter.in, required = try(parameter.required, false), schema = { type = parameter.schema.type } }
          ]

          # Alternatives in the contract; API Gateway takes one list and lets a token pass that has any scope of it. It
          # ignores the contract's own `security` at the root, so each operation says it.
          security = [{ oauth2 = distinct(flatten([for alternative in try(operation.security, var.contract.security) : alternative.oauth2])) }]

          # A merge patch may say null, which API Gateway's models cannot (no `nullable`): the function alone checks it.
          "x-amazon-apigateway-request-validator" = method == "patch" ? "parameters" : "all"
          "x-amazon-apigateway-integration"       = local.integration
        })
      if method != "parameters" },

      # A browser asks before it calls and sends no token with the question; the function answers for the origins.
      { for method in(length(var.cors_origins) > 0 ? ["options"] : []) : method => {
        parameters                              = [for name in flatten(regexall("{([^{}]+)}", path)) : { name = name, in = "path", required = true, schema = { type = "string" } }]
        security                                = []
        "x-amazon-apigateway-request-validator" = "parameters"
        "x-amazon-apigateway-integration"       = local.integration
      } }
    )
  }

  # No responses beside it: a proxy integration passes the function's on as they are.
  integration = { type = "aws_proxy", httpMethod = "POST", uri = var.function.invoke_arn }

  # Models are JSON schema draft 4, which has neither `nullable` nor `example`: schemas with the first, or that refer to
  # one with it, are left out, and the second is taken away.
  nullable_schemas = [for name, schema in var.contract.components.schemas : name if strcontains(jsonencode(schema), "\"nullable\"")]
  models = {
    for name, schema in var.contract.components.schemas : name => { for key, value in schema : key => value if key != "example" }
    if !contains(local.nullable_schemas, name) && !anytrue([for nullable in local.nullable_schemas : strcontains(jsonencode(schema), "schemas/${nullable}\"")])
  }

  # Types that are not named here answer as DEFAULT_4XX and DEFAULT_5XX do. An unknown path or method reaches API Gateway
  # as a missing token: a 403 for it would send callers to look for the fault in their credentials.
  problems = {
    BAD_REQUEST_BODY               = { status = 400, code = "invalid_request", detail = "The body is not what the contract allows: see the schema of this operation." }
    BAD_REQUEST_PARAMETERS         = { status = 400, code = "invalid_request", detail = "A parameter is not what the contract allows: see those of this operation." }
    DEFAULT_4XX                    = { status = 400, code = "invalid_request", detail = "The request cannot be understood." }
    UNAUTHORIZED                   = { status = 401, code = "unauthorized", detail = "Send a valid access token with the scope of this operation." }
    ACCESS_DENIED                  = { status = 403, code = "forbidden", detail = "The token does not allow this." }
    EXPIRED_TOKEN                  = { status = 403, code = "forbidden", detail = "The token has expired: ask for a new one." }
    INVALID_API_KEY                = { status = 403, code = "forbidden", detail = "The request is not allowed." }
    INVALID_SIGNATURE              = { status = 403, code = "forbidden", detail = "The request is not allowed." }
    WAF_FILTERED                   = { status = 403, code = "forbidden", detail = "The request was blocked. If it was a fair one, report the request id." }
    MISSING_AUTHENTICATION_TOKEN   = { status = 404, code = "route_not_found", detail = "No operation has this path and method." }
    RESOURCE_NOT_FOUND             = { status = 404, code = "route_not_found", detail = "No operation has this path and method." }
    REQUEST_TOO_LARGE              = { status = 413, code = "payload_too_large", detail = "The body is above 64 KiB." }
    UNSUPPORTED_MEDIA_TYPE         = { status = 415, code = "unsupported_media_type", detail = "Send a Content-Type that this operation takes." }
    QUOTA_EXCEEDED                 = { status = 429, code = "too_many_requests", detail = "The quota is used up." }
    THROTTLED                      = { status = 429, code = "too_many_requests", detail = "Slow down and try again." }
    API_CONFIGURATION_ERROR        = { status = 500, code = "internal_error", detail = "The service failed." }
    AUTHORIZER_CONFIGURATION_ERROR = { status = 500, code = "internal_error", detail = "The service failed." }
    AUTHORIZER_FAILURE             = { status = 500, code = "internal_error", detail = "The service failed." }
    DEFAULT_5XX                    = { status = 500, code = "internal_error", detail = "The service failed." }
    INTEGRATION_FAILURE            = { status = 502, code = "bad_gateway", detail = "The service failed: try again." }
    INTEGRATION_TIMEOUT            = { status = 504, code = "timeout", detail = "The service took too long: try again." }
  }
  status_titles = {
    "400" = "Bad Request", "401" = "Unauthorized", "403" = "Forbidden", "404" = "Not Found", "413" = "Payload Too Large", "415" = "Unsupported Media Type",
    "429" = "Too Many Requests", "500" = "Internal Server Error", "502" = "Bad Gateway", "504" = "Gateway Timeout"
  }

  gateway_responses = { for type, problem in local.problems : type => {
    statusCode = tostring(problem.status)
    responseParameters = merge(
      {
        "gatewayresponse.header.Content-Type" = "'application/problem+json'"
        "gatewayresponse.header.X-Request-Id" = "context.requestId"
      },
      # A fixed text cannot name the one origin that asks out of several. Nothing of a caller's is in these answers, and a
      # page that may not read its 401 or 429 takes it for a broken network.
      length(var.cors_origins) == 0 ? {} : {
        "gatewayresponse.header.Access-Control-Allow-Origin"   = "'*'"
        "gatewayresponse.header.Access-Control-Expose-Headers" = "'X-Request-Id'"
      },
    )
    # Of $context only what API Gateway made itself: it escapes nothing, and $context.error.validationErrorString would
    # carry the caller's quotes into the JSON.
    responseTemplates = { "application/json" = jsonencode({
      type       = "about:blank"
      title      = local.status_titles[problem.status]
      status     = problem.status
      code       = problem.code
      detail     = problem.detail
      request_id = "$context.requestId"
    }) }
  } }
}
