# Where changes are tried: small, and destroyed without asking.
locals {
  region = "eu-west-1"
}

provider "aws" {
  region = local.region

  default_tags {
    tags = {
      product             = "mvdb"
      environment         = "dev"
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
    name                 = "dev"
    region               = local.region
    account_id           = "111111111111"            # yours; credentials of another account are refused
    permissions_boundary = "mvdb-bootstrap-boundary" # of infra/bootstrap
  }

  function = {
    architecture         = "arm64"
    memory_mb            = 512
    timeout_seconds      = 10
    reserved_concurrency = null
    log_level            = "INFO"
  }

  # All calls at once: too few come by for a tenth of them to tell anything.
  canary = null

  # A page of movies costs up to a hundred times what one costs.
  throttles = {
    stage = { requests_per_second = 50, burst_requests = 100 }
    routes = {
      "GET /movies"  = { requests_per_second = 20, burst_requests = 40 }
      "HEAD /movies" = { requests_per_second = 20, burst_requests = 40 }
    }
  }
  waf = { requests_per_minute = { source = 1000, token = 3000 } }

  # From expires_on on the function rejects the consumer; the nightly workflow reports it 30 days ahead. NAME-next is a second
  # client of consumer NAME, to rotate its secret. `operations` is the client of our own tools.
  consumers = {
    reader = { scopes = ["movies/read"], owner = "Movies team", contact = "movies-team@example.org", expires_on = "2028-12-31", requests_per_hour = 10000 }
    writer = { scopes = ["movies/write"], owner = "Movies team", contact = "movies-team@example.org", expires_on = "2028-12-31", requests_per_hour = 10000 }
  }
  cors_origins = []

  table = {
    max_units_per_second = { read = 500, write = 100 }
    recovery_days        = 7
    backup               = null
  }
  served_table = null # or the table that `make restore` made, see RUNBOOK.md
  # In Lambda's own network, with the internet before it: a network without a way out costs 24 USD a month.
  network             = null
  deletion_protection = false
  log_retention_days  = 30

  observability = {
    runbook_url = "https://github.com/your-organisation/mvdb/blob/main/infra/RUNBOOK.md" # yours
    slo = {
      availability     = { target = 0.99 }
      latency          = { target = 0.99, threshold_milliseconds = 300 }
      minimum_requests = 120
    }
    subscribers = { page = [], ticket = [] }
    budget      = { usd_per_month = 60, cost_tag = { name = "product", value = "mvdb" } }
  }
}
