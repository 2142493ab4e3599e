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
  package               = "main.tf" # any file: only its hash is taken
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

run "the_role_may_do_what_was_asked_and_write_its_own_log" {
  assert {
    condition = jsondecode(aws_iam_role_policy.this.policy).Statement == [
      { Sid = "WriteItsOwnLog", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/mvdb-test-movies:*"] },
      { Sid = "ReadMovies", Effect = "Allow", Action = ["dynamodb:GetItem"], Resource = ["arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies"] },
    ]
    error_message = "The role may do more or less than was asked."
  }
}

run "only_lambda_takes_the_role" {
  command = plan
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
    error_message = "Another than Lambda may take the role."
  }
}

run "an_action_with_a_wildcard_is_refused" {
  command = plan
  variables {
    statements = { All = { actions = ["dynamodb:*"], resources = ["arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies"] } }
  }
  expect_failures = [var.statements]
}

run "a_wildcard_as_a_resource_is_refused" {
  command = plan
  variables {
    statements = { All = { actions = ["dynamodb:GetItem"], resources = ["*"] } }
  }
  expect_failures = [var.statements]
}

run "the_package_runs_as_its_own_bootstrap_and_each_change_is_a_version" {
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

run "the_log_is_json_in_a_group_that_forgets" {
  command = plan
  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30 && aws_lambda_function.this.logging_config[0].log_group == aws_cloudwatch_log_group.this.name
    error_message = "The function's lines go to a group that keeps them for another time than asked."
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

run "concurrency_is_reserved_as_asked" {
  command = plan
  variables {
    reserved_concurrency = 100
  }
  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 100
    error_message = "Concurrency is not reserved as asked."
  }
}
