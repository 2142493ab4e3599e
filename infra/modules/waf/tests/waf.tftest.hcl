# Plans alone, with the ARNs in them: to apply the web ACL takes three times as long as to plan it, for its schema is huge.
mock_provider "aws" {
  override_during = plan
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/mvdb-test-movies/abc" }
  }
  mock_resource "aws_wafv2_regex_pattern_set" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/regexpatternset/mvdb-test-movies-frozen/abc" }
  }
  mock_resource "aws_wafv2_ip_set" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/ipset/mvdb-test-movies/abc" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:aws-waf-logs-mvdb-test-movies" }
  }
}

variables {
  name                = "mvdb-test-movies"
  stage_arn           = "arn:aws:apigateway:eu-west-1::/restapis/abc/stages/v1"
  requests_per_minute = { source = 1000, token = 3000 }
  cors_origins        = []
  key                 = { arn = "arn:aws:kms:eu-west-1:123456789012:key/logs" }
  log_retention_days  = 400
}

run "c26_rules_run_in_this_order" {
  command = plan
  assert {
    condition     = { for rule in aws_wafv2_web_acl.this.rule : rule.name => rule.priority } == { header-size = 2, frozen = 3, rate-per-source = 4, rate-per-token = 5, body-size = 6, ip-reputation = 7, known-bad-inputs = 8, common = 9, sql-injection = 10 }
    error_message = "A rule is missing, or runs at another place."
  }
}

