output "security_group_ids" {
  description = "Ids of the security groups `load_balancer`, `api`, `servers` and `clients`, by name."
  value       = { for name, group in aws_security_group.this : name => group.id }
}

output "api_port" {
  description = "Port of the API on its machines."
  value       = local.ports.api
}

output "content_port" {
  description = "Port at which the gateways of API machines receive browsers: PICLOUD_CONTENT_PORT."
  value       = local.ports.content
}

output "gateway_ports" {
  description = "Ports of API machines at which slots reach gateways: PICLOUD_SLOT_GATEWAY_PORTS."
  value       = join(",", range(local.ports.gateway, local.last_ports.gateway + 1))
}
