# What others rely on: wider limits, and AWS refuses to delete what holds data.
locals {
  region = "eu-west-1"
}

provider "aws" {
  region = local.region

  default_tags {
    tags = { product = "mvdb", environment = "prod", managed-by = "terraform" }
  }
}

module "movies" {
  source = "../../stacks/movies"

  environment = {
    name       = "prod"
    region     = local.region
    account_id = "222222222222" # yours; credentials of another account are refused
  }

  function = {
    architecture         = "arm64"
    memory_mb            = 512
    timeout_seconds      = 10
    reserved_concurrency = 100
    log_level            = "INFO"
  }

  # A page of movies costs up to a hundred times what one costs.
  throttles = {
    stage = { requests_per_second = 500, burst_requests = 1000 }
    routes = {
      "GET /movies"  = { requests_per_second = 200, burst_requests = 400 }
      "HEAD /movies" = { requests_per_second = 200, burst_requests = 400 }
    }
  }
  waf = { requests_per_source_per_minute = 6000 }

  consumers = {
    reader = { scopes = ["movies/read"] }
    writer = { scopes = ["movies/write"] }
  }
  cors_origins = []

  table               = { recovery_days = 35 }
  deletion_protection = true
  log_retention_days  = 400
}
