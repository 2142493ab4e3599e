# The emulator on this machine.
locals {
  region = "eu-west-1"
}

# Where the emulator listens and with which credentials: AWS_ENDPOINT_URL and the rest of the shell's environment.
provider "aws" {
  region = local.region

  default_tags {
    tags = {
      product             = "mvdb"
      environment         = "local"
      owner               = "movies-team"
      repository          = "mvdb"
      cost-centre         = "unassigned" # yours
      data-classification = "public"
      managed-by          = "terraform"
    }
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

  # Prod's, for its alarms; the emulator moves all calls at once.
  canary = { percent = 10, minutes = 10 }

  # The whole catalogue, as fast as the machine can.
  throttles = {
    stage  = { requests_per_second = 10000, burst_requests = 5000 }
    routes = { "GET /movies" = { requests_per_second = 10000, burst_requests = 5000 } }
  }
  waf = { requests_per_minute = { source = 2000000000, token = 2000000000 } }

  consumers = {
    reader = { scopes = ["movies/read"], owner = "Movies team", contact = "movies-team@example.org", expires_on = "9999-12-31", requests_per_hour = 1000000 }
    writer = { scopes = ["movies/write"], owner = "Movies team", contact = "movies-team@example.org", expires_on = "9999-12-31", requests_per_hour = 1000000 }
  }
  cors_origins = []

  table = {
    max_units_per_second = { read = 40000, write = 40000 }
    recovery_days        = 35
    backup               = { retention_days = 1 }
  }
  served_table        = var.served_table
  network             = null
  deletion_protection = false
  log_retention_days  = 1

  observability = {
    runbook_url = "https://github.com/your-organisation/mvdb/blob/main/infra/RUNBOOK.md" # yours
    slo = {
      availability     = { target = 0.99 }
      latency          = { target = 0.99, threshold_milliseconds = 300 }
      minimum_requests = 120
    }
    subscribers = { page = [], ticket = [] }
    budget      = { usd_per_month = 1 }
  }
}