run "c29_the_managed_groups_block" {
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

# What the contract allows no managed rule may block; each of these is in AWS's table of the group's rules:
# https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
run "managed_rules_that_contradict_the_contract_only_count" {
  command = plan
  assert {
    condition = toset(flatten([for rule in aws_wafv2_web_acl.this.rule : [for group in rule.statement[0].managed_rule_group_statement : [for override in group.rule_action_override : "${group.name} ${override.name} ${length(override.action_to_use[0].count) == 1}"]]])) == toset([
      for rule in [
        "GenericLFI_BODY", "GenericLFI_QUERYARGUMENTS", "GenericLFI_URIPATH",
        "GenericRFI_BODY", "GenericRFI_QUERYARGUMENTS", "GenericRFI_URIPATH",
        "NoUserAgent_HEADER", "RestrictedExtensions_QUERYARGUMENTS", "RestrictedExtensions_URIPATH",
        "SizeRestrictions_BODY", "SizeRestrictions_QUERYSTRING", "SizeRestrictions_URIPATH",
      ] : "AWSManagedRulesCommonRuleSet ${rule} true"
    ])
    error_message = "A managed rule blocks what the contract allows, or another one only counts."
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

run "headers_that_waf_does_not_see_are_refused" {
  command = plan
  assert {
    condition = jsonencode([for rule in aws_wafv2_web_acl.this.rule : [for headers in rule.statement[0].size_constraint_statement[0].field_to_match[0].headers : [
      length(rule.action[0].block), headers.match_scope, headers.oversize_handling, length(headers.match_pattern[0].all)
    ]] if rule.name == "header-size"]) == jsonencode([[[1, "ALL", "MATCH", 1]]])
    error_message = "A token behind 8 KiB of headers escapes the kill switch."
  }
}

run "an_address_and_a_token_are_slowed_down_as_asked_with_429" {
  command = plan
  assert {
    condition = { for rule in aws_wafv2_web_acl.this.rule : rule.name => [
      rule.statement[0].rate_based_statement[0].limit,
      rule.statement[0].rate_based_statement[0].evaluation_window_sec,
      rule.statement[0].rate_based_statement[0].aggregate_key_type,
      join(" ", [for key in rule.statement[0].rate_based_statement[0].custom_key : key.header[0].name]),
      rule.action[0].block[0].custom_response[0].response_code,
      rule.action[0].block[0].custom_response[0].custom_response_body_key,
      join(" ", [for header in rule.action[0].block[0].custom_response[0].response_header : "${header.name} ${header.value}"]),
      ] if length(rule.statement[0].rate_based_statement) > 0 } == {
      rate-per-source = [1000, 60, "IP", "", 429, "too_many_requests", "Retry-After 60"]
      rate-per-token  = [3000, 60, "CUSTOM_KEYS", "authorization", 429, "too_many_requests", "Retry-After 60"]
    }
    error_message = "An address or a token may send more than asked, or gets no 429 with Retry-After."
  }
}

run "what_is_frozen_is_refused_with_503_by_its_method_or_its_token" {
  command = plan
  assert {
    condition = jsonencode(flatten([for rule in aws_wafv2_web_acl.this.rule : [for or in rule.statement[0].or_statement : [for statement in or.statement : [for set in statement.regex_pattern_set_reference_statement : [
      set.arn == aws_wafv2_regex_pattern_set.frozen.arn, length(set.field_to_match[0].method) == 1 ? "method" : one(set.field_to_match[0].single_header).name, one(set.text_transformation).type
    ]]]] if rule.name == "frozen"])) == jsonencode([true, "method", "NONE", true, "authorization", "NONE"])
    error_message = "What is frozen passes, or something else is looked at."
  }
  assert {
    condition = jsonencode([for rule in aws_wafv2_web_acl.this.rule : [for response in rule.action[0].block[0].custom_response :
    [response.response_code, response.custom_response_body_key, { for header in response.response_header : header.name => header.value }]] if rule.name == "frozen"]) == jsonencode([[[503, "unavailable", { Retry-After = "300" }]]])
    error_message = "Who is frozen is not told that it is for a while."
  }
}

run "a_new_stack_is_not_frozen" {
  command = plan
  assert {
    condition     = [for pattern in aws_wafv2_regex_pattern_set.frozen.regular_expression : pattern.regex_string] == ["^nothing-is-frozen$"] && aws_wafv2_regex_pattern_set.frozen.description == "Nothing is frozen."
    error_message = "A new stack refuses, or says that it does."
  }
}

# The state of the switch is no data of Terraform's: what a first apply made an apply with other patterns in the code leaves.
run "no_apply_freezes_or_thaws" {
  command = plan
  assert {
    condition     = aws_wafv2_regex_pattern_set.frozen.name == "mvdb-test-movies-frozen" && length(regexall("ignore_changes = \\[description, regular_expression\\]", file("main.tf"))) == 1
    error_message = "An apply in the middle of an incident would thaw what is frozen."
  }
}

run "addresses_and_countries_are_blocked_when_given" {
  command = plan
  variables {
    blocked_addresses = ["192.0.2.0/24", "2001:db8::/32"]
    allowed_countries = ["BE", "NL"]
  }
  assert {
    condition     = { for rule in aws_wafv2_web_acl.this.rule : rule.name => length(rule.action[0].block) if rule.priority < 2 } == { blocked-addresses = 1, other-countries = 1 }
    error_message = "Addresses or countries are not blocked, or not first."
  }
  assert {
    condition     = { for version, set in aws_wafv2_ip_set.blocked : version => join(" ", set.addresses) } == { IPV4 = "192.0.2.0/24", IPV6 = "2001:db8::/32" }
    error_message = "An address is in no set, or in that of another version."
  }
  assert {
    condition     = flatten([for rule in aws_wafv2_web_acl.this.rule : [for not in rule.statement[0].not_statement : not.statement[0].geo_match_statement[0].country_codes]]) == ["BE", "NL"]
    error_message = "Other countries than those given may call."
  }
  assert {
    condition     = flatten([for rule in aws_wafv2_web_acl.this.rule : [for or in rule.statement[0].or_statement : [for statement in or.statement : statement.ip_set_reference_statement[0].arn]] if rule.name == "blocked-addresses"]) == [for set in aws_wafv2_ip_set.blocked : set.arn]
    error_message = "A set of blocked addresses is asked by no rule."
  }
}

run "a_rule_counts_for_a_while_where_asked" {
  command = plan
  variables {
    counted_rules = { "sql-injection/SQLi_BODY" = { reason = "Plots about databases; fixed with the next release.", expires_on = "9999-12-31" } }
  }
  assert {
    condition = flatten([for rule in aws_wafv2_web_acl.this.rule : [for group in rule.statement[0].managed_rule_group_statement : [for override in group.rule_action_override : "${rule.name} ${override.name} ${length(override.action_to_use[0].count)}"]] if rule.name != "common"]) == [
      "sql-injection SQLi_BODY 1"
    ]
    error_message = "The rule blocks on, or another one counts."
  }
}

# A plan in the middle of an incident must not fail because a day has come; the nightly job reports it.
run "a_counted_rule_whose_day_has_passed_fails_no_plan" {
  command = plan
  variables {
    counted_rules = { "common/CrossSiteScripting_BODY" = { reason = "The nightly import sends HTML.", expires_on = "2020-01-01" } }
  }
  assert {
    condition     = contains(local.counted["common"], "CrossSiteScripting_BODY")
    error_message = "The rule blocks again without anybody having decided it."
  }
}

run "a_rule_that_counts_without_a_reason_is_refused" {
  command = plan
  variables {
    counted_rules = { "common/CrossSiteScripting_BODY" = { reason = "", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.counted_rules]
}

run "a_rule_that_counts_for_good_is_not_named_twice" {
  command = plan
  variables {
    counted_rules = { "common/SizeRestrictions_BODY" = { reason = "Long plots.", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.counted_rules]
}

run "a_rule_of_an_unknown_group_is_refused" {
  command = plan
  variables {
    counted_rules = { "NoUserAgent_HEADER" = { reason = "The nightly import sends none.", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.counted_rules]
}

run "c27_what_is_blocked_or_counted_is_logged_without_credentials" {
  command = plan
  assert {
    condition     = aws_wafv2_web_acl_logging_configuration.this.resource_arn == aws_wafv2_web_acl.this.arn && aws_wafv2_web_acl_logging_configuration.this.log_destination_configs == toset([aws_cloudwatch_log_group.this.arn]) && aws_cloudwatch_log_group.this.name == "aws-waf-logs-mvdb-test-movies"
    error_message = "The web ACL logs nothing, or to where WAF does not."
  }
  assert {
    condition     = toset(flatten([for field in aws_wafv2_web_acl_logging_configuration.this.redacted_fields : [for header in field.single_header : header.name]])) == toset(["authorization", "cookie", "x-api-key"])
    error_message = "A credential is readable in the log."
  }
  assert {
    condition = jsonencode([for filter in aws_wafv2_web_acl_logging_configuration.this.logging_filter : [filter.default_behavior, [for kept in filter.filter : [kept.behavior, kept.requirement, sort([for condition in kept.condition : condition.action_condition[0].action])]]]]) == jsonencode([
      ["DROP", [["KEEP", "MEETS_ANY", ["BLOCK", "COUNT", "EXCLUDED_AS_COUNT"]]]]
    ])
    error_message = "The log holds something else than what a rule blocked or counted."
  }
}

run "c33_the_log_has_a_key_and_an_end" {
  command = plan
  assert {
    condition     = aws_cloudwatch_log_group.this.kms_key_id == var.key.arn && aws_cloudwatch_log_group.this.retention_in_days == 400
    error_message = "The log is kept without the key, or for another time than asked."
  }
}

run "the_refusals_are_problems_of_the_contract" {
  command = plan
  assert {
    condition = alltrue([for body in aws_wafv2_web_acl.this.custom_response_body :
      toset(keys(jsondecode(body.content))) == toset(yamldecode(file("../../../lambda/services/movies/openapi.yaml")).components.schemas.Problem.required) &&
      contains(yamldecode(file("../../../lambda/services/movies/openapi.yaml")).components.schemas.Problem.properties.code.enum, jsondecode(body.content).code) &&
      jsondecode(body.content).code == body.key && body.content_type == "APPLICATION_JSON"
    ]) && length(aws_wafv2_web_acl.this.custom_response_body) == 3
    error_message = "A refusal is no problem as the contract describes it."
  }
}

# Without it a page cannot read the response and reports a network error. Rules without a custom response get API Gateway's
# response WAF_FILTERED, whose headers rest_api sets. AWS: "You can specify any header name except for content-type":
# https://docs.aws.amazon.com/waf/latest/developerguide/customizing-the-response-for-blocked-requests.html
run "pages_of_other_origins_can_read_the_responses_of_waf" {
  command = plan
  variables {
    cors_origins = ["https://app.example.org"]
  }
  assert {
    condition = { for rule in aws_wafv2_web_acl.this.rule : rule.name => {
      for header in rule.action[0].block[0].custom_response[0].response_header : header.name => header.value
      } if try(length(rule.action[0].block[0].custom_response), 0) > 0 } == {
      frozen          = { Retry-After = "300", Access-Control-Allow-Origin = "*", Access-Control-Expose-Headers = "Retry-After" }
      rate-per-source = { Retry-After = "60", Access-Control-Allow-Origin = "*", Access-Control-Expose-Headers = "Retry-After" }
      rate-per-token  = { Retry-After = "60", Access-Control-Allow-Origin = "*", Access-Control-Expose-Headers = "Retry-After" }
      body-size       = { Access-Control-Allow-Origin = "*", Access-Control-Expose-Headers = "Retry-After" }
    }
    error_message = "A page of an allowed origin cannot read why WAF rejected its request."
  }
}

run "without_allowed_origins_no_response_of_waf_has_a_cors_header" {
  command = plan
  assert {
    condition = !anytrue(flatten([for rule in aws_wafv2_web_acl.this.rule : [for response in try(rule.action[0].block[0].custom_response, []) :
    [for header in response.response_header : startswith(header.name, "Access-Control-")]]]))
    error_message = "Pages of any origin may read the responses, though none is allowed."
  }
}

run "c28_every_rule_is_measured" {
  command = plan
  variables {
    blocked_addresses = ["192.0.2.0/24"]
    allowed_countries = ["BE", "NL"]
  }
  assert {
    condition     = alltrue([for rule in aws_wafv2_web_acl.this.rule : rule.visibility_config[0].cloudwatch_metrics_enabled && rule.visibility_config[0].sampled_requests_enabled && rule.visibility_config[0].metric_name == "mvdb-test-movies-${rule.name}"])
    error_message = "A rule blocks unseen."
  }
}

run "c04_the_stage_is_protected" {
  command = plan
  assert {
    condition     = aws_wafv2_web_acl_association.this.resource_arn == var.stage_arn && aws_wafv2_web_acl_association.this.web_acl_arn == aws_wafv2_web_acl.this.arn
    error_message = "The web ACL stands before nothing."
  }
}

run "a_rate_that_waf_does_not_take_is_refused" {
  command = plan
  variables {
    requests_per_minute = { source = 9, token = 3000 }
  }
  expect_failures = [var.requests_per_minute]
}

run "what_is_no_address_range_and_no_country_is_refused" {
  command = plan
  variables {
    blocked_addresses = ["192.0.2.7"]
    allowed_countries = ["Belgium"]
  }
  expect_failures = [var.blocked_addresses, var.allowed_countries]
}
