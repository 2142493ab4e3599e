mock_provider "aws" {
  mock_resource "aws_signer_signing_profile" {
    defaults = { version_arn = "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/mvdb/1" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::packages", id = "packages" }
  }
  mock_resource "aws_s3_object" {
    defaults = { version_id = "v1" }
  }
  mock_resource "aws_signer_signing_job" {
    defaults = { signed_object = [{ s3 = [{ bucket = "packages", key = "signed/movies-1.zip" }] }] }
  }
}

variables {
  name        = "mvdb-test-movies"
  bucket_name = "mvdb-test-movies-packages-123456789012"
  packages    = { movies = "main.tf" } # any file: only its hash is taken
  key         = { arn = "arn:aws:kms:eu-west-1:123456789012:key/function" }
}

run "c23_lambda_takes_only_what_our_profile_signed" {
  assert {
    condition     = aws_lambda_code_signing_config.this.policies[0].untrusted_artifact_on_deployment == "Enforce"
    error_message = "Lambda takes unsigned code."
  }
  assert {
    condition     = toset(aws_lambda_code_signing_config.this.allowed_publishers[0].signing_profile_version_arns) == toset([aws_signer_signing_profile.this.version_arn])
    error_message = "Lambda takes what another profile signed, or not what ours did."
  }
  assert {
    condition     = aws_signer_signing_profile.this.platform_id == "AWSLambda-SHA384-ECDSA" && aws_signer_signing_profile.this.name_prefix == "mvdb_test_movies_"
    error_message = "The profile does not sign for Lambda, or has a name that a second deployment could not have."
  }
}

run "c23_a_changed_package_is_signed_again" {
  assert {
    condition     = aws_s3_object.this["movies"].source_hash == filebase64sha256("main.tf") && aws_signer_signing_job.this["movies"].source[0].s3[0].version == aws_s3_object.this["movies"].version_id && aws_signer_signing_job.this["movies"].profile_name == aws_signer_signing_profile.this.name
    error_message = "What is signed is not the package that was built."
  }
  assert {
    condition     = jsonencode(output.packages) == jsonencode({ movies = { bucket = "packages", key = "signed/movies-1.zip" } })
    error_message = "Functions are given something else than the signed package."
  }
}

run "c38_packages_are_private_versioned_and_encrypted_with_the_key" {
  assert {
    condition     = alltrue([aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy, aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets])
    error_message = "Packages can be made public."
  }
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "A package can be changed between its upload and its signing."
  }
  assert {
    condition     = alltrue([for rule in aws_s3_bucket_server_side_encryption_configuration.this.rule : rule.apply_server_side_encryption_by_default[0].kms_master_key_id == var.key.arn && rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"])
    error_message = "Packages are not encrypted with the key."
  }
}

run "c38_packages_travel_encrypted" {
  assert {
    condition = jsonencode(jsondecode(aws_s3_bucket_policy.this.policy).Statement) == jsonencode([{
      Sid       = "OnlyEncryptedConnections", Effect = "Deny", Principal = "*", Action = "s3:*", Resource = ["arn:aws:s3:::packages", "arn:aws:s3:::packages/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }])
    error_message = "The bucket answers to plain HTTP."
  }
}

run "c39_old_packages_are_forgotten" {
  command = plan
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].status == "Enabled" && aws_s3_bucket_lifecycle_configuration.this.rule[0].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "Every package ever built is kept."
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : [rule.status, rule.filter[0].prefix, rule.expiration[0].days] if rule.id == "forget-signed"] == [["Enabled", "signed/", 400]]
    error_message = "Every package ever signed is kept."
  }
}
