# Where every environment's state lies. Whoever reads it can call the APIs (consumers' secrets are in it), whoever writes it
# decides what the next apply believes.
resource "aws_kms_key" "state" {
  description             = "Terraform state"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AccountAdministers" # the roles' own policies say who else; without this nobody could, for ever
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*" # in a key's policy: this key
    }]
  })

  lifecycle {
    prevent_destroy = true # the states, and all their older versions, would be unreadable
  }
}

resource "aws_kms_alias" "state" {
  name          = "alias/${local.name}-state"
  target_key_id = aws_kms_key.state.key_id
}

locals {
  # The second keeps who read and wrote the first. Not `mvdb-…`: such buckets are the deploy role's.
  buckets = {
    state = "tfstate-mvdb-${var.account_id}-${var.region}"
    log   = "tfstate-mvdb-log-${var.account_id}-${var.region}"
  }
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144: a lost region's state is of resources that are lost with it; elsewhere a stack begins anew
  #checkov:skip=CKV2_AWS_62: nobody would listen to the events; who read and wrote is in the log
  #checkov:skip=CKV_AWS_18: the state's bucket is logged; the log's own log would have no end
  #checkov:skip=CKV_AWS_145: S3 writes access logs only into a bucket with S3's own key; the state has the customer key
  for_each = local.buckets

  bucket = each.value

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced" # no ACLs
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled" # a broken state is replaced by the one before
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = each.key == "state" ? "aws:kms" : "AES256"
      kms_master_key_id = each.key == "state" ? aws_kms_key.state.arn : null
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 400
    }

    # Every lock leaves a marker of its deletion.
    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = each.key == "log" ? ["old-lines"] : []
    content {
      id     = rule.value
      status = "Enabled"
      filter {}

      expiration {
        days = 400
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this] # the rule is about versions
}

resource "aws_s3_bucket_logging" "this" {
  bucket        = aws_s3_bucket.this["state"].id
  target_bucket = aws_s3_bucket.this["log"].id
  target_prefix = "state/"
}

resource "aws_s3_bucket_policy" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for sid, condition in {
        NoPlainText = { Bool = { "aws:SecureTransport" = "false" } }
        NoOldTls    = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
        } : {
        Sid       = sid
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [each.value.arn, "${each.value.arn}/*"]
        Condition = condition
      }],
      each.key != "log" ? [] : [{
        Sid       = "S3WritesTheLog"
        Effect    = "Allow"
        Principal = { Service = "logging.s3.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${each.value.arn}/state/*"
        Condition = { ArnEquals = { "aws:SourceArn" = aws_s3_bucket.this["state"].arn }, StringEquals = { "aws:SourceAccount" = var.account_id } }
      }],
    )
  })

  depends_on = [aws_s3_bucket_public_access_block.this] # two changes of a bucket at a time are refused
}
