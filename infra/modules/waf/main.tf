# The web ACL in front of what it protects. Rules run by priority, cheap and certain ones first. Our own look at where a
# request comes from, how many come, how long its headers and its body are, and at what is frozen; what is in it only AWS's groups judge,
# so no title of a movie is ever caught by a rule of ours.
resource "aws_wafv2_web_acl" "this" {
  name  = var.name
  scope = "REGIONAL"

  default_action {
    allow {}
  }

  # WAF reads 16 KiB of a body unless told to read more: what it does not read it does not inspect.
  association_config {
    request_body {
      api_gateway {
        default_size_inspection_limit = "KB_64"
      }
    }
  }

  # These bodies are static and always application/json: no request id in them, it is in the header x-amzn-RequestId.
  dynamic "custom_response_body" {
    for_each = {
      payload_too_large = { title = "Payload Too Large", status = 413, detail = "The request body exceeds 65,536 bytes." }
      unavailable       = { title = "Service Unavailable", status = 503, detail = "Suspended by the operators. Retry after the time given in Retry-After." }
      too_many_requests = { title = "Too Many Requests", status = 429, detail = "Too many requests. Retry after the time given in Retry-After." }
    }
    content {
      key          = custom_response_body.key
      content_type = "APPLICATION_JSON"
      content      = jsonencode(merge(custom_response_body.value, { type = "about:blank", code = custom_response_body.key, request_id = "" }))
    }
  }

  dynamic "rule" {
    for_each = length(var.blocked_addresses) > 0 ? ["blocked-addresses"] : []
    content {
      name     = rule.value
      priority = 0

      action {
        block {}
      }

      statement {
        or_statement {
          dynamic "statement" {
            for_each = aws_wafv2_ip_set.blocked
            content {
              ip_set_reference_statement {
                arn = statement.value.arn
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "${var.name}-${rule.value}"
        sampled_requests_enabled   = true
      }
    }
  }

  dynamic "rule" {
    for_each = length(var.allowed_countries) > 0 ? ["other-countries"] : []
    content {
      name     = rule.value
      priority = 1

      action {
        block {}
      }

      statement {
        not_statement {
          statement {
            geo_match_statement {
              country_codes = var.allowed_countries
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "${var.name}-${rule.value}"
        sampled_requests_enabled   = true
      }
    }
  }

  # WAF is given 8 KiB of headers, or 200, and lets the rest pass unseen: a token behind them would escape the kill switch and its rate.
  # https://docs.aws.amazon.com/waf/latest/developerguide/waf-oversize-request-components.html
  rule {
    name     = "header-size"
    priority = 2

    action {
      block {}
    }

    statement {
      size_constraint_statement {
        comparison_operator = "GT"
        size                = 8192

        field_to_match {
          headers {
            match_scope       = "ALL"
            oversize_handling = "MATCH"

            match_pattern {
              all {}
            }
          }
        }

        text_transformation {
          priority = 0
          type     = "NONE"
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-header-size"
      sampled_requests_enabled   = true
    }
  }

  # The kill switch: `make freeze` puts patterns into the set, `make thaw` takes them out, and no apply does either.
  # In front of the rates, so that a consumer who is frozen for sending too much is told that, and not 429.
  rule {
    name     = "frozen"
    priority = 3

    action {
      block {
        custom_response {
          response_code            = 503
          custom_response_body_key = "unavailable"

          dynamic "response_header" {
            for_each = merge({ Retry-After = "300" }, local.cors_headers)
            content {
              name  = response_header.key
              value = response_header.value
            }
          }
        }
      }
    }

    statement {
      or_statement {
        statement {
          regex_pattern_set_reference_statement {
            arn = aws_wafv2_regex_pattern_set.frozen.arn

            field_to_match {
              method {}
            }

            text_transformation {
              priority = 0
              type     = "NONE"
            }
          }
        }

        # The consumer's id stands in its token: also in one that lives on when Cognito gives no new ones.
        statement {
          regex_pattern_set_reference_statement {
            arn = aws_wafv2_regex_pattern_set.frozen.arn

            field_to_match {
              single_header {
                name = "authorization"
              }
            }

            text_transformation {
              priority = 0
              type     = "NONE"
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-frozen"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "rate-per-source"
    priority = 4

    action {
      block {
        custom_response {
          response_code            = 429
          custom_response_body_key = "too_many_requests"

          dynamic "response_header" {
            for_each = merge({ Retry-After = "60" }, local.cors_headers) # the window
            content {
              name  = response_header.key
              value = response_header.value
            }
          }
        }
      }
    }

    statement {
      rate_based_statement {
        aggregate_key_type    = "IP"
        evaluation_window_sec = 60
        limit                 = var.requests_per_minute.source
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-rate-per-source"
      sampled_requests_enabled   = true
    }
  }

  # One consumer that calls from many addresses. A request without a token is not counted here; the gateway refuses it.
  rule {
    name     = "rate-per-token"
    priority = 5

    action {
      block {
        custom_response {
          response_code            = 429
          custom_response_body_key = "too_many_requests"

          dynamic "response_header" {
            for_each = merge({ Retry-After = "60" }, local.cors_headers) # the window
            content {
              name  = response_header.key
              value = response_header.value
            }
          }
        }
      }
    }

    statement {
      rate_based_statement {
        aggregate_key_type    = "CUSTOM_KEYS"
        evaluation_window_sec = 60
        limit                 = var.requests_per_minute.token

        custom_key {
          header {
            name = "authorization"

            text_transformation {
              priority = 0
              type     = "NONE"
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-rate-per-token"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "body-size"
    priority = 6

    action {
      block {
        custom_response {
          response_code            = 413
          custom_response_body_key = "payload_too_large"

          dynamic "response_header" {
            for_each = local.cors_headers
            content {
              name  = response_header.key
              value = response_header.value
            }
          }
        }
      }
    }

    statement {
      size_constraint_statement {
        comparison_operator = "GT"
        size                = 65536

        field_to_match {
          body {
            oversize_handling = "MATCH" # longer than WAF reads is longer than we take
          }
        }

        text_transformation {
          priority = 0
          type     = "NONE"
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-body-size"
      sampled_requests_enabled   = true
    }
  }

  # AWS's groups are written out, one by one: scanners look for them by name and do not unroll a dynamic block.
  rule {
    name     = "ip-reputation"
    priority = 7

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesAmazonIpReputationList"

        dynamic "rule_action_override" {
          for_each = local.counted["ip-reputation"]
          content {
            name = rule_action_override.value
            action_to_use {
              count {}
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-ip-reputation"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "known-bad-inputs"
    priority = 8

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesKnownBadInputsRuleSet"

        dynamic "rule_action_override" {
          for_each = local.counted["known-bad-inputs"]
          content {
            name = rule_action_override.value
            action_to_use {
              count {}
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-known-bad-inputs"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "common"
    priority = 9

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesCommonRuleSet"

        dynamic "rule_action_override" {
          for_each = concat(keys(local.contradicting), local.counted["common"])
          content {
            name = rule_action_override.value
            action_to_use {
              count {}
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-common"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "sql-injection"
    priority = 10

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesSQLiRuleSet"

        dynamic "rule_action_override" {
          for_each = local.counted["sql-injection"]
          content {
            name = rule_action_override.value
            action_to_use {
              count {}
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-sql-injection"
      sampled_requests_enabled   = true
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = true
  }
}

locals {
  # A static header cannot name the one of several origins that asks. These responses hold nothing of a caller's, and a page
  # that cannot read its 413, 429 or 503 reports a network error.
  cors_headers = length(var.cors_origins) == 0 ? {} : {
    Access-Control-Allow-Origin   = "*"
    Access-Control-Expose-Headers = "Retry-After"
  }

  # Rules of the common group that would block what the contract allows, and why they protect nothing here: the function
  # opens no files, fetches no addresses, and checks the length of all that it takes.
  # https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
  contradicting = {
    GenericLFI_BODY                     = "a plot or a title may contain ../"
    GenericLFI_QUERYARGUMENTS           = "as above"
    GenericLFI_URIPATH                  = "as above"
    GenericRFI_BODY                     = "an image_url may have an IP address for its host"
    GenericRFI_QUERYARGUMENTS           = "a title may be such an address"
    GenericRFI_URIPATH                  = "as above"
    NoUserAgent_HEADER                  = "the contract requires no User-Agent; clients are known by their token"
    RestrictedExtensions_QUERYARGUMENTS = "a title may end in .log or .ini"
    RestrictedExtensions_URIPATH        = "as above"
    SizeRestrictions_BODY               = "it blocks above 8 KiB; a movie may have 64, and our own rule blocks longer bodies"
    SizeRestrictions_QUERYSTRING        = "it blocks above 2,048 bytes; a cursor alone may have as many"
    SizeRestrictions_URIPATH            = "it blocks above 1,024 bytes; a title may have as many before it is percent-encoded"
  }

  # The rules that only count, by group.
  counted = { for group in ["ip-reputation", "known-bad-inputs", "common", "sql-injection"] :
    group => [for rule in keys(var.counted_rules) : split("/", rule)[1] if split("/", rule)[0] == group]
  }
}

# What is frozen, read and written by scripts/freeze alone: an apply in the middle of an incident must not thaw it. The
# description tells who froze what, when and why, so that the call that froze it is the record of it, in CloudTrail too.
resource "aws_wafv2_regex_pattern_set" "frozen" {
  name        = "${var.name}-frozen"
  scope       = "REGIONAL"
  description = "Nothing is frozen."

  regular_expression {
    regex_string = "^nothing-is-frozen$" # no method, no token; whether WAF takes an empty set AWS does not say
  }

  lifecycle {
    ignore_changes = [description, regular_expression]
  }
}

# A set holds addresses of one version.
resource "aws_wafv2_ip_set" "blocked" {
  for_each = length(var.blocked_addresses) > 0 ? { IPV4 = false, IPV6 = true } : {}

  name               = "${var.name}-blocked-${lower(each.key)}"
  scope              = "REGIONAL"
  ip_address_version = each.key
  addresses          = [for address in var.blocked_addresses : address if strcontains(address, ":") == each.value]
}

resource "aws_wafv2_web_acl_association" "this" {
  resource_arn = var.stage_arn
  web_acl_arn  = aws_wafv2_web_acl.this.arn
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "aws-waf-logs-${var.name}" # WAF takes no name that begins otherwise
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key.arn
}

# Only what a rule blocked or would have blocked: the rest is in the API's own access log.
resource "aws_wafv2_web_acl_logging_configuration" "this" {
  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [aws_cloudwatch_log_group.this.arn]

  # Whoever reads the log must not be able to call with what is in it.
  dynamic "redacted_fields" {
    for_each = ["authorization", "cookie", "x-api-key"]
    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }

  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      dynamic "condition" {
        for_each = ["BLOCK", "COUNT", "EXCLUDED_AS_COUNT"]
        content {
          action_condition {
            action = condition.value
          }
        }
      }
    }
  }
}
