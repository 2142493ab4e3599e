mock_provider "aws" {
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:topic" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/notifications" }
  }
}

variables {
  name        = "mvdb-test-movies"
  region      = "eu-west-1"
  account_id  = "123456789012"
  runbook_url = "https://example.com/infra/RUNBOOK.md"
  slo = {
    availability     = { target = 0.999 }
    latency          = { target = 0.99, threshold_milliseconds = 300 }
    minimum_requests = 120
  }
  api             = { name = "mvdb-test-movies", stage_name = "v1" }
  function        = { name = "mvdb-test-movies", timeout_seconds = 10, reserved_concurrency = 100, log_group_name = "/aws/lambda/mvdb-test-movies", namespace = "mvdb" }
  canary          = { alias = "live", version = "8" }
  table           = { name = "mvdb-test-movies", operations = ["GetItem", "PutItem"] }
  web_acl         = { metric_name = "mvdb-test-movies" }
  switch          = { id = "set" }
  backup          = { vault_name = "mvdb-test-movies" }
  flow_log        = { log_group_name = "/aws/vpc/mvdb-test-movies", addresses = "10.0.0.*" }
  keys            = { table = { arn = "arn:aws:kms:eu-west-1:123456789012:key/table" } }
  consumers       = { reader = { requests_per_hour = 5000 } }
  silence_minutes = 30
  log_groups      = { function = "/aws/lambda/mvdb-test-movies", access = "/aws/api-gateway/mvdb-test-movies", waf = "aws-waf-logs-mvdb-test-movies" }
  subscribers     = { page = [{ protocol = "email", endpoint = "oncall@example.com" }], ticket = [] }
  budget          = { usd_per_month = 50 }
}

run "c32_every_alarm_notifies_or_feeds_a_composite_that_does" {
  assert {
    condition = alltrue([for key, alarm in aws_cloudwatch_metric_alarm.this : alarm.actions_enabled && (
      length(alarm.alarm_actions) == 1 && length(alarm.ok_actions) == 1 ||
      anytrue([for burn in aws_cloudwatch_composite_alarm.burn : strcontains(burn.alarm_rule, "ALARM(\"${alarm.alarm_name}\")")])
    )])
    error_message = "An alarm rings and nobody hears it."
  }
  assert {
    condition     = alltrue([for burn in aws_cloudwatch_composite_alarm.burn : burn.alarm_actions == toset([aws_sns_topic.this["page"].arn]) && burn.ok_actions == burn.alarm_actions])
    error_message = "A promise is broken and nobody hears it."
  }
  assert {
    condition     = alltrue([for severity, composite in aws_cloudwatch_composite_alarm.severity : composite.ok_actions == toset([aws_sns_topic.this[severity].arn])])
    error_message = "Nobody hears that it is over."
  }
}

run "no_action_is_taken_that_is_not_of_the_alarms_severity" {
  assert {
    condition     = alltrue([for key, alarm in merge(local.alarms, local.consumer_alarms) : aws_cloudwatch_metric_alarm.this[key].alarm_actions == toset([aws_sns_topic.this[alarm.severity].arn])])
    error_message = "An alarm wakes somebody for a ticket, or waits with a page."
  }
}

run "every_alarm_of_a_severity_is_in_its_composite" {
  assert {
    condition = alltrue([for key, alarm in local.alarms :
      strcontains(aws_cloudwatch_composite_alarm.severity[alarm.severity].alarm_rule, "ALARM(\"mvdb-test-movies-${key}\")") &&
      !strcontains(aws_cloudwatch_composite_alarm.severity[alarm.severity == "page" ? "ticket" : "page"].alarm_rule, "ALARM(\"mvdb-test-movies-${key}\")")
    ])
    error_message = "A release would go on while an alarm rings."
  }
  assert {
    condition     = alltrue([for key, burn in local.burns : strcontains(aws_cloudwatch_composite_alarm.severity["page"].alarm_rule, "ALARM(\"mvdb-test-movies-${key}\")")])
    error_message = "A release would go on while a promise is broken."
  }
}

