output "network" {
  description = "The plug: where a function stands, and what it may reach from there."
  value = {
    subnet_ids         = [for zone in var.zones : aws_subnet.this[zone].id]
    security_group_ids = [aws_security_group.function.id]
  }
}

output "flow_log" {
  description = "The plug of whoever watches it: name of the flow log's group, and the pattern of the addresses in the network."
  value = {
    log_group_name = aws_cloudwatch_log_group.flow.name
    addresses      = "${join(".", slice(split(".", var.cidr), 0, tonumber(split("/", var.cidr)[1]) == 24 ? 3 : 2))}.*" # wider than the range is no harm: what else begins so leads nowhere
  }
}
