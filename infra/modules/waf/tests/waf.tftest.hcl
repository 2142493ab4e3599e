mock_provider "aws" {
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/mvdb-test-movies/abc" }
  }
}

variables {
  name                           = "mvdb-test-movies"
  stage_arn                      = "arn:aws:apigateway:eu-west-1::/restapis/abc/stages/v1"
  requests_per_source_per_minute = 1000
}

run "rules_run_in_this_order" {
  command = plan
  assert {
    condition     = { for rule in aws_wafv2_web_acl.this.rule : rule.name => rule.priority } == { rate-per-source = 0, body-size = 1, ip-reputation = 2, known-bad-inputs = 3, common = 4, sql-injection = 5 }
    error_message = "A rule is missing, or runs at another place."
  }
}

run "the_managed_groups_block" {
  command = plan
  assert {
    condition = { for rule in aws_wafv2_web_acl.this.rule : rule.name => rule.statement[0].managed_rule_group_statement[0].name if length(rule.statement[0].managed_rule_group_statement) > 0 && length(try(rule.override_action[0].none, [])) == 1 } == {
      ip-reputation    = "AWSManagedRulesAmazonIpReputationList"
      known-bad-inputs = "AWSManagedRulesKnownBadInputsRuleSet"
      common           = "AWSManagedRulesCommonRuleSet"
      sql-injection    = "AWSManagedRulesSQLiRuleSet"
    }
    error_message = "A managed group is missing, or counts where it should block."
  }
}

run "only_the_common_groups_own_body_limit_is_counted" {
  command = plan
  assert {
    condition = flatten([for rule in aws_wafv2_web_acl.this.rule : [for group in rule.statement[0].managed_rule_group_statement : [for override in group.rule_action_override : "${group.name} ${override.name} ${length(override.action_to_use[0].count) == 1}"]]]) == [
      "AWSManagedRulesCommonRuleSet SizeRestrictions_BODY true"
    ]
    error_message = "A managed rule is overridden that should not be."
  }
}

run "a_body_above_64_kib_is_refused_with_413_even_where_waf_does_not_read_it" {
  command = plan
  assert {
    condition = [for rule in aws_wafv2_web_acl.this.rule : [
      rule.statement[0].size_constraint_statement[0].comparison_operator,
      rule.statement[0].size_constraint_statement[0].size,
      rule.statement[0].size_constraint_statement[0].field_to_match[0].body[0].oversize_handling,
      rule.action[0].block[0].custom_response[0].response_code,
      rule.action[0].block[0].custom_response[0].custom_response_body_key,
    ] if rule.name == "body-size"] == [["GT", 65536, "MATCH", 413, "payload_too_large"]]
    error_message = "A long body passes, or is refused otherwise than with 413."
  }
  assert {
    condition     = one(one(aws_wafv2_web_acl.this.association_config[0].request_body).api_gateway).default_size_inspection_limit == "KB_64"
    error_message = "WAF does not read what a movie may hold."
  }
}

run "an_address_is_slowed_down_as_asked_with_429" {
  command = plan
  assert {
    condition = [for rule in aws_wafv2_web_acl.this.rule : [
      rule.statement[0].rate_based_statement[0].limit,
      rule.statement[0].rate_based_statement[0].evaluation_window_sec,
      rule.statement[0].rate_based_statement[0].aggregate_key_type,
      rule.action[0].block[0].custom_response[0].response_code,
      rule.action[0].block[0].custom_response[0].custom_response_body_key,
    ] if rule.name == "rate-per-source"] == [[1000, 60, "IP", 429, "too_many_requests"]]
    error_message = "An address may send more than asked, or is refused otherwise than with 429."
  }
}

run "the_refusals_are_problems_of_the_contract" {
  command = plan
  assert {
    condition = alltrue([for body in aws_wafv2_web_acl.this.custom_response_body :
      toset(keys(jsondecode(body.content))) == toset(yamldecode(file("../../../lambda/crates/movies/openapi.yaml")).components.schemas.Problem.required) &&
      contains(yamldecode(file("../../../lambda/crates/movies/openapi.yaml")).components.schemas.Problem.properties.code.enum, jsondecode(body.content).code) &&
      jsondecode(body.content).code == body.key && body.content_type == "APPLICATION_JSON"
    ]) && length(aws_wafv2_web_acl.this.custom_response_body) == 2
    error_message = "A refusal is no problem as the contract describes it."
  }
}

run "every_rule_is_measured" {
  command = plan
  assert {
    condition     = alltrue([for rule in aws_wafv2_web_acl.this.rule : rule.visibility_config[0].cloudwatch_metrics_enabled && rule.visibility_config[0].sampled_requests_enabled && rule.visibility_config[0].metric_name == "mvdb-test-movies-${rule.name}"])
    error_message = "A rule blocks unseen."
  }
}

run "the_stage_is_protected" {
  assert {
    condition     = aws_wafv2_web_acl_association.this.resource_arn == var.stage_arn && aws_wafv2_web_acl_association.this.web_acl_arn == aws_wafv2_web_acl.this.arn
    error_message = "The web ACL stands before nothing."
  }
}

run "a_rate_that_waf_does_not_take_is_refused" {
  command = plan
  variables {
    requests_per_source_per_minute = 9
  }
  expect_failures = [var.requests_per_source_per_minute]
}
