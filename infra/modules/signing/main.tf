# Packages as Lambda takes them: uploaded, signed by AWS Signer, and refused by Lambda when they are not. Whoever may only
# write to the bucket, or only update the function, cannot bring in code. The signature holds its time, so signed
# packages differ at each signing; it is the unsigned one, from scripts/build, that anybody can make again byte by byte.
resource "aws_signer_signing_profile" "this" {
  # A profile that is taken away is only cancelled, and keeps its name for ever: a fixed one could be deployed once.
  name_prefix = replace("${var.name}_", "/[^0-9A-Za-z_]/", "_")
  platform_id = "AWSLambda-SHA384-ECDSA"
}

resource "aws_lambda_code_signing_config" "this" {
  description = "Only what ${var.name}'s own profile signed"

  allowed_publishers {
    signing_profile_version_arns = [aws_signer_signing_profile.this.version_arn]
  }

  policies {
    untrusted_artifact_on_deployment = "Enforce"
  }
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18: who reads packages is no secret, and CloudTrail tells who wrote them
  #checkov:skip=CKV_AWS_144: lost packages are built again from the repository
  #checkov:skip=CKV2_AWS_62: nothing waits for a package: Terraform uploads and signs it in one run
  bucket        = var.bucket_name
  force_destroy = true # holds nothing that cannot be built again; else destroying the stack would stop here
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id
  versioning_configuration {
    status = "Enabled" # Signer signs a version, so that what was looked at is what is signed
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.key.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyEncryptedConnections"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

# Lambda keeps its own copy of every version: an old package is of no more use here.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id
  rule {
    id     = "forget"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  # Each signing is an object of its own, under a name that Signer gives, so none is ever a version of another. Not sooner:
  # a function or layer that is made anew takes the package from here; if it is gone, apply with -replace of its signing job.
  rule {
    id     = "forget-signed"
    status = "Enabled"
    filter {
      prefix = "signed/"
    }
    expiration {
      days = 400
    }
  }
}

resource "aws_s3_object" "this" {
  for_each = var.packages

  bucket      = aws_s3_bucket.this.id
  key         = "unsigned/${each.key}.zip"
  source      = each.value
  source_hash = filebase64sha256(each.value)

  # Versioned before the first upload: Signer asks for a version's id.
  depends_on = [aws_s3_bucket_versioning.this, aws_s3_bucket_server_side_encryption_configuration.this]
}

resource "aws_signer_signing_job" "this" {
  for_each = var.packages

  profile_name = aws_signer_signing_profile.this.name

  source {
    s3 {
      bucket  = aws_s3_bucket.this.id
      key     = aws_s3_object.this[each.key].key
      version = aws_s3_object.this[each.key].version_id
    }
  }

  destination {
    s3 {
      bucket = aws_s3_bucket.this.id
      prefix = "signed/${each.key}-"
    }
  }
}
