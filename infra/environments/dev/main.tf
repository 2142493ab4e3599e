# Where changes are tried: small, and destroyed without asking.
locals {
  region = "eu-west-1"
}

provider "aws" {
  region = local.region

  default_tags {
    tags = { product = "mvdb", environment = "dev", managed-by = "terraform" }
  }
}

module "movies" {
  source = "../../stacks/movies"

  environment = {
    name       = "dev"
    region     = local.region
    account_id = "111111111111" # yours; credentials of another account are refused
  }

  function = {
    architecture         = "arm64"
    memory_mb            = 512
    timeout_seconds      = 10
    reserved_concurrency = null
    log_level            = "INFO"
  }

  # A page of movies costs up to a hundred times what one costs.
  throttles = {
    stage = { requests_per_second = 50, burst_requests = 100 }
    routes = {
      "GET /movies"  = { requests_per_second = 20, burst_requests = 40 }
      "HEAD /movies" = { requests_per_second = 20, burst_requests = 40 }
    }
  }
  waf = { requests_per_source_per_minute = 1000 }

  consumers = {
    reader = { scopes = ["movies/read"] }
    writer = { scopes = ["movies/write"] }
  }
  cors_origins = []

  table               = { recovery_days = 7 }
  deletion_protection = false
  log_retention_days  = 30
}
