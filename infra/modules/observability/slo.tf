# Alarms that follow from promises. What may fail is a budget, 1 - target of all requests in 30 days; an alarm rings when it
# burns too fast: 14.4 times for an hour takes 2 % of it, 6 times for six hours 5 %. Ratios, so that they need no change
# when traffic grows, and only above a number of requests: at night one failure in three requests is no outage.
locals {
  # Per promise: the share of requests that broke it, from what the gateway measured: what callers saw.
  promises = {
    availability = {
      budget     = 1 - var.slo.availability.target
      metrics    = { requests = local.api.requests, faults = local.api.faults }
      bad_share  = "faults / requests"
      complaint  = "requests fail with 5xx"
      fulfilment = "${var.slo.availability.target * 100} % of requests succeed"
    }
    latency = {
      budget     = 1 - var.slo.latency.target
      metrics    = { requests = local.api.requests, fast = merge(local.api.latency, { statistic = "PR(:${var.slo.latency.threshold_milliseconds})" }) }
      bad_share  = "(100 - fast) / 100" # not 1 - fast / 100, which rounds to above the budget at the budget
      complaint  = "requests take longer than ${var.slo.latency.threshold_milliseconds} ms"
      fulfilment = "${var.slo.latency.target * 100} % of requests take at most ${var.slo.latency.threshold_milliseconds} ms"
    }
  }

  # A short window is a twelfth of its long one and takes a twelfth of the requests to be believed.
  speeds = {
    fast = { rate = 14.4, windows = { "1h" = { seconds = 3600, share = 1 }, "5min" = { seconds = 300, share = 12 } } }
    slow = { rate = 6, windows = { "6h" = { seconds = 21600, share = 1 }, "30min" = { seconds = 1800, share = 12 } } }
  }

  burns = merge([for promise, of in local.promises : {
    for speed, burn in local.speeds : "${promise}-burn-${speed}" => {
      meaning = "So many ${of.complaint} that the budget of a month (${of.fulfilment}) is gone ${burn.rate} times too soon."
      heading = "${promise}-burn"
      windows = [for window, _ in burn.windows : "${promise}-burn-${speed}-${window}"]
    }
  }]...)

  windows = merge(flatten([for promise, of in local.promises : [for speed, burn in local.speeds : {
    for window, length in burn.windows : "${promise}-burn-${speed}-${window}" => merge(local.defaults, {
      meaning        = "Feeds ${promise}-burn-${speed}: within ${window} too many ${of.complaint}."
      heading        = "${promise}-burn"
      severity       = null # it notifies through its composite
      metrics        = of.metrics
      expression     = "IF(requests > ${floor(var.slo.minimum_requests / length.share)}, ${of.bad_share}, 0)"
      threshold      = burn.rate * of.budget
      period_seconds = length.seconds
    })
  }]])...)

  # A period is a day at the most, so three days are three points.
  daily = { for promise, of in local.promises : "${promise}-burn-daily" => merge(local.defaults, {
    meaning        = "Three days in a row more ${of.complaint} than promised (${of.fulfilment})."
    heading        = "${promise}-burn"
    severity       = "ticket"
    metrics        = of.metrics
    expression     = "IF(requests > ${var.slo.minimum_requests}, ${of.bad_share}, 0)"
    threshold      = of.budget
    period_seconds = 86400
    periods        = 3
    periods_above  = 3
  }) }
}
