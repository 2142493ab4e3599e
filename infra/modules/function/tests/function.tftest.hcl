mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mvdb-test-movies" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/mvdb-test-movies" }
  }
}

variables {
  name                  = "mvdb-test-movies"
  region                = "eu-west-1"
  account_id            = "123456789012"
  package               = { path = "main.tf" } # any file: only its hash is taken
  layers                = []
  network               = null
  keys                  = { environment = { arn = "arn:aws:kms:eu-west-1:123456789012:key/function" }, logs = { arn = "arn:aws:kms:eu-west-1:123456789012:key/logs" } }
  permissions_boundary  = "arn:aws:iam::123456789012:policy/mvdb-boundary"
  architecture          = "arm64"
  memory_mb             = 512
  timeout_seconds       = 10
  reserved_concurrency  = null
  log_level             = "INFO"
  log_retention_days    = 30
  environment_variables = { TABLE_NAME = "mvdb-test-movies" }
  statements = {
    ReadMovies = { actions = ["dynamodb:GetItem"], resources = ["arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies"] }
  }
}

run "c36_the_role_may_do_what_was_asked_write_its_log_and_send_traces" {
  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.this.policy).Statement) == jsonencode([
      { Sid = "WriteItsOwnLog", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/mvdb-test-movies:*"] },
      { Sid = "SendTraces", Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = ["*"] },
      { Sid = "ReadMovies", Effect = "Allow", Action = ["dynamodb:GetItem"], Resource = ["arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies"] },
    ])
    error_message = "The role may do more or less than was asked."
  }
}

run "c36_only_lambda_takes_the_role_and_the_boundary_bounds_it" {
  command = plan
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
    error_message = "Another than Lambda may take the role."
  }
  assert {
    condition     = aws_iam_role.this.permissions_boundary == var.permissions_boundary
    error_message = "The role is unbounded."
  }
}

run "c36_an_action_with_a_wildcard_is_refused" {
  command = plan
  variables {
    statements = { All = { actions = ["dynamodb:*"], resources = ["arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies"] } }
  }
  expect_failures = [var.statements]
}

run "c36_a_wildcard_as_a_resource_is_refused" {
  command = plan
  variables {
    statements = { All = { actions = ["dynamodb:GetItem"], resources = ["*"] } }
  }
  expect_failures = [var.statements]
}

run "c18_the_package_runs_as_its_own_bootstrap_and_each_change_is_a_version" {
  command = plan
  assert {
    condition     = aws_lambda_function.this.runtime == "provided.al2023" && aws_lambda_function.this.handler == "bootstrap" && aws_lambda_function.this.architectures == tolist(["arm64"])
    error_message = "Lambda would not run our bootstrap."
  }
  assert {
    condition     = aws_lambda_function.this.publish && aws_lambda_function.this.source_code_hash == filebase64sha256("main.tf")
    error_message = "A changed package would not become a version."
  }
}

run "the_function_is_called_by_its_alias" {
  assert {
    condition     = output.function.alias == "live" && output.function.invoke_arn == aws_lambda_alias.live.invoke_arn && output.newest_version == aws_lambda_function.this.version
    error_message = "Callers are given another way in than the alias `live`."
  }
}

# A test cannot move the alias between two applies, so it reads what Terraform is told.
run "c41_no_apply_moves_the_alias" {
  command = plan
  assert {
    condition     = length(regexall("resource \"aws_lambda_alias\" \"live\" {[^}]*lifecycle {\\s*ignore_changes = \\[description, function_version, routing_config\\]", file("main.tf"))) == 1 && aws_lambda_alias.live.name == "live"
    error_message = "An apply would take a release back, or let all callers reach a version that nobody checked."
  }
}

run "c33_the_log_is_json_in_an_encrypted_group_that_forgets" {
  command = plan
  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30 && aws_lambda_function.this.logging_config[0].log_group == aws_cloudwatch_log_group.this.name
    error_message = "The function's lines go to a group that keeps them for another time than asked."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.kms_key_id == var.keys.logs.arn
    error_message = "The log is not encrypted with the customer key."
  }
  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_format == "JSON" && aws_lambda_function.this.logging_config[0].application_log_level == "INFO" && aws_lambda_function.this.logging_config[0].system_log_level == "WARN"
    error_message = "The function's lines are not the JSON that searches rely on."
  }
}

