# A network with no way out: no internet gateway, no NAT, no peering. Code in it, third-party code too, reaches one table
# and X-Ray, with this account's credentials, and nothing else: what it reads it cannot send home.
# The function's own log needs no way: Lambda carries it outside of this network.
resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # else X-Ray's usual name would lead to its public address, where nothing leads

  tags = { Name = var.name }
}

resource "aws_subnet" "this" {
  for_each = toset(var.zones)

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.cidr, 4, index(var.zones, each.key))
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-${each.key}" }
}

# One table for all zones: what it holds, the way to DynamoDB, is the same in each.
resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_route_table_association" "this" {
  for_each = aws_subnet.this

  subnet_id      = each.value.id
  route_table_id = aws_route_table.this.id
}

# Costs nothing. A resource that names the account's own table needs no condition on who asks: strangers' credentials
# have no rights on it.
resource "aws_vpc_endpoint" "dynamodb" {
  vpc_id            = aws_vpc.this.id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${var.region}.dynamodb"
  route_table_ids   = [aws_route_table.this.id]

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for name, table in var.tables : {
      Sid       = name
      Effect    = "Allow"
      Principal = "*" # a gateway endpoint knows no other; the function's role says who
      Action    = table.actions
      Resource  = table.arn
    }]
  })

  tags = { Name = "${var.name}-dynamodb" }
}

# What the telemetry layer sends its traces to. It is the only thing here that costs: about 0.011 USD an hour and zone,
# 24 USD a month for three zones, and 0.01 USD a GB (eu-west-1).
resource "aws_vpc_endpoint" "xray" {
  vpc_id              = aws_vpc.this.id
  vpc_endpoint_type   = "Interface"
  service_name        = "com.amazonaws.${var.region}.xray"
  subnet_ids          = [for subnet in aws_subnet.this : subnet.id]
  security_group_ids  = [aws_security_group.endpoint.id]
  private_dns_enabled = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OwnTraces"
      Effect    = "Allow"
      Principal = "*"
      Action    = var.trace_actions
      Resource  = "*" # X-Ray's writes have no resource
      # Else code with credentials of its own could send what it has read to another account's X-Ray.
      Condition = { StringEquals = { "aws:PrincipalAccount" = var.account_id } }
    }]
  })

  tags = { Name = "${var.name}-xray" }
}

# Rules stand alone, so that the two groups can name each other.
resource "aws_security_group" "function" {
  #checkov:skip=CKV2_AWS_5: the function that stands in it is another module's
  name        = "${var.name}-function"
  description = "The function: out to DynamoDB and X-Ray, nothing in"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-function" }
}

resource "aws_vpc_security_group_egress_rule" "dynamodb" {
  security_group_id = aws_security_group.function.id
  description       = "DynamoDB, through the gateway endpoint"
  prefix_list_id    = aws_vpc_endpoint.dynamodb.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "xray" {
  security_group_id            = aws_security_group.function.id
  description                  = "X-Ray, through the interface endpoint"
  referenced_security_group_id = aws_security_group.endpoint.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_security_group" "endpoint" {
  name        = "${var.name}-endpoint"
  description = "The endpoints: in from the function, nothing out"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-endpoint" }
}

resource "aws_vpc_security_group_ingress_rule" "function" {
  security_group_id            = aws_security_group.endpoint.id
  description                  = "From the function"
  referenced_security_group_id = aws_security_group.function.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# Made with every VPC, open to itself and to the world; without rules here Terraform takes them all away.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-unused" }
}

# Security groups do not see questions to the VPC's own resolver, and a name can carry data: <secret>.attacker.example.
# So only the names that are needed are answered. Should the firewall itself fail, nothing is: that is its default.
locals {
  firewall = {
    allow = {
      priority = 1
      action   = "ALLOW"
      domains  = [for name in ["dynamodb.${var.region}", "*.ddb.${var.region}", "xray.${var.region}"] : "${name}.amazonaws.com."]
    }
    block = {
      priority = 2
      action   = "BLOCK"
      domains  = ["*."]
    }
  }
}

resource "aws_route53_resolver_firewall_domain_list" "this" {
  for_each = local.firewall

  name    = "${var.name}-${each.key}"
  domains = each.value.domains
}

resource "aws_route53_resolver_firewall_rule_group" "this" {
  name = var.name
}

resource "aws_route53_resolver_firewall_rule" "this" {
  for_each = local.firewall

  name                               = "${var.name}-${each.key}"
  firewall_rule_group_id             = aws_route53_resolver_firewall_rule_group.this.id
  firewall_domain_list_id            = aws_route53_resolver_firewall_domain_list.this[each.key].id
  firewall_domain_redirection_action = "TRUST_REDIRECTION_DOMAIN" # whom AWS's own names point to is AWS's business
  priority                           = each.value.priority
  action                             = each.value.action
  block_response                     = each.value.action == "BLOCK" ? "NXDOMAIN" : null
}

resource "aws_route53_resolver_firewall_rule_group_association" "this" {
  name                   = var.name
  firewall_rule_group_id = aws_route53_resolver_firewall_rule_group.this.id
  vpc_id                 = aws_vpc.this.id
  priority               = 101 # the lowest that AWS leaves to its customers

  depends_on = [aws_route53_resolver_firewall_rule.this] # never a moment in which the group is there and allows all
}

# A refused packet is somebody who tries to get out.
resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  log_destination          = aws_cloudwatch_log_group.flow.arn
  iam_role_arn             = aws_iam_role.flow_log.arn
  max_aggregation_interval = 60

  tags = { Name = var.name }
}

resource "aws_cloudwatch_log_group" "flow" {
  #checkov:skip=CKV_AWS_338: how long is the environment's decision: prod keeps 400 days
  name              = "/aws/vpc/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key.arn
}

resource "aws_iam_role" "flow_log" {
  name                 = "${var.name}-flow-log"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "flow_log" {
  name = "write"
  role = aws_iam_role.flow_log.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "WriteItsOwnLog"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.flow.arn}:*"] # the streams of this one group
    }]
  })
}
