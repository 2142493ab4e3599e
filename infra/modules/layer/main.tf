# A built extension as a Lambda layer. A changed package is a new version and the old one is deleted: function versions
# that use the old one keep it, so a rollback still finds its layer.
resource "aws_lambda_layer_version" "this" {
  layer_name               = var.name
  description              = var.description
  filename                 = var.package.signed == null ? var.package.path : null
  source_code_hash         = var.package.signed == null ? filebase64sha256(var.package.path) : null # a signed one has a new key
  s3_bucket                = one(var.package.signed[*].bucket)
  s3_key                   = one(var.package.signed[*].key)
  compatible_runtimes      = ["provided.al2023"]
  compatible_architectures = [var.architecture]
}
