output "topics" {
  description = "The plug: topic ARN by severity."
  value       = { for severity, topic in aws_sns_topic.this : severity => topic.arn }
}

output "alarms" {
  description = "Every alarm by name: its severity, its heading in the runbook, how it tells (`direct`, by its all-clear (`ok`), or by the composite of that name), and whether a release waits until it has ended."
  value = merge(
    { for key, alarm in merge(local.alarms, local.consumer_alarms) : "${var.name}-${key}" => {
      severity = alarm.severity, heading = alarm.heading, tells = "direct", holds_release = alarm.severity == "page" && alarm.holds_release
    } },
    { for key, burn in local.burns : "${var.name}-${key}" => {
      severity = "page", heading = burn.heading, tells = "direct", holds_release = true
    } },
    merge([for key, burn in local.burns : { for window in burn.windows : "${var.name}-${window}" => {
      severity = "page", heading = burn.heading, tells = "${var.name}-${key}", holds_release = false
    } }]...),
    { for severity in keys(aws_sns_topic.this) : "${var.name}-${severity}" => {
      severity = severity, heading = severity, tells = "ok", holds_release = false
    } },
  )
}

output "version_alarms" {
  description = "The plug: names of the alarms that stop a release."
  value       = [for key in keys(local.version_alarms) : aws_cloudwatch_metric_alarm.this[key].alarm_name]
}

output "key" {
  description = "The plug: ARN of the key of the topics; whoever subscribes a queue needs it."
  value       = module.key.key
}
