output "user_pool" {
  description = "The plug: ARN of the pool whose tokens are accepted."
  value       = { arn = aws_cognito_user_pool.this.arn }
}

output "domain_prefix" {
  description = "Prefix of the token endpoint's host."
  value       = aws_cognito_user_pool_domain.this.domain
}

output "consumers" {
  description = "Per consumer what it asks tokens with."
  sensitive   = true
  value = { for name, client in aws_cognito_user_pool_client.this : name => {
    client_id     = client.id
    client_secret = client.client_secret
    scopes        = sort(client.allowed_oauth_scopes)
  } }
}

output "client_ids" {
  description = "Per consumer the id by which logs and metrics name it; no secret."
  value       = { for name, client in aws_cognito_user_pool_client.this : name => client.id }
}
