mock_provider "aws" {
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/vpc/mvdb-test-movies" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mvdb-test-movies-flow-log" }
  }
  mock_resource "aws_vpc_endpoint" {
    defaults = { prefix_list_id = "pl-dynamodb" }
  }
}

variables {
  name                 = "mvdb-test-movies"
  region               = "eu-west-1"
  account_id           = "123456789012"
  cidr                 = "10.0.0.0/24"
  zones                = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  tables               = { Movies = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies", actions = ["dynamodb:GetItem", "dynamodb:PutItem"] } }
  trace_actions        = ["xray:PutSpans"]
  key                  = { arn = "arn:aws:kms:eu-west-1:123456789012:key/log" }
  permissions_boundary = "arn:aws:iam::123456789012:policy/mvdb-boundary"
  log_retention_days   = 400
}

run "c19_c20_a_function_stands_in_three_private_zones" {
  assert {
    condition     = length(output.network.subnet_ids) == 3 && toset([for subnet in aws_subnet.this : subnet.availability_zone]) == toset(var.zones)
    error_message = "A zone is missing: when the others fail, so does the function."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.this : !subnet.map_public_ip_on_launch]) && toset([for subnet in aws_subnet.this : subnet.cidr_block]) == toset(["10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/28"])
    error_message = "A subnet gives out public addresses, or overlaps another."
  }
  assert {
    condition     = output.network.security_group_ids == [aws_security_group.function.id]
    error_message = "The function would stand in another security group."
  }
}

# No route but those of the endpoints, which are not written here, and every subnet uses this table.
run "c19_there_is_no_way_out" {
  assert {
    condition     = alltrue([for association in aws_route_table_association.this : association.route_table_id == aws_route_table.this.id]) && length(aws_route_table_association.this) == 3
    error_message = "A subnet uses another route table."
  }
  assert {
    condition     = length(aws_route_table.this.route) == 0 && length(regexall("resource \"aws_(internet_gateway|nat_gateway|egress_only_internet_gateway|vpc_peering_connection|route|ec2_transit_gateway\\w*|vpn_\\w+)\"", join("", [for name in fileset(".", "*.tf") : file(name)]))) == 0
    error_message = "There is a gateway, or a route to one."
  }
}

run "c30_the_way_to_dynamodb_leads_to_the_codes_own_tables_and_calls" {
  command = plan
  assert {
    condition = jsondecode(aws_vpc_endpoint.dynamodb.policy).Statement == [{
      Sid = "Movies", Effect = "Allow", Principal = "*", Action = ["dynamodb:GetItem", "dynamodb:PutItem"], Resource = "arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies"
    }]
    error_message = "More than the function's own calls on its own table get through."
  }
  assert {
    condition     = aws_vpc_endpoint.dynamodb.vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.dynamodb.service_name == "com.amazonaws.eu-west-1.dynamodb"
    error_message = "The way does not lead to DynamoDB, or costs money."
  }
}

run "only_this_accounts_traces_leave" {
  command = plan
  assert {
    condition = jsondecode(aws_vpc_endpoint.xray.policy).Statement == [{
      Sid       = "OwnTraces", Effect = "Allow", Principal = "*", Action = ["xray:PutSpans"], Resource = "*"
      Condition = { StringEquals = { "aws:PrincipalAccount" = "123456789012" } }
    }]
    error_message = "Data can leave through X-Ray."
  }
  assert {
    condition     = aws_vpc_endpoint.xray.private_dns_enabled && aws_vpc_endpoint.xray.service_name == "com.amazonaws.eu-west-1.xray"
    error_message = "The layer would not find X-Ray under its usual name."
  }
}

run "c40_the_function_may_reach_two_endpoints_and_nothing_else" {
  assert {
    condition     = [aws_vpc_security_group_egress_rule.dynamodb.prefix_list_id, aws_vpc_security_group_egress_rule.dynamodb.from_port, aws_vpc_security_group_egress_rule.dynamodb.to_port] == ["pl-dynamodb", 443, 443]
    error_message = "The function may reach more than DynamoDB by HTTPS, or not even that."
  }
  assert {
    condition     = [aws_vpc_security_group_egress_rule.xray.referenced_security_group_id, aws_vpc_security_group_egress_rule.xray.from_port, aws_vpc_security_group_egress_rule.xray.to_port] == [aws_security_group.endpoint.id, 443, 443]
    error_message = "The function may reach more than the endpoints by HTTPS, or not even that."
  }
  assert {
    condition     = length(aws_security_group.function.egress) == 0 && length(aws_security_group.endpoint.egress) == 0 && length(regexall("resource \"aws_(vpc_)?security_group_(egress_)?rule\"", join("", [for name in fileset(".", "*.tf") : file(name)]))) == 2
    error_message = "There is one more way out."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.function.referenced_security_group_id == aws_security_group.function.id && aws_vpc_security_group_ingress_rule.function.security_group_id == aws_security_group.endpoint.id
    error_message = "Others than the function reach the endpoints."
  }
}

