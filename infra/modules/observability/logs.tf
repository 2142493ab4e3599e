# What must not be read in a log is masked for everybody without logs:Unmask, should it ever get there; and the questions
# that the runbook asks the logs are saved beside them.
locals {
  masked = [for name in ["AwsSecretKey", "OpenSshPrivateKey", "PgpPrivateKey", "PkcsPrivateKey", "PuttyPrivateKey", "EmailAddress", "IpAddress"] :
  "arn:aws:dataprotection::aws:data-identifier/${name}"]

  queries = {
    faults   = { log_group = "function", query = "filter level = 'ERROR' | fields @timestamp, request_id, cause, error, message, @message | sort @timestamp desc | limit 100" }
    slowest  = { log_group = "function", query = "filter message = 'request' | fields @timestamp, request_id, method, route, status, latency, cold_starts | sort latency desc | limit 50" }
    starts   = { log_group = "function", query = "filter type like 'platform.init' or level = 'FATAL' | fields @timestamp, type, record.status, message, @message | sort @timestamp desc | limit 50" }
    consumer = { log_group = "function", query = "filter message = 'request' | stats sum(requests) as sent, sum(faults) as failed, pct(latency, 99) as p99_milliseconds by consumer, route | sort sent desc" }
    refusals = { log_group = "access", query = "filter status >= 400 | stats count(*) as refused by status, error_type, route, client_id | sort refused desc" }
    gateway  = { log_group = "access", query = "filter status >= 500 | fields @timestamp, request_id, route, status, error_type, integration_status, integration_latency_ms | sort @timestamp desc | limit 100" }
    waf      = { log_group = "waf", query = "filter action = 'BLOCK' | fields unmask(httpRequest.clientIp) as address | stats count(*) as blocked by terminatingRuleId, address, httpRequest.uri | sort blocked desc | limit 100" }
  }
}

resource "aws_cloudwatch_log_data_protection_policy" "this" {
  for_each = var.log_groups

  log_group_name = each.value
  policy_document = jsonencode({
    Name    = "${var.name}-${each.key}"
    Version = "2021-06-01"
    # AWS wants both, over the same data: one to find, one to mask.
    Statement = [
      { Sid = "find", DataIdentifier = concat(local.masked, ["BearerToken"]), Operation = { Audit = { FindingsDestination = {} } } },
      { Sid = "mask", DataIdentifier = concat(local.masked, ["BearerToken"]), Operation = { Deidentify = { MaskConfig = {} } } },
    ]
    Configuration = { CustomDataIdentifier = [{ Name = "BearerToken", Regex = "eyJ[A-Za-z0-9_-]+\\.eyJ[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+" }] }
  })
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = { for name, query in local.queries : name => query if contains(keys(var.log_groups), query.log_group) }

  name            = "${var.name}/${each.key}"
  log_group_names = [var.log_groups[each.value.log_group]]
  query_string    = replace(each.value.query, " | ", "\n| ")
}
