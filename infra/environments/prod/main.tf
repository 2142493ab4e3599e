# What others rely on: wider limits, and AWS refuses to delete what holds data.
locals {
  region = "eu-west-1"
}

provider "aws" {
  region = local.region

  default_tags {
    tags = {
      product             = "mvdb"
      environment         = "prod"
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
    name                 = "prod"
    region               = local.region
    account_id           = "222222222222"            # yours; credentials of another account are refused
    permissions_boundary = "mvdb-bootstrap-boundary" # of infra/bootstrap
  }

  function = {
    architecture         = "arm64"
    memory_mb            = 512
    timeout_seconds      = 10
    reserved_concurrency = null # a young account has 10 or 50 in all; 100 once its quota is 200 (make doctor prints how)
    log_level            = "INFO"
  }

  # Alarms see a failing version after about four minutes.
  canary = { percent = 10, minutes = 10 }

  # A page of movies costs up to a hundred times what one costs.
  throttles = {
    stage = { requests_per_second = 500, burst_requests = 1000 }
    routes = {
      "GET /movies"  = { requests_per_second = 200, burst_requests = 400 }
      "HEAD /movies" = { requests_per_second = 200, burst_requests = 400 }
    }
  }
  waf = { requests_per_minute = { source = 6000, token = 20000 } }

  # From expires_on on the function rejects the consumer; the nightly workflow reports it 30 days ahead. NAME-next is a second
  # client of consumer NAME, to rotate its secret. `operations` is the client of our own tools.
  consumers = {
    reader = { scopes = ["movies/read"], owner = "Movies team", contact = "movies-team@example.org", expires_on = "2028-12-31", requests_per_hour = 500000 }
    writer = { scopes = ["movies/write"], owner = "Movies team", contact = "movies-team@example.org", expires_on = "2028-12-31", requests_per_hour = 500000 }
  }
  cors_origins = []

  table = {
    max_units_per_second = { read = 5000, write = 1000 }
    recovery_days        = 35
    backup               = { retention_days = 90 }
  }
  served_table = null # or the table that `make restore` made, see RUNBOOK.md
  # Nothing leads out of it: what it costs is told in infra/README.md.
  network             = { cidr = "10.0.0.0/24", zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  deletion_protection = true
  log_retention_days  = 400

  observability = {
    runbook_url = "https://github.com/your-organisation/mvdb/blob/main/infra/RUNBOOK.md" # yours
    slo = {
      availability     = { target = 0.999 }
      latency          = { target = 0.99, threshold_milliseconds = 300 }
      minimum_requests = 600
    }
    silence_minutes = 30
    subscribers     = { page = [{ protocol = "email", endpoint = "on-call@example.org" }], ticket = [{ protocol = "email", endpoint = "movies-team@example.org" }] }
    budget          = { usd_per_month = 300, cost_tag = { name = "product", value = "mvdb" } }
  }
}