run "every_alarm_has_a_heading_in_the_runbook_and_every_heading_an_alarm" {
  assert {
    condition = toset(flatten(regexall("(?m)^## (.+)$", file("../../RUNBOOK.md")))) == toset(concat(
      [for alarm in output.alarms : alarm.heading], ["key-threatened", "budget", "restore"]
    ))
    error_message = "An alarm leads nowhere, or a heading has no alarm: ${jsonencode([for alarm in output.alarms : alarm.heading])}"
  }
  assert {
    condition = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.this), values(aws_cloudwatch_composite_alarm.burn), values(aws_cloudwatch_composite_alarm.severity)) :
    endswith(alarm.alarm_description, ". https://example.com/infra/RUNBOOK.md#${output.alarms[alarm.alarm_name].heading}") && length(alarm.alarm_description) <= 1024])
    error_message = "A description does not end with the link to its heading."
  }
  assert {
    condition     = length(output.alarms) == length(aws_cloudwatch_metric_alarm.this) + length(aws_cloudwatch_composite_alarm.burn) + length(aws_cloudwatch_composite_alarm.severity)
    error_message = "An alarm is not told of."
  }
}

# Every heading answers the same questions.
run "every_heading_says_what_it_means_and_what_to_do" {
  command = plan
  assert {
    condition = length(aws_cloudwatch_dashboard.this.dashboard_name) > 0 && alltrue([for section in slice(split("\n## ", file("../../RUNBOOK.md")), 1, length(split("\n## ", file("../../RUNBOOK.md")))) :
    alltrue([for word in ["Means", "Callers notice", "Look", "Wake"] : strcontains(section, "**${word}**")]) && length(regexall("\\*\\*[Dd]o\\*\\*", section)) == 1])
    error_message = "A heading leaves a question open."
  }
}

run "the_minimum_set_is_there" {
  command = plan
  assert {
    condition = alltrue([for key in [
      "availability-burn-daily", "latency-burn-daily", "refusals", "traffic", "slower", "function-errors", "function-locked-out", "function-throttled", "function-slow", "function-crowded",
      "function-does-not-start", "table-throttled", "table-errors", "table-slow", "waf-blocks", "silence", "backup-missing", "backup-failed", "breakout", "consumer-usage-reader",
      "version-fails", "version-slow", "frozen", "event-lost",
    ] : contains(keys(aws_cloudwatch_metric_alarm.this), key)])
    error_message = "An alarm is missing."
  }
}

run "what_a_stack_does_not_have_is_not_watched" {
  command = plan
  variables {
    backup          = null
    canary          = null
    flow_log        = null
    silence_minutes = null
    consumers       = {}
    log_groups      = {}
  }
  assert {
    condition     = length([for key in keys(aws_cloudwatch_metric_alarm.this) : key if can(regex("^(silence|backup-.*|breakout|consumer-usage.*|version-.*)$", key))]) == 0
    error_message = "An alarm watches what is not there."
  }
  assert {
    condition     = length(aws_cloudwatch_log_data_protection_policy.this) == 0 && length(aws_cloudwatch_query_definition.this) == 0
    error_message = "A log group is meant that nobody named."
  }
}

run "no_data_is_no_failure_but_for_what_is_never_silent" {
  command = plan
  assert {
    condition     = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.treat_missing_data if alarm.treat_missing_data != "notBreaching" } == { silence = "breaching", backup-missing = "breaching", frozen = "ignore" }
    error_message = "An alarm rings at night because nobody calls, or sleeps while nobody can."
  }
}

run "cloudwatch_takes_these_alarms" {
  command = plan
  assert {
    condition     = alltrue([for key, alarm in aws_cloudwatch_metric_alarm.this : length(alarm.metric_query) <= 20 && alarm.datapoints_to_alarm <= alarm.evaluation_periods])
    error_message = "An alarm has too many metrics or asks for more points than it looks at."
  }
  assert {
    condition = alltrue(flatten([for key, alarm in aws_cloudwatch_metric_alarm.this : [for query in alarm.metric_query : [for metric in query.metric :
    metric.period * alarm.evaluation_periods <= (metric.period >= 3600 ? 604800 : 86400)]]]))
    error_message = "An alarm looks further back than CloudWatch does."
  }
}

