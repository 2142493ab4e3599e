# What an account needs once, before its first stack; applied by a person with an administrator's rights, and seldom again:
# the bucket of all states (state.tf), who may plan and deploy (github.tf), and what AWS has only one of (account.tf).
#
# The bucket cannot hold its own beginning. So the first apply keeps its state in this folder, and then moves it:
#
#   $EDITOR infra/bootstrap/terraform.tfvars                    # variables.tf says what goes in
#   terraform -chdir=infra/bootstrap init
#   terraform -chdir=infra/bootstrap apply
#   echo 'terraform { backend "s3" {} }' >infra/bootstrap/backend.tf   # commit it
#   terraform -chdir=infra/bootstrap init -migrate-state -backend-config=key=mvdb-bootstrap.tfstate \
#     $(terraform -chdir=infra/bootstrap output -raw backend_config)
#   rm infra/bootstrap/terraform.tfstate*
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
