output "security_group_ids" {
  description = "Ids of the security groups `load_balancer`, `api`, `servers` and `clients`, by name."
  value       = { for name, group in aws_security_group.this : name => group.id }
}

output "api_port" {
  description = "Port of the API on its machines."
  value       = local.ports.api
}
