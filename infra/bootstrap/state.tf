# Where every environment's state lies. Whoever reads it can call the APIs (consumers' secrets are in it), whoever writes it
# decides what the next apply believes. And where the records of deployments lie, which nobody may change afterwards.
resource "aws_kms_key" "this" {
  for_each = { state = "Terraform state", evidence = "Records of deployments" }

  description             = each.value
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
    prevent_destroy = true # the states and records, and all their older versions, would be unreadable
  }
}

resource "aws_kms_alias" "this" {
  for_each = aws_kms_key.this

  name          = "alias/${local.name}-${each.key}"
  target_key_id = each.value.key_id
}

locals {
  # `log` keeps who read and wrote the others. Not `mvdb-…`: such buckets are the deploy role's.
  buckets = {
    state    = "tfstate-mvdb-${var.account_id}-${var.region}"
    evidence = "evidence-mvdb-${var.account_id}-${var.region}"
    log      = "tfstate-mvdb-log-${var.account_id}-${var.region}"
  }
  logged    = { for name, bucket in aws_s3_bucket.this : name => bucket if name != "log" }
  trail_arn = "arn:aws:cloudtrail:${var.region}:${var.account_id}:trail/${local.name}"
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144: a lost region's state is of resources that are lost with it; elsewhere a stack begins anew
  #checkov:skip=CKV2_AWS_62: nobody would listen to the events; who read and wrote is in the log
  #checkov:skip=CKV_AWS_18: the other two are logged; the log's own log would have no end
  #checkov:skip=CKV_AWS_145: S3 writes access logs only into a bucket with S3's own key; the others have customer keys
  for_each = local.buckets

  bucket              = each.value
  object_lock_enabled = each.key == "evidence"

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
      sse_algorithm     = each.key == "log" ? "AES256" : "aws:kms"
      kms_master_key_id = each.key == "log" ? null : aws_kms_key.this[each.key].arn
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
    for_each = { for name, days in { log = 400, evidence = var.evidence.retention_days } : "old" => days if name == each.key }
    content {
      id     = rule.key
      status = "Enabled"
      filter {}

      expiration {
        days = rule.value
      }
    }
  }

  # A saved plan can be applied for as long as GitHub waits for an approval, 30 days; it holds values.
  dynamic "rule" {
    for_each = each.key == "state" ? ["plans"] : []
    content {
      id     = rule.value
      status = "Enabled"

      filter {
        prefix = "plans/"
      }

      expiration {
        days = 31
      }

      noncurrent_version_expiration {
        noncurrent_days = 1
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this] # the rule is about versions
}

# What is put there can be overwritten and hidden, but every version of it stays until its days are over.
resource "aws_s3_bucket_object_lock_configuration" "evidence" {
  bucket = aws_s3_bucket.this["evidence"].id

  rule {
    default_retention {
      mode = var.evidence.mode
      days = var.evidence.retention_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.this] # what is locked is a version
}

resource "aws_s3_bucket_logging" "this" {
  for_each = local.logged

  bucket        = each.value.id
  target_bucket = aws_s3_bucket.this["log"].id
  target_prefix = "${each.key}/"
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
        Resource  = [for name in keys(local.logged) : "${each.value.arn}/${name}/*"]
        Condition = { ArnEquals = { "aws:SourceArn" = [for bucket in local.logged : bucket.arn] }, StringEquals = { "aws:SourceAccount" = var.account_id } }
      }],
      # https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
      each.key != "log" || !var.create_trail ? [] : [
        {
          Sid       = "CloudTrailChecksTheBucket"
          Effect    = "Allow"
          Principal = { Service = "cloudtrail.amazonaws.com" }
          Action    = "s3:GetBucketAcl"
          Resource  = [each.value.arn]
          Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
        },
        {
          Sid       = "CloudTrailWritesTheTrail"
          Effect    = "Allow"
          Principal = { Service = "cloudtrail.amazonaws.com" }
          Action    = "s3:PutObject"
          Resource  = ["${each.value.arn}/cloudtrail/AWSLogs/${var.account_id}/*"]
          Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn, "s3:x-amz-acl" = "bucket-owner-full-control" } }
        },
      ],
    )
  })

  depends_on = [aws_s3_bucket_public_access_block.this] # two changes of a bucket at a time are refused
}
