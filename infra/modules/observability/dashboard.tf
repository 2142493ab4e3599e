# One page, in the order in which one asks: do they call, do we answer, how fast, what runs out, who is it.
locals {
  own = { for name in ["requests", "faults", "latency", "cold_starts"] : name => [var.function.namespace, name, "function", var.function.name] }

  # Title, statistic, metrics ([namespace, name, dimension, value, ..., options]); three in a row.
  charts = [
    ["Traffic (requests)", "Sum", [local.dashboard.Count]],
    ["Errors (requests)", "Sum", [local.dashboard["5XXError"], local.dashboard["4XXError"], local.own.faults]],
    ["Share of requests that succeed (%)", "Sum", [
      [{ expression = "100 * (1 - faults / requests)", label = "succeed" }],
      concat(local.dashboard.Count, [{ id = "requests", visible = false }]),
      concat(local.dashboard["5XXError"], [{ id = "faults", visible = false }]),
    ]],
    ["Latency for callers (ms)", "p99", [concat(local.dashboard.Latency, [{ stat = "p50" }]), local.dashboard.Latency, local.dashboard.IntegrationLatency]],
    ["Latency in the function (ms)", "p99", [concat(local.own.latency, [{ stat = "p50" }]), local.own.latency]],
    ["Cold starts", "Sum", [local.own.cold_starts, local.own.requests]],
    ["Saturation: function", "Maximum", [
      ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", var.function.name],
      ["AWS/Lambda", "Throttles", "FunctionName", var.function.name, { stat = "Sum" }],
      ["AWS/Lambda", "Errors", "FunctionName", var.function.name, { stat = "Sum" }],
    ]],
    ["Saturation: table", "Sum", [for name in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"] :
    ["AWS/DynamoDB", name, "TableName", var.table.name]]],
    ["WAF (requests)", "Sum", [for name in ["AllowedRequests", "BlockedRequests", "CountedRequests"] :
    ["AWS/WAFV2", name, "WebACL", var.web_acl.metric_name, "Region", var.region, "Rule", "ALL"]]],
    ["Consumers (requests)", "Sum", [for consumer, agreed in var.consumers : [var.function.namespace, "requests", "function", var.function.name, "consumer", consumer, { label = consumer }]]],
    ["Consumers (faults)", "Sum", [for consumer, agreed in var.consumers : [var.function.namespace, "faults", "function", var.function.name, "consumer", consumer, { label = consumer }]]],
  ]
  dashboard = { for name in ["Count", "4XXError", "5XXError", "Latency", "IntegrationLatency"] :
    name => ["AWS/ApiGateway", name, "ApiName", var.api.name, "Stage", var.api.stage_name]
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({ widgets = concat(
    [{
      type       = "alarm", x = 0, y = 0, width = 24, height = 3
      properties = { title = "What rings", alarms = concat([for alarm in aws_cloudwatch_composite_alarm.severity : alarm.arn], [for alarm in aws_cloudwatch_composite_alarm.burn : alarm.arn]) }
    }],
    [for index, chart in local.charts : {
      type       = "metric", x = index % 3 * 8, y = 3 + floor(index / 3) * 6, width = 8, height = 6
      properties = { title = chart[0], stat = chart[1], metrics = chart[2], region = var.region, period = 60, view = "timeSeries" }
    }],
  ) })
}