# Lambda's own metrics of one version are by all three of these, the function's own by two.
run "c41_a_release_is_stopped_by_what_its_own_version_does" {
  assert {
    condition     = output.version_alarms == ["mvdb-test-movies-version-fails", "mvdb-test-movies-version-slow"]
    error_message = "A release is stopped by other alarms."
  }
  assert {
    condition = alltrue(flatten([for key in ["version-fails", "version-slow"] : [for query in aws_cloudwatch_metric_alarm.this[key].metric_query : [for metric in query.metric :
      metric.dimensions == (metric.namespace == "AWS/Lambda"
        ? tomap({ FunctionName = "mvdb-test-movies", Resource = "mvdb-test-movies:live", ExecutedVersion = "8" })
      : tomap({ function = "mvdb-test-movies", version = "8" }))
    ]]]))
    error_message = "An alarm counts other versions' calls: a failing tenth would not show among them."
  }
  assert {
    condition     = flatten([for query in aws_cloudwatch_metric_alarm.this["version-fails"].metric_query : [for metric in query.metric : "${metric.namespace} ${metric.metric_name}"]]) == ["AWS/Lambda Invocations", "AWS/Lambda Errors", "mvdb faults"]
    error_message = "A version could fail in a way that nobody counts."
  }
}

run "c34_notifications_are_encrypted" {
  assert {
    condition     = alltrue([for topic in aws_sns_topic.this : topic.kms_master_key_id == module.key.key.arn])
    error_message = "A notification lies open."
  }
}

# "You can't use Condition blocks in Amazon SNS topic policies for EventBridge", so its publishing has a statement of its own:
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
run "c34_cloudwatch_budgets_and_events_may_publish_and_nobody_else" {
  assert {
    condition = jsonencode(local.key_uses) == jsonencode({ for sid, service in { CloudWatch = "cloudwatch.amazonaws.com", Budgets = "budgets.amazonaws.com", EventBridge = "events.amazonaws.com" } :
      sid => { service = service, actions = ["kms:Decrypt", "kms:GenerateDataKey*"], condition = { ArnLike = { "kms:EncryptionContext:aws:sns:topicArn" = "arn:aws:sns:eu-west-1:123456789012:mvdb-test-movies-*" } } }
    })
    error_message = "Notifications would be lost, or another account may use the key."
  }
  assert {
    condition = alltrue([for severity, topic in aws_sns_topic_policy.this : jsondecode(topic.policy).Statement == [
      {
        Sid    = "AlarmsAndBudgetsPublish", Effect = "Allow", Principal = { Service = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"] }
        Action = "sns:Publish", Resource = aws_sns_topic.this[severity].arn, Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
      },
      {
        Sid    = "EventBridgePublishes", Effect = "Allow", Principal = { Service = "events.amazonaws.com" }
        Action = "sns:Publish", Resource = aws_sns_topic.this[severity].arn
      },
    ]]) && length(aws_sns_topic_policy.this) == 2
    error_message = "Notifications would be refused, or anybody may send one."
  }
}

# FailedInvocations is "the number of invocations that failed permanently", by rule:
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
run "an_event_that_reaches_nobody_raises_an_alarm" {
  assert {
    condition = { for query in aws_cloudwatch_metric_alarm.this["event-lost"].metric_query : query.id => [for metric in query.metric : [metric.namespace, metric.metric_name, metric.dimensions.RuleName]] if length(query.metric) > 0 } == {
      key    = [["AWS/Events", "FailedInvocations", "mvdb-test-movies-key-threatened"]]
      switch = [["AWS/Events", "FailedInvocations", "mvdb-test-movies-switch-turned"]]
    }
    error_message = "EventBridge fails to deliver, and no alarm says so."
  }
}

# A packet that comes after its connection was closed is logged as REJECT; between two interfaces it never leaves the network:
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-records-examples.html
run "a_breakout_is_a_refused_packet_from_inside_to_outside" {
  command = plan
  assert {
    condition     = aws_cloudwatch_log_metric_filter.refused_packets["this"].pattern == "[version, account, interface, from = 10.0.0.*, to != 10.0.0.*, from_port, to_port, protocol, packets, bytes, start, end, action = REJECT, status]"
    error_message = "Late packets inside the network count, or an attempt to get out does not."
  }
}

# Without callers `silence` fires for ever, and no release could ever end it.
run "a_release_waits_for_pages_but_not_for_silence" {
  assert {
    condition = toset([for name, alarm in output.alarms : trimprefix(name, "mvdb-test-movies-") if alarm.holds_release]) == toset([
      "availability-burn-fast", "availability-burn-slow", "latency-burn-fast", "latency-burn-slow",
      "function-locked-out", "function-throttled", "function-does-not-start", "table-throttled",
    ])
    error_message = "A release is held by an alarm that it cannot worsen, or not by one that it can."
  }
}

run "subscribers_hear_their_severity" {
  assert {
    condition     = jsonencode([for subscription in aws_sns_topic_subscription.this : [subscription.protocol, subscription.endpoint]]) == jsonencode([["email", "oncall@example.com"]]) && aws_sns_topic_subscription.this["page oncall@example.com"].topic_arn == aws_sns_topic.this["page"].arn
    error_message = "Somebody is told of nothing, or of what is not theirs."
  }
}

run "c31_a_threatened_key_is_told_of" {
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.key.event_pattern) == {
      source = ["aws.kms"], detail-type = ["AWS API Call via CloudTrail"]
      detail = {
        eventSource = ["kms.amazonaws.com"], eventName = ["DisableKey", "ScheduleKeyDeletion"]
        resources   = { ARN = ["arn:aws:kms:eu-west-1:123456789012:key/notifications", "arn:aws:kms:eu-west-1:123456789012:key/table"] }
      }
    }
    error_message = "A key can go unnoticed."
  }
  assert {
    condition     = aws_cloudwatch_event_target.key.arn == aws_sns_topic.this["page"].arn && strcontains(aws_cloudwatch_event_target.key.input_transformer[0].input_template, "https://example.com/infra/RUNBOOK.md#key-threatened")
    error_message = "It is noticed, and nobody told what to do."
  }
}

