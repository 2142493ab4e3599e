output "table" {
  description = "The plug: the table's name and ARN."
  value       = { name = aws_dynamodb_table.this.name, arn = aws_dynamodb_table.this.arn }
}

output "backup" {
  description = "The plug of whoever watches: name of the vault; null when there is none."
  value       = one([for vault in aws_backup_vault.this : { vault_name = vault.name }])
}
