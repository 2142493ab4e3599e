# Copies that outlive the table, and the 35 days to which point-in-time recovery ends. Restoring makes a new table.
resource "aws_backup_vault" "this" {
  for_each = local.backup

  name        = var.name
  kms_key_arn = var.key.arn
}

resource "aws_backup_plan" "this" {
  for_each = local.backup

  name = var.name

  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.this[each.key].name
    schedule          = "cron(17 3 * * ? *)" # off the hour, at which everybody else's begin
    start_window      = 60
    completion_window = 300

    lifecycle {
      delete_after = each.value.retention_days
    }
  }
}

resource "aws_backup_selection" "this" {
  for_each = local.backup

  name         = var.name
  plan_id      = aws_backup_plan.this[each.key].id
  iam_role_arn = aws_iam_role.backup[each.key].arn
  resources    = [aws_dynamodb_table.this.arn]
}

resource "aws_iam_role" "backup" {
  for_each = local.backup

  name                 = "${var.name}-backup"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "backup.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

# AWS's managed policy for this allows the same on every table and every key of the account. There is no way back in it:
# a restore is a person's decision, with a person's rights.
resource "aws_iam_role_policy" "backup" {
  for_each = local.backup

  name = "backup"
  role = aws_iam_role.backup[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "CopyTheTable"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeTable", "dynamodb:ListTagsOfResource", "dynamodb:StartAwsBackupJob"]
        Resource = [aws_dynamodb_table.this.arn]
      },
      {
        Sid      = "IntoTheVault"
        Effect   = "Allow"
        Action   = ["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"]
        Resource = [aws_backup_vault.this[each.key].arn]
      },
      # A copy bears the table's tags, and a job that may not set them fails.
      # https://docs.aws.amazon.com/aws-backup/latest/devguide/access-control.html
      {
        Sid      = "TagTheCopies"
        Effect   = "Allow"
        Action   = ["backup:TagResource"]
        Resource = ["arn:aws:backup:${var.region}:${var.account_id}:recovery-point:*"]
      },
      {
        Sid       = "ReadWithTheKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [var.key.arn]
        Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${var.region}.amazonaws.com", "backup.${var.region}.amazonaws.com"] } }
      },
      {
        Sid      = "KnowTheKey"
        Effect   = "Allow"
        Action   = ["kms:DescribeKey"]
        Resource = [var.key.arn]
      },
      {
        Sid       = "LendTheKeyToTheVault"
        Effect    = "Allow"
        Action    = ["kms:CreateGrant"]
        Resource  = [var.key.arn]
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
    ]
  })
}

locals {
  backup = { for backup in var.backup[*] : "this" => backup }
}