run "whoever_turns_the_kill_switch_wakes_somebody" {
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.switch.event_pattern) == {
      source = ["aws.wafv2"], detail-type = ["AWS API Call via CloudTrail"]
      detail = { eventSource = ["wafv2.amazonaws.com"], eventName = ["UpdateRegexPatternSet"], requestParameters = { id = ["set"] } }
    }
    error_message = "Somebody can freeze unnoticed."
  }
  assert {
    condition     = aws_cloudwatch_event_target.switch.arn == aws_sns_topic.this["page"].arn && strcontains(aws_cloudwatch_event_target.switch.input_transformer[0].input_template, "https://example.com/infra/RUNBOOK.md#frozen")
    error_message = "It is noticed, and nobody told what it means."
  }
}

# scripts/freeze tells it when it is turned, and never again: the metric itself, no expression that fills what is missing.
run "the_alarm_frozen_keeps_ringing_without_data" {
  command = plan
  assert {
    condition = (aws_cloudwatch_metric_alarm.this["frozen"].metric_name == "frozen" && aws_cloudwatch_metric_alarm.this["frozen"].namespace == "mvdb" &&
      aws_cloudwatch_metric_alarm.this["frozen"].dimensions == tomap({ web_acl = "mvdb-test-movies" }) && aws_cloudwatch_metric_alarm.this["frozen"].statistic == "Maximum" &&
    aws_cloudwatch_metric_alarm.this["frozen"].treat_missing_data == "ignore" && length(aws_cloudwatch_metric_alarm.this["frozen"].metric_query) == 0)
    error_message = "The alarm ends before somebody thaws."
  }
}

