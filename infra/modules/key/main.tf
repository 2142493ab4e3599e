# A customer key for one purpose: whoever may use it is read here, and taking it away stops that purpose and no other.
resource "aws_kms_key" "this" {
  description             = var.purpose
  enable_key_rotation     = true
  deletion_window_in_days = 30 # the longest there is: what it encrypted is lost with it

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "AccountAdministers" # the account's own policies say who; without this nobody could, for ever
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*" # in a key's policy: this key
      }],
      [for sid, use in var.uses : {
        Sid       = sid
        Effect    = "Allow"
        Principal = { Service = use.service }
        Action    = use.actions
        Resource  = "*"
        Condition = use.condition
      }],
    )
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
