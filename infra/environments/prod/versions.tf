terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }

  # The bucket is the account's, so it is given when the folder is initialised: -backend-config="bucket=..." -backend-config="region=..."
  backend "s3" {
    key          = "mvdb/prod/movies.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
