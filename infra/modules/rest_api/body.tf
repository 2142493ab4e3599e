# Makes the body that API Gateway imports out of the contract, which has no AWS extensions.
locals {
  body = jsonencode(merge(local.policy, {
    openapi = var.contract.openapi
    info    = { title = var.name, version = var.contract.info.version }
    paths   = local.paths

    components = {
      schemas = local.models
      # API Gateway cannot import an OAuth 2.0 scheme: it needs an API key in a header, with a Cognito authorizer.
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
      all = { validateRequestParameters = true, validateRequestBody = true }
    }
    "x-amazon-apigateway-gateway-responses" = local.gateway_responses
  }))

  # In the body, and so part of each deployment: a separate resource policy takes effect only with the next deployment.
  policy = { for key in ["x-amazon-apigateway-policy"] : key => {
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = "*", Action = "execute-api:Invoke", Resource = "execute-api:/*" },
      {
        Effect    = "Deny", Principal = "*", Action = "execute-api:Invoke", Resource = "execute-api:/*"
        Condition = { NotIpAddress = { "aws:SourceIp" = var.allowed_addresses } }
      },
    ]
  } if length(var.allowed_addresses) > 0 }

  # API Gateway's validator names no field, so its model checks only the type and the number of members: the function
  # reports every invalid field, `null` in a merge patch included, and no client sees a 400 without a field.
  models      = { Body = { type = "object", maxProperties = local.max_members } }
  max_members = 100

  # A parameter that ends its path takes the rest of it, slashes included: {title} becomes {title+}. With a plain one,
  # API Gateway decodes %2F before it routes and the title 50/50 is not found.
  last_parameter = "/{([^{}]+)}$/"

  operations = {
    for path, item in var.contract.paths : replace(path, local.last_parameter, "{$1+}") => merge(
      { for method, operation in item : method => merge(
        local.proxied,
        {
          operationId = operation.operationId
          parameters  = local.parameters["${method} ${path}"]
          security    = [{ oauth2 = local.scopes["${method} ${path}"] }]
        },
        { for body in [try(operation.requestBody, null)] : "requestBody" => {
          required = body.required
          content  = { for type in keys(body.content) : type => { schema = { "$ref" = "#/components/schemas/Body" } } }
        } if body != null },
      ) if method != "parameters" },

      # A browser sends a preflight request without a token; the function answers for the allowed origins.
      { for method in(length(var.cors_origins) > 0 ? ["options"] : []) : method => merge(local.proxied, {
        parameters = [for name in flatten(regexall("{([^{}]+)}", path)) : merge(local.path_parameter, { name = name })]
        security   = []
      }) }
    )
  }
  path_parameter = { in = "path", required = true, schema = { type = "string" } }

  # Only a path's parameters are required here: the function names a missing query parameter, the validator does not.
  parameters = merge([for path, item in var.contract.paths : {
    for method, operation in item : "${method} ${path}" => [
      for parameter in [
        for parameter in concat(try(item.parameters, []), try(operation.parameters, [])) :
        try(var.contract.components.parameters[basename(parameter["$ref"])], parameter)
        ] : {
        name     = parameter.name
        in       = parameter.in
        required = parameter.in == "path"
        schema   = { type = parameter.schema.type }
      }
    ] if method != "parameters"
  }]...)

  # Alternatives in the contract. API Gateway takes one list and accepts a token with any scope of it. It ignores the
  # contract's own `security` at the root, so each operation has its list.
  scopes = merge([for path, item in var.contract.paths : {
    for method, operation in item : "${method} ${path}" =>
    distinct(flatten([for alternative in try(operation.security, var.contract.security) : alternative.oauth2]))
    if method != "parameters"
  }]...)

  # Paths and methods that the contract does not have; API Gateway would answer them with 403 "Missing Authentication
  # Token". They need no token: the function answers 404 or 405, and serves no route of the contract without a token.
  # From a path without the method API Gateway falls back to the greedy path, which does not match the root itself.
  catch_all = {
    for path in ["/", "/{proxy+}"] : path => { "x-amazon-apigateway-any-method" = merge(local.proxied, {
      parameters = [for name in regexall("proxy", path) : merge(local.path_parameter, { name = name })]
      security   = []
    }) }
  }

  paths = {
    for path in setunion(keys(local.operations), keys(local.catch_all)) :
    path => merge(try(local.operations[path], {}), try(local.catch_all[path], {}))
  }

  # No responses beside it: a proxy integration passes the function's on as they are, and API Gateway takes no `default`.
  proxied = {
    "x-amazon-apigateway-request-validator" = "all"
    "x-amazon-apigateway-integration"       = { type = "aws_proxy", httpMethod = "POST", uri = var.function.invoke_arn }
  }

  # Response types without an entry here use DEFAULT_4XX or DEFAULT_5XX. The text is the `detail` of the code's example
  # in the contract, which the function uses too; `detail` here replaces it for what only the gateway reports.
  problems = {
    BAD_REQUEST_BODY               = { status = 400, code = "invalid_request", errors = [local.body_error] }
    BAD_REQUEST_PARAMETERS         = { status = 400, code = "invalid_request", detail = "A path parameter is missing." }
    DEFAULT_4XX                    = { status = 400, code = "invalid_request", detail = "Malformed request." }
    EXPIRED_TOKEN                  = { status = 401, code = "unauthorized" }
    UNAUTHORIZED                   = { status = 401, code = "unauthorized" }
    ACCESS_DENIED                  = { status = 403, code = "forbidden", detail = "Access denied." }
    INVALID_API_KEY                = { status = 403, code = "forbidden", detail = "Access denied." }
    INVALID_SIGNATURE              = { status = 403, code = "forbidden", detail = "Access denied." }
    WAF_FILTERED                   = { status = 403, code = "forbidden", detail = local.blocked }
    MISSING_AUTHENTICATION_TOKEN   = { status = 404, code = "route_not_found" }
    RESOURCE_NOT_FOUND             = { status = 404, code = "route_not_found" }
    REQUEST_TOO_LARGE              = { status = 413, code = "payload_too_large" }
    UNSUPPORTED_MEDIA_TYPE         = { status = 415, code = "unsupported_media_type" }
    QUOTA_EXCEEDED                 = { status = 429, code = "too_many_requests", retry_after = 3600 }
    THROTTLED                      = { status = 429, code = "too_many_requests", retry_after = 1 }
    API_CONFIGURATION_ERROR        = { status = 500, code = "internal_error" }
    AUTHORIZER_CONFIGURATION_ERROR = { status = 500, code = "internal_error" }
    AUTHORIZER_FAILURE             = { status = 500, code = "internal_error" }
    DEFAULT_5XX                    = { status = 500, code = "internal_error" }
    INTEGRATION_FAILURE            = { status = 502, code = "bad_gateway" }
    INTEGRATION_TIMEOUT            = { status = 504, code = "timeout" }
  }
  body_error = { field = "body", message = "must be a JSON object with at most ${local.max_members} members" }
  blocked    = "The firewall blocked the request. If it was legitimate, report its request_id."

  gateway_responses = { for type, problem in local.problems : type => {
    statusCode = tostring(problem.status)
    responseParameters = merge(
      {
        "gatewayresponse.header.Content-Type" = "'application/problem+json'"
        "gatewayresponse.header.X-Request-Id" = "context.requestId"
      },
      problem.status != 401 ? {} : { "gatewayresponse.header.WWW-Authenticate" = "'Bearer realm=\"${var.name}\"'" },
      can(problem.retry_after) ? { "gatewayresponse.header.Retry-After" = "'${problem.retry_after}'" } : {},
      # A static header cannot name the one of several origins that asks. These responses hold nothing of a caller's,
      # and a page that cannot read its 401 or 429 reports a network error.
      length(var.cors_origins) == 0 ? {} : {
        "gatewayresponse.header.Access-Control-Allow-Origin"   = "'*'"
        "gatewayresponse.header.Access-Control-Expose-Headers" = "'Retry-After, WWW-Authenticate, X-Request-Id'"
      },
    )
    responseTemplates = { "application/json" = jsonencode(local.documents[type]) }
  } }

  # Of $context only what API Gateway made itself: it escapes nothing, and $context.error.validationErrorString would copy
  # the caller's quotes into the JSON.
  documents = { for type, problem in local.problems : type => merge(
    {
      type       = "about:blank"
      title      = var.contract.components.examples[problem.code].value.title
      status     = problem.status
      code       = problem.code
      detail     = try(problem.detail, var.contract.components.examples[problem.code].value.detail)
      request_id = "$context.requestId"
    },
    { for errors in [try(problem.errors, null)] : "errors" => errors if errors != null },
    problem.status != 401 ? {} : { documentation = var.documentation_url },
  ) }
}