run "c40_the_default_group_is_empty" {
  assert {
    condition     = aws_default_security_group.this.vpc_id == aws_vpc.this.id && length(aws_default_security_group.this.ingress) == 0 && length(aws_default_security_group.this.egress) == 0
    error_message = "The default security group is left as AWS makes it: open."
  }
}

run "c40_every_packet_is_logged_and_kept_encrypted" {
  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_flow_log.this.log_destination == aws_cloudwatch_log_group.flow.arn && aws_flow_log.this.vpc_id == aws_vpc.this.id
    error_message = "Traffic goes unseen."
  }
  assert {
    condition     = aws_flow_log.this.iam_role_arn == aws_iam_role.flow_log.arn && output.flow_log.log_group_name == "/aws/vpc/mvdb-test-movies"
    error_message = "The flow log cannot be written, or nobody learns where it is."
  }
}

run "c33_the_flow_log_has_a_key_and_an_end" {
  command = plan
  assert {
    condition     = aws_cloudwatch_log_group.flow.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/log" && aws_cloudwatch_log_group.flow.retention_in_days == 400
    error_message = "The flow log is kept without the key, or for another time than asked."
  }
}

run "c36_the_flow_logs_role_may_write_one_group" {
  assert {
    condition = jsondecode(aws_iam_role_policy.flow_log.policy).Statement == [{
      Sid      = "WriteItsOwnLog", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = ["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/vpc/mvdb-test-movies:*"]
    }]
    error_message = "The role may do more or less than write its log."
  }
  assert {
    condition = jsondecode(aws_iam_role.flow_log.assume_role_policy).Statement == [{
      Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "vpc-flow-logs.amazonaws.com" }, Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
    }]
    error_message = "Another than this account's flow log may take the role."
  }
  assert {
    condition     = aws_iam_role.flow_log.permissions_boundary == "arn:aws:iam::123456789012:policy/mvdb-boundary"
    error_message = "The role is unbounded."
  }
}

run "names_carry_nothing_out" {
  assert {
    condition = jsonencode({ for name, rule in aws_route53_resolver_firewall_rule.this : name => [rule.priority, rule.action, sort(aws_route53_resolver_firewall_domain_list.this[name].domains)] }) == jsonencode({
      allow = [1, "ALLOW", ["*.ddb.eu-west-1.amazonaws.com.", "dynamodb.eu-west-1.amazonaws.com.", "xray.eu-west-1.amazonaws.com."]]
      block = [2, "BLOCK", ["*."]]
    })
    error_message = "A name is answered that nobody needs, or one that is needed is not."
  }
  assert {
    condition     = aws_route53_resolver_firewall_rule_group_association.this.vpc_id == aws_vpc.this.id && aws_route53_resolver_firewall_rule_group_association.this.firewall_rule_group_id == aws_route53_resolver_firewall_rule_group.this.id
    error_message = "The firewall stands before nothing."
  }
}

run "two_zones_are_refused" {
  command = plan
  variables {
    zones = ["eu-west-1a", "eu-west-1b", "eu-west-1b"]
  }
  expect_failures = [var.zones]
}

run "a_zone_of_another_region_is_refused" {
  command = plan
  variables {
    zones = ["eu-west-1a", "eu-west-1b", "eu-central-1a"]
  }
  expect_failures = [var.zones]
}

run "a_range_without_room_is_refused" {
  command = plan
  variables {
    cidr = "10.0.0.0/28"
  }
  expect_failures = [var.cidr]
}

run "an_action_with_a_wildcard_is_refused" {
  command = plan
  variables {
    tables = { Movies = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/mvdb-test-movies", actions = ["dynamodb:*"] } }
  }
  expect_failures = [var.tables]
}
