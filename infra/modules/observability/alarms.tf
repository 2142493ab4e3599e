# The table of alarms: what it means, how bad it is, what is measured, above which threshold. The key is the heading in the
# runbook unless said otherwise. An alarm without an expression compares its only metric itself. The promises themselves, errors and latency as callers see them, are in slo.tf; what is here
# says why, or tells of it before callers notice.
locals {
  api_dimensions = { ApiName = var.api.name, Stage = var.api.stage_name }
  api = {
    requests = { namespace = "AWS/ApiGateway", name = "Count", dimensions = local.api_dimensions, statistic = "Sum" }
    faults   = { namespace = "AWS/ApiGateway", name = "5XXError", dimensions = local.api_dimensions, statistic = "Sum" }
    refusals = { namespace = "AWS/ApiGateway", name = "4XXError", dimensions = local.api_dimensions, statistic = "Average" } # the average is the share
    latency  = { namespace = "AWS/ApiGateway", name = "Latency", dimensions = local.api_dimensions, statistic = "p99" }
  }

  function = { for name, statistic in { Invocations = "Sum", Errors = "Sum", Throttles = "Sum", Duration = "p99", ConcurrentExecutions = "Maximum" } :
    name => { namespace = "AWS/Lambda", name = name, dimensions = { FunctionName = var.function.name }, statistic = statistic }
  }

  # What one version answers by the alias. Lambda counts as an error what crashed; a 5xx that the function itself answers it
  # counts as a success, so that is the function's own metric.
  version = { for canary in var.canary[*] : "this" => merge(
    { for name, metric in local.function : name => merge(metric, {
      dimensions = { FunctionName = var.function.name, Resource = "${var.function.name}:${canary.alias}", ExecutedVersion = canary.version }
    }) },
    { faults = { namespace = var.function.namespace, name = "faults", dimensions = { function = var.function.name, version = canary.version }, statistic = "Sum" } },
  ) }

  # These stop a release, see modules/delivery. Among all calls, the failures of a version that a tenth of them reach would be
  # a tenth as many.
  version_alarms = { for key, alarm in merge([for version in local.version : {
    version-fails = {
      meaning        = "More than 1 % of the calls that reach version ${var.canary.version} fail: it crashes, runs out of time or answers 5xx."
      severity       = "ticket"
      metrics        = { calls = version.Invocations, errors = version.Errors, faults = version.faults }
      expression     = "100 * (FILL(errors, 0) + FILL(faults, 0)) / calls"
      threshold      = 1
      period_seconds = 60
      periods        = 3, periods_above = 2
    }
    version-slow = {
      meaning        = "One call in a hundred that reaches version ${var.canary.version} takes longer than callers are promised."
      severity       = "ticket"
      metrics        = { duration = version.Duration }
      expression     = "duration"
      threshold      = var.slo.latency.threshold_milliseconds
      period_seconds = 60
      periods        = 3, periods_above = 3
    }
  }]...) : key => merge(local.defaults, { heading = key }, alarm) }

  # Where the function has no share of its own the account's is what runs out, and AWS knows how much that is.
  concurrency = (var.function.reserved_concurrency == null
    ? { used = { namespace = "AWS/Usage", name = "ResourceCount", dimensions = { Service = "Lambda", Type = "Resource", Resource = "ConcurrentExecutions", Class = "None" }, statistic = "Maximum" } }
  : { used = local.function.ConcurrentExecutions })
  concurrency_limit = var.function.reserved_concurrency == null ? "SERVICE_QUOTA(used)" : tostring(var.function.reserved_concurrency)

  # By the cause that the function gives with each request that it could not answer.
  lockouts = { for cause in ["credentials", "denied", "missing"] :
    cause => { namespace = var.function.namespace, name = "faults", dimensions = { function = var.function.name, cause = cause }, statistic = "Sum" }
  }

  table = { for name in ["ReadThrottleEvents", "WriteThrottleEvents"] :
    name => { namespace = "AWS/DynamoDB", name = name, dimensions = { TableName = var.table.name }, statistic = "Sum" }
  }
  table_errors = { for operation in var.table.operations :
    lower(operation) => { namespace = "AWS/DynamoDB", name = "SystemErrors", dimensions = { TableName = var.table.name, Operation = operation }, statistic = "Sum" }
  }

  waf = { for name in ["AllowedRequests", "BlockedRequests"] :
    name => { namespace = "AWS/WAFV2", name = name, dimensions = { WebACL = var.web_acl.metric_name, Region = var.region, Rule = "ALL" }, statistic = "Sum" }
  }

  # holds_release: while a page with it fires, nothing is released.
  defaults = {
    holds_release = true, heading = null, comparison = "GreaterThanThreshold", threshold = 0, period_seconds = 300, periods = 1, periods_above = 1, missing = "notBreaching"
  }

  alarms = merge(local.daily, local.version_alarms, { for key, alarm in merge(
    {
      refusals = {
        meaning    = "The share of requests refused with 4xx is not what it usually is at this hour: a consumer sends something new, or somebody tries doors."
        severity   = "ticket"
        metrics    = { refusals = local.api.refusals }
        expression = "ANOMALY_DETECTION_BAND(refusals, 4)"
        comparison = "GreaterThanUpperThreshold"
        threshold  = null
        periods    = 3, periods_above = 3
      }
      traffic = {
        meaning    = "There are far more or far fewer requests than usually at this hour."
        severity   = "ticket"
        metrics    = { requests = local.api.requests }
        expression = "ANOMALY_DETECTION_BAND(requests, 4)"
        comparison = "LessThanLowerOrGreaterThanUpperThreshold"
        threshold  = null
        periods    = 6, periods_above = 6
      }
      slower = {
        meaning    = "One request in a hundred takes longer than it usually does at this hour, although perhaps within what is promised."
        severity   = "ticket"
        metrics    = { latency = local.api.latency }
        expression = "ANOMALY_DETECTION_BAND(latency, 4)"
        comparison = "GreaterThanUpperThreshold"
        threshold  = null
        periods    = 6, periods_above = 6
      }
      function-errors = {
        meaning    = "The function crashed or ran out of time; what it merely refuses or reports does not count here."
        severity   = "ticket"
        metrics    = { errors = local.function.Errors }
        expression = "FILL(errors, 0)"
      }
      function-locked-out = {
        meaning    = "The function may not use its table, or there is none: what signs its calls, its role, the key or the table itself is gone. No retry mends that."
        severity   = "page"
        metrics    = local.lockouts
        expression = join(" + ", [for cause in keys(local.lockouts) : "FILL(${cause}, 0)"])
      }
      function-throttled = {
        meaning    = "Lambda turns calls away: the function has no concurrency left."
        severity   = "page"
        metrics    = { throttles = local.function.Throttles }
        expression = "FILL(throttles, 0)"
        periods    = 3, periods_above = 2
      }
      function-slow = {
        meaning    = "One call in a hundred takes more than 70 % of the time after which Lambda ends it."
        severity   = "ticket"
        metrics    = { duration = local.function.Duration }
        expression = "100 * duration / ${var.function.timeout_seconds * 1000}"
        threshold  = 70
        periods    = 3, periods_above = 3
      }
      function-crowded = {
        meaning        = "More than 80 % of the concurrency is in use: soon Lambda turns calls away."
        severity       = "ticket"
        metrics        = local.concurrency
        expression     = "100 * used / ${local.concurrency_limit}"
        threshold      = 80
        period_seconds = 60
        periods        = 5, periods_above = 3
      }
      function-does-not-start = {
        meaning    = "New instances of the function fail before their first call: a setting is missing, or the package is broken."
        severity   = "page"
        metrics    = { failures = { namespace = var.function.namespace, name = aws_cloudwatch_log_metric_filter.init_failures.metric_transformation[0].name, dimensions = {}, statistic = "Sum" } }
        expression = "FILL(failures, 0)"
      }
      table-throttled = {
        meaning    = "DynamoDB turns calls away: the table's maximum throughput is reached, or one year takes it all."
        severity   = "page"
        metrics    = { reads = local.table.ReadThrottleEvents, writes = local.table.WriteThrottleEvents }
        expression = "FILL(reads, 0) + FILL(writes, 0)"
        periods    = 3, periods_above = 2
      }
      table-errors = {
        meaning    = "DynamoDB itself fails."
        severity   = "ticket"
        metrics    = local.table_errors
        expression = join(" + ", [for id in sort(keys(local.table_errors)) : "FILL(${id}, 0)"])
        periods    = 3, periods_above = 2
      }
      table-slow = {
        meaning    = "Reading one movie takes DynamoDB more than 25 ms on average; a few are usual."
        severity   = "ticket"
        metrics    = { latency = { namespace = "AWS/DynamoDB", name = "SuccessfulRequestLatency", dimensions = { TableName = var.table.name, Operation = "GetItem" }, statistic = "Average" } }
        expression = "latency"
        threshold  = 25
        periods    = 3, periods_above = 3
      }
      waf-blocks = {
        meaning    = "The web ACL blocks more than a fifth of all requests: an attack, or a rule that hits our own consumers."
        severity   = "ticket"
        metrics    = { allowed = local.waf.AllowedRequests, blocked = local.waf.BlockedRequests }
        expression = "IF(FILL(allowed, 0) + FILL(blocked, 0) > 100, 100 * FILL(blocked, 0) / (FILL(allowed, 0) + FILL(blocked, 0)), 0)"
        threshold  = 20
        periods    = 3, periods_above = 2
      }
    },
    # No call tells that nobody may call, and a rule that blocks is no news when nobody tries: the switch itself says how much it
    # holds, once, whenever it is turned (scripts/freeze), and no data means that it was not.
    { frozen = {
      meaning        = "Somebody has frozen writes or a consumer, and not thawed them yet."
      severity       = "ticket"
      metrics        = { frozen = { namespace = var.function.namespace, name = "frozen", dimensions = { web_acl = var.web_acl.metric_name }, statistic = "Maximum" } }
      expression     = null
      period_seconds = 60
      missing        = "ignore"
    } },
    # The other way to be notified: EventBridge's rules of main.tf. When it may not publish, nothing else shows it.
    { event-lost = {
      meaning  = "EventBridge could not deliver that a key is threatened or the kill switch was turned."
      severity = "ticket"
      metrics = { for name, rule in { key = aws_cloudwatch_event_rule.key, switch = aws_cloudwatch_event_rule.switch } :
        name => { namespace = "AWS/Events", name = "FailedInvocations", dimensions = { RuleName = rule.name }, statistic = "Sum" }
      }
      expression = "FILL(key, 0) + FILL(switch, 0)"
    } },
    # What a stack does not have is not watched.
    { for minutes in var.silence_minutes[*] : "silence" => {
      meaning        = "Not a single request for ${minutes} minutes: callers do not get through."
      severity       = "page"
      metrics        = { requests = local.api.requests }
      expression     = "FILL(requests, 0)"
      comparison     = "LessThanThreshold"
      threshold      = 1
      period_seconds = minutes * 60
      missing        = "breaching" # silence is no data at all
      holds_release  = false       # a release changes nothing about who calls; without callers none could ever be made
    } },
    merge([for backup in var.backup[*] : {
      backup-missing = {
        # The backup of the night may end on either side of where CloudWatch ends a day: one day without is none.
        meaning        = "Two days in a row no backup was completed."
        severity       = "ticket"
        metrics        = { completed = { namespace = "AWS/Backup", name = "NumberOfBackupJobsCompleted", dimensions = { BackupVaultName = backup.vault_name }, statistic = "Sum" } }
        expression     = "FILL(completed, 0)"
        comparison     = "LessThanThreshold"
        threshold      = 1
        period_seconds = 86400
        periods        = 2, periods_above = 2
        missing        = "breaching" # a plan that never ran leaves no data
      }
      backup-failed = {
        meaning    = "A backup failed."
        heading    = "backup-missing"
        severity   = "ticket"
        metrics    = { failed = { namespace = "AWS/Backup", name = "NumberOfBackupJobsFailed", dimensions = { BackupVaultName = backup.vault_name }, statistic = "Sum" } }
        expression = "FILL(failed, 0)"
      }
    }]...),
    { for filter in aws_cloudwatch_log_metric_filter.refused_packets : "breakout" => {
      meaning    = "Code in the network tried to reach something other than the table and X-Ray, and was stopped."
      severity   = "ticket" # a late packet of a closed connection looks the same
      metrics    = { packets = { namespace = var.function.namespace, name = filter.metric_transformation[0].name, dimensions = {}, statistic = "Sum" } }
      expression = "FILL(packets, 0)"
    } },
  ) : key => merge(local.defaults, { heading = key }, alarm) })

  consumer_alarms = { for consumer, agreed in var.consumers : "consumer-usage-${consumer}" => merge(local.defaults, {
    meaning        = "Consumer ${consumer} sends more than the ${agreed.requests_per_hour} requests an hour it agreed on."
    heading        = "consumer-usage"
    severity       = "ticket"
    metrics        = { requests = { namespace = var.function.namespace, name = "requests", dimensions = { function = var.function.name, consumer = consumer }, statistic = "Sum" } }
    expression     = "FILL(requests, 0)"
    threshold      = agreed.requests_per_hour
    period_seconds = 3600
  }) }
}

# Lambda has no metric of this: such a call is an error like any other.
resource "aws_cloudwatch_log_metric_filter" "init_failures" {
  name           = "${var.name}-init-failures"
  log_group_name = var.function.log_group_name
  pattern        = "{ $.type = \"platform.initReport\" && $.record.status != \"success\" }"

  metric_transformation {
    namespace = var.function.namespace
    name      = "${var.name}-init-failures"
    value     = "1"
  }
}

# Sent from inside to outside: what is refused on its way in, or between two interfaces of the network, is a late packet.
resource "aws_cloudwatch_log_metric_filter" "refused_packets" {
  for_each = { for flow_log in var.flow_log[*] : "this" => flow_log }

  name           = "${var.name}-refused-packets"
  log_group_name = each.value.log_group_name
  pattern        = "[version, account, interface, from = ${each.value.addresses}, to != ${each.value.addresses}, from_port, to_port, protocol, packets, bytes, start, end, action = REJECT, status]"

  metric_transformation {
    namespace = var.function.namespace
    name      = "${var.name}-refused-packets"
    value     = "$packets"
  }
}
