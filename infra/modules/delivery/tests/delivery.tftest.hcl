mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mvdb-test-movies-delivery" }
  }
}

variables {
  name                 = "mvdb-test-movies"
  region               = "eu-west-1"
  account_id           = "123456789012"
  function             = { name = "mvdb-test-movies" }
  canary               = { percent = 10, minutes = 15 }
  alarms               = ["mvdb-test-movies-version-fails", "mvdb-test-movies-version-slow"]
  permissions_boundary = "arn:aws:iam::123456789012:policy/mvdb-boundary"
}

run "c41_a_few_percent_of_the_calls_try_a_version_for_as_long_as_asked" {
  assert {
    condition     = one(aws_codedeploy_deployment_config.this.traffic_routing_config).type == "TimeBasedCanary" && one(one(aws_codedeploy_deployment_config.this.traffic_routing_config).time_based_canary) == { percentage = 10, interval = 15 }
    error_message = "More calls than asked reach a new version, or for another time."
  }
  assert {
    condition     = aws_codedeploy_deployment_group.this.deployment_config_name == aws_codedeploy_deployment_config.this.deployment_config_name && one(aws_codedeploy_deployment_group.this.deployment_style) == { deployment_type = "BLUE_GREEN", deployment_option = "WITH_TRAFFIC_CONTROL" }
    error_message = "The group shifts calls in another way."
  }
  assert {
    condition     = aws_codedeploy_app.this.compute_platform == "Lambda" && aws_codedeploy_deployment_config.this.compute_platform == "Lambda"
    error_message = "CodeDeploy would look for servers."
  }
}

run "c41_an_alarm_takes_a_release_back" {
  command = plan
  assert {
    condition     = one(aws_codedeploy_deployment_group.this.auto_rollback_configuration).enabled && one(aws_codedeploy_deployment_group.this.auto_rollback_configuration).events == toset(["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"])
    error_message = "A version that fails would stay."
  }
  assert {
    condition     = one(aws_codedeploy_deployment_group.this.alarm_configuration).enabled && one(aws_codedeploy_deployment_group.this.alarm_configuration).alarms == toset(var.alarms)
    error_message = "No alarm stops a release."
  }
  assert {
    condition     = one(aws_codedeploy_deployment_group.this.alarm_configuration).ignore_poll_alarm_failure == false
    error_message = "A release would go on while nobody sees the alarms."
  }
}

run "c36_codedeploy_may_move_this_functions_alias_and_see_alarms" {
  command = plan
  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.this.policy).Statement) == jsonencode([
      { Sid = "MoveTheAlias", Effect = "Allow", Action = ["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"], Resource = ["arn:aws:lambda:eu-west-1:123456789012:function:mvdb-test-movies", "arn:aws:lambda:eu-west-1:123456789012:function:mvdb-test-movies:*"] },
      { Sid = "SeeTheAlarms", Effect = "Allow", Action = ["cloudwatch:DescribeAlarms"], Resource = ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:*"] },
    ])
    error_message = "The role may do more or less than a release needs."
  }
  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "codedeploy.amazonaws.com" }, Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } } }]
    error_message = "Another than CodeDeploy for this account may take the role."
  }
  assert {
    condition     = aws_iam_role.this.permissions_boundary == var.permissions_boundary
    error_message = "The role is unbounded."
  }
}

run "a_changed_canary_is_another_config" {
  command = plan
  assert {
    condition     = aws_codedeploy_deployment_config.this.deployment_config_name == "mvdb-test-movies-10-percent-for-15-minutes"
    error_message = "CodeDeploy changes no config: the new one would clash with the old by name."
  }
}

run "the_release_learns_what_to_ask_for" {
  assert {
    condition     = output.deployment_group == { application = "mvdb-test-movies", name = "mvdb-test-movies", alarms = tolist(["mvdb-test-movies-version-fails", "mvdb-test-movies-version-slow"]) }
    error_message = "A release would ask for another group."
  }
}

run "a_canary_of_most_calls_is_refused" {
  command = plan
  variables {
    canary = { percent = 51, minutes = 15 }
  }
  expect_failures = [var.canary]
}

run "a_canary_that_ends_before_an_alarm_can_ring_is_refused" {
  command = plan
  variables {
    canary = { percent = 10, minutes = 4 }
  }
  expect_failures = [var.canary]
}

run "c41_a_release_without_an_alarm_is_refused" {
  command = plan
  variables {
    alarms = []
  }
  expect_failures = [var.alarms]
}