run "secrets_and_addresses_are_masked_in_every_log_given" {
  command = plan
  assert {
    condition     = tomap({ for group, policy in aws_cloudwatch_log_data_protection_policy.this : group => policy.log_group_name }) == var.log_groups
    error_message = "A log is not masked."
  }
  assert {
    condition = alltrue(flatten([for policy in aws_cloudwatch_log_data_protection_policy.this : [for statement in jsondecode(policy.policy_document).Statement : [
      for name in ["AwsSecretKey", "EmailAddress", "IpAddress"] : contains(statement.DataIdentifier, "arn:aws:dataprotection::aws:data-identifier/${name}")
    ]]]))
    error_message = "Something is found and not masked, or not even looked for."
  }
  assert {
    condition     = alltrue([for policy in aws_cloudwatch_log_data_protection_policy.this : length(regexall("^${jsondecode(policy.policy_document).Configuration.CustomDataIdentifier[0].Regex}$", "eyJhbGciOiJSUzI1NiJ9.eyJzY29wZSI6Im1vdmllcy9yZWFkIn0.c2ln-bmF0dXJl_")) == 1])
    error_message = "A bearer token is not recognised."
  }
}

run "the_runbooks_queries_are_saved" {
  command = plan
  assert {
    condition     = length(setsubtract(flatten(regexall("`ask ([a-z]+)", file("../../RUNBOOK.md"))), keys(aws_cloudwatch_query_definition.this))) == 0
    error_message = "The runbook asks a question that is not saved."
  }
  assert {
    condition     = alltrue([for name, query in aws_cloudwatch_query_definition.this : query.name == "mvdb-test-movies/${name}"])
    error_message = "A query is not found under its name."
  }
}

run "a_budget_tells_before_and_after" {
  assert {
    condition     = { for notification in aws_budgets_budget.this.notification : notification.notification_type => notification.threshold if notification.subscriber_sns_topic_arns == toset([aws_sns_topic.this["ticket"].arn]) } == { ACTUAL = 80, FORECASTED = 100 }
    error_message = "Money runs out in silence."
  }
  assert {
    condition     = aws_budgets_budget.this.limit_amount == "50" && length(aws_budgets_budget.this.cost_filter) == 0
    error_message = "The budget is another than agreed."
  }
}

# Whether two tags in one filter mean both or either, AWS does not say: there is one.
run "a_budget_can_be_narrowed_to_one_tag" {
  command = plan
  variables {
    budget = { usd_per_month = 50, cost_tag = { name = "product", value = "mvdb" } }
  }
  assert {
    condition     = jsonencode(one(aws_budgets_budget.this.cost_filter).values) == jsonencode(["user:product$mvdb"])
    error_message = "The budget counts what is not ours."
  }
}

run "a_consumer_that_sends_more_than_agreed_is_told_of" {
  command = plan
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["consumer-usage-reader"].threshold == 5000
    error_message = "A consumer may send more than agreed."
  }
}

run "the_accounts_concurrency_counts_where_none_is_reserved" {
  command = plan
  variables {
    function = { name = "mvdb-test-movies", timeout_seconds = 10, reserved_concurrency = null, log_group_name = "/aws/lambda/mvdb-test-movies", namespace = "mvdb" }
  }
  assert {
    condition     = [for query in aws_cloudwatch_metric_alarm.this["function-crowded"].metric_query : query.expression if query.id == "result"] == ["100 * used / SERVICE_QUOTA(used)"]
    error_message = "The account runs out of concurrency unnoticed."
  }
}

run "the_dashboard_shows_what_one_asks_first" {
  assert {
    condition = alltrue([for title in ["Traffic (requests)", "Errors (requests)", "Latency for callers (ms)", "Saturation: function", "Saturation: table", "Cold starts", "WAF (requests)", "Consumers (requests)"] :
    contains([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.properties.title], title)])
    error_message = "A chart is missing."
  }
}

run "a_promise_of_everything_is_refused" {
  command = plan
  variables {
    slo = { availability = { target = 1 }, latency = { target = 0.99, threshold_milliseconds = 300 }, minimum_requests = 120 }
  }
  expect_failures = [var.slo]
}

run "a_silence_of_nothing_and_a_budget_of_nothing_are_refused" {
  command = plan
  variables {
    silence_minutes = 0
    budget          = { usd_per_month = 0 }
  }
  expect_failures = [var.silence_minutes, var.budget]
}
