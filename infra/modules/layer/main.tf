# A built extension as a Lambda layer. A changed package is a new version and the old one is deleted: function versions
# that use the old one keep it, so a rollback still finds its layer.
resource "aws_lambda_layer_version" "this" {
  layer_name               = var.name
  description              = var.description
  filename                 = var.package
  source_code_hash         = filebase64sha256(var.package)
  compatible_runtimes      = ["provided.al2023"]
  compatible_architectures = [var.architecture]
}
