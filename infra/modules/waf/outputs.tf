output "web_acl" {
  description = "The plug: the web ACL's ARN, the name of its metrics and the group of its log."
  value = {
    arn            = aws_wafv2_web_acl.this.arn
    metric_name    = aws_wafv2_web_acl.this.visibility_config[0].metric_name
    log_group_name = aws_cloudwatch_log_group.this.name
  }
}

output "switch" {
  description = "The plug of the kill switch: id and name of the set of what is frozen."
  value       = { id = aws_wafv2_regex_pattern_set.frozen.id, name = aws_wafv2_regex_pattern_set.frozen.name }
}
