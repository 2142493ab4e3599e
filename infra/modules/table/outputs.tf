output "table" {
  description = "The plug: the table's name and ARN."
  value       = { name = aws_dynamodb_table.this.name, arn = aws_dynamodb_table.this.arn }
}
