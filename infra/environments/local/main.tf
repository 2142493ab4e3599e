# The emulator on this machine.
locals {
  region = "eu-west-1"
}

# Where the emulator listens and with which credentials: AWS_ENDPOINT_URL and the rest of the shell's environment.
provider "aws" {
  region = local.region

  default_tags {
    tags = { product = "mvdb", environment = "local", managed-by = "terraform" }
  }
}

module "movies" {
  source = "../../stacks/movies"

  environment = {
    name       = "local"
    region     = local.region
    account_id = "000000000000"
    emulated   = { endpoint = var.endpoint }
  }

  function = {
    architecture    = var.architecture
    memory_mb       = 512
    timeout_seconds = 10
    log_level       = "INFO"
  }

  # The whole catalogue, as fast as the machine can.
  throttles = {
    stage  = { requests_per_second = 10000, burst_requests = 5000 }
    routes = {}
  }
  waf = { requests_per_source_per_minute = 2000000000 }

  consumers = {
    reader = { scopes = ["movies/read"] }
    writer = { scopes = ["movies/write"] }
  }
  cors_origins = []

  table               = { recovery_days = 0 }
  deletion_protection = false
  log_retention_days  = 1
}
