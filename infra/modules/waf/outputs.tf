output "web_acl" {
  description = "The plug: the web ACL's ARN."
  value       = { arn = aws_wafv2_web_acl.this.arn }
}
