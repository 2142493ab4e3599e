# What is watched, who is told and what they then read. alarms.tf is the table of alarms, slo.tf makes those that follow from
# promises; here they become alarms. Every alarm notifies the topic of its severity: a `page` wakes somebody, a `ticket`
# waits for the morning. Every alarm's description ends with its heading in the runbook.
#
# Not here, and why: a dead-letter queue's depth (the function is called synchronously, there is no queue), the client
# certificate's end (API Gateway has no metric of it; `aws apigateway get-client-certificates` tells), a canary (what it would
# call needs a consumer's secret; `silence` tells when nobody gets through).
resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = merge(local.alarms, local.consumer_alarms, local.windows)

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.meaning} ${var.runbook_url}#${each.value.heading}"
  comparison_operator = each.value.comparison
  namespace           = each.value.expression == null ? one(values(each.value.metrics)).namespace : null
  metric_name         = each.value.expression == null ? one(values(each.value.metrics)).name : null
  dimensions          = each.value.expression == null ? one(values(each.value.metrics)).dimensions : null
  statistic           = each.value.expression == null ? one(values(each.value.metrics)).statistic : null
  period              = each.value.expression == null ? each.value.period_seconds : null
  # An alarm on an expected range compares with what the expression yields, not with a number.
  threshold           = each.value.threshold
  threshold_metric_id = each.value.threshold == null ? "result" : null
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.periods_above
  treat_missing_data  = each.value.missing
  actions_enabled     = true
  alarm_actions       = each.value.severity == null ? [] : [aws_sns_topic.this[each.value.severity].arn]
  ok_actions          = each.value.severity == null ? [] : [aws_sns_topic.this[each.value.severity].arn]

  dynamic "metric_query" {
    for_each = each.value.expression == null ? {} : each.value.metrics
    content {
      id          = metric_query.key
      return_data = each.value.threshold == null # then the metric itself is what is compared

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.statistic
        period      = each.value.period_seconds
      }
    }
  }

  dynamic "metric_query" {
    for_each = each.value.expression[*]
    content {
      id          = "result"
      label       = each.key
      expression  = metric_query.value
      return_data = true
    }
  }
}

# Both windows: the long one says that it matters, the short one that it still goes on.
resource "aws_cloudwatch_composite_alarm" "burn" {
  for_each = local.burns

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.meaning} ${var.runbook_url}#${each.value.heading}"
  alarm_rule        = join(" AND ", [for window in each.value.windows : "ALARM(\"${aws_cloudwatch_metric_alarm.this[window].alarm_name}\")"])
  alarm_actions     = [aws_sns_topic.this["page"].arn]
  ok_actions        = [aws_sns_topic.this["page"].arn]
}

# One state for each severity: what a release asks before it goes on, and the all-clear. Each alarm in it has already
# told that it rings; this one tells when the last has stopped. Consumers are left out: a composite takes 100 alarms.
resource "aws_cloudwatch_composite_alarm" "severity" {
  for_each = {
    page = concat([for alarm in aws_cloudwatch_composite_alarm.burn : alarm.alarm_name],
    [for key, alarm in local.alarms : aws_cloudwatch_metric_alarm.this[key].alarm_name if alarm.severity == "page"])
    ticket = [for key, alarm in local.alarms : aws_cloudwatch_metric_alarm.this[key].alarm_name if alarm.severity == "ticket"]
  }

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "At least one alarm of severity ${each.key} rings. ${var.runbook_url}#${each.key}"
  alarm_rule        = join(" OR ", [for name in each.value : "ALARM(\"${name}\")"])
  ok_actions        = [aws_sns_topic.this[each.key].arn]
}

# A key that is disabled or about to be deleted takes table, logs and alarms with it. CloudTrail tells EventBridge, which
# tells us: there is no metric of it. It needs a trail that logs management events, see infra/bootstrap/account.tf.
resource "aws_cloudwatch_event_rule" "key" {
  name        = "${var.name}-key-threatened"
  description = "Somebody disables a key or schedules its deletion. ${var.runbook_url}#key-threatened"

  event_pattern = jsonencode({
    source      = ["aws.kms"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource = ["kms.amazonaws.com"]
      eventName   = ["DisableKey", "ScheduleKeyDeletion"]
      resources   = { ARN = concat([module.key.key.arn], [for key in var.keys : key.arn]) }
    }
  })
}

resource "aws_cloudwatch_event_target" "key" {
  rule = aws_cloudwatch_event_rule.key.name
  arn  = aws_sns_topic.this["page"].arn

  input_transformer {
    input_paths    = { event = "$.detail.eventName", key = "$.detail.resources[0].ARN", who = "$.detail.userIdentity.arn" }
    input_template = "\"<event> on <key> by <who>. ${var.runbook_url}#key-threatened\""
  }
}

# Whoever turns the kill switch, and by whatever way, wakes somebody: the alarm `frozen` hears scripts/freeze alone.
resource "aws_cloudwatch_event_rule" "switch" {
  name        = "${var.name}-switch-turned"
  description = "Somebody freezes or thaws. ${var.runbook_url}#frozen"

  event_pattern = jsonencode({
    source      = ["aws.wafv2"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource       = ["wafv2.amazonaws.com"]
      eventName         = ["UpdateRegexPatternSet"]
      requestParameters = { id = [var.switch.id] }
    }
  })
}

resource "aws_cloudwatch_event_target" "switch" {
  rule = aws_cloudwatch_event_rule.switch.name
  arn  = aws_sns_topic.this["page"].arn

  input_transformer {
    input_paths    = { said = "$.detail.requestParameters.description", who = "$.detail.userIdentity.arn" }
    input_template = "\"<said> Set by <who>. ${var.runbook_url}#frozen\""
  }
}

resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.budget.usd_per_month)
  limit_unit   = "USD"

  dynamic "cost_filter" {
    for_each = var.budget.cost_tag == null ? [] : ["TagKeyValue"]
    content {
      name   = cost_filter.value
      values = [format("user:%s$%s", var.budget.cost_tag.name, var.budget.cost_tag.value)]
    }
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      comparison_operator       = "GREATER_THAN"
      notification_type         = notification.key
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.this["ticket"].arn]
    }
  }
}