run "concurrency_is_shared_unless_reserved" {
  command = plan
  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == -1
    error_message = "Concurrency is reserved although nobody asked for it."
  }
}

run "c24_concurrency_is_reserved_as_asked" {
  command = plan
  variables {
    reserved_concurrency = 100
  }
  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 100
    error_message = "Concurrency is not reserved as asked."
  }
}

run "c30_a_key_is_used_through_its_service_only" {
  variables {
    statements = { ReadWithTheKey = { actions = ["kms:Decrypt"], resources = ["arn:aws:kms:eu-west-1:123456789012:key/table"], condition = { StringEquals = { "kms:ViaService" = "dynamodb.eu-west-1.amazonaws.com" } } } }
  }
  assert {
    condition     = jsonencode([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Condition if statement.Sid == "ReadWithTheKey"]) == jsonencode([{ StringEquals = { "kms:ViaService" = "dynamodb.eu-west-1.amazonaws.com" } }])
    error_message = "The condition that was asked for is lost."
  }
}

run "c19_the_function_stands_where_it_was_put" {
  variables {
    network = { subnet_ids = ["subnet-a", "subnet-b", "subnet-c"], security_group_ids = ["sg-a"] }
  }
  assert {
    condition     = toset(aws_lambda_function.this.vpc_config[0].subnet_ids) == toset(["subnet-a", "subnet-b", "subnet-c"]) && toset(aws_lambda_function.this.vpc_config[0].security_group_ids) == toset(["sg-a"])
    error_message = "The function stands elsewhere than in the network it was given."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Effect if statement.Action == local.interface_actions] == ["Allow", "Deny"]
    error_message = "Lambda cannot make the function's network interfaces, or the code could make its own."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : jsonencode(statement.Condition) if statement.Effect == "Deny"] == [jsonencode({ ArnEquals = { "lambda:SourceFunctionArn" = ["arn:aws:lambda:eu-west-1:123456789012:function:mvdb-test-movies"] } })]
    error_message = "Lambda itself is refused, or code of another function's is meant."
  }
}

run "c21_every_call_can_be_traced" {
  command = plan
  assert {
    condition     = aws_lambda_function.this.tracing_config[0].mode == "Active"
    error_message = "Calls leave no trace in X-Ray."
  }
}

run "c22_the_environment_is_encrypted_with_the_key" {
  command = plan
  assert {
    condition     = aws_lambda_function.this.kms_key_arn == var.keys.environment.arn
    error_message = "The environment variables are not encrypted with the customer key."
  }
}

run "c23_a_signed_package_is_taken_from_where_it_was_signed_and_checked" {
  command = plan
  variables {
    package = { path = "main.tf", signed = { config_arn = "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-1", bucket = "packages", key = "signed/movies-1.zip" } }
  }
  assert {
    condition     = [aws_lambda_function.this.s3_bucket, aws_lambda_function.this.s3_key, aws_lambda_function.this.code_signing_config_arn] == ["packages", "signed/movies-1.zip", "arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-1"]
    error_message = "Lambda takes another package, or does not check who signed it."
  }
  assert {
    condition     = aws_lambda_function.this.filename == null
    error_message = "The unsigned package is uploaded: Lambda would refuse it."
  }
}

run "the_function_gets_the_layers_it_was_given" {
  command = plan
  variables {
    layers = ["arn:aws:lambda:eu-west-1:123456789012:layer:telemetry:1"]
  }
  assert {
    condition     = aws_lambda_function.this.layers == tolist(["arn:aws:lambda:eu-west-1:123456789012:layer:telemetry:1"])
    error_message = "The function is without its layer."
  }
}

run "traces_are_written_and_never_read" {
  command = plan
  variables {
    trace_actions = ["xray:GetTraceSummaries"]
  }
  expect_failures = [var.trace_actions]
}

run "what_lambda_or_the_alarms_could_not_take_is_refused" {
  command = plan
  variables {
    architecture    = "arm"
    timeout_seconds = 30
    log_level       = "WARN"
  }
  expect_failures = [var.architecture, var.timeout_seconds, var.log_level]
}
