# What an account needs once, before its first stack; applied by a person with an administrator's rights, and seldom again:
# the buckets of all states and of all deployments' records (state.tf), who may plan and deploy (github.tf), and what AWS has only one of (account.tf).
#
# The bucket cannot hold its own beginning. So the first apply keeps its state in this folder, and then moves it:
#
#   cd infra/bootstrap
#   $EDITOR terraform.tfvars                           # variables.tf says what goes in
#   terraform init && terraform apply
#   config=$(terraform output -raw backend_config)     # before the next line: without its backend Terraform tells nothing
#   printf 'terraform {\n  backend "s3" {\n    encrypt      = true\n    use_lockfile = true\n  }\n}\n' >backend.tf
#   terraform init -migrate-state -backend-config=key=mvdb-bootstrap.tfstate $config
#   rm terraform.tfstate*                              # and commit backend.tf
#
# The same `-backend-config` serves every environment's init. Then run what `output transaction_search` prints: Terraform's
# provider cannot.
provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    # Not `mvdb`: the deploy role may change what bears that tag.
    tags = { product = local.name, managed-by = "terraform" }
  }
}

locals {
  # Not `mvdb-<environment>-…`: what the deploy role may touch by name ends before this.
  name = "mvdb-bootstrap"
}
