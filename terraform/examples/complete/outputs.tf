output "dns_name" {
  description = "Name of the load balancer, to which the name that users connect to must point."
  value       = module.load_balancer.dns_name
}

output "data_bucket" {
  description = "Name of the bucket that holds the data of users."
  value       = module.storage.data_bucket
}

output "server_group" {
  description = "Name of the group of server machines."
  value       = module.cluster.server_group
}

output "api_group" {
  description = "Name of the group of API machines."
  value       = module.cluster.api_group
}

output "client_groups" {
  description = "Names of the groups of client machines, by core type."
  value       = module.cluster.client_groups
}

output "content_port" {
  description = "PICLOUD_CONTENT_PORT of the API."
  value       = module.ports.content_port
}

output "gateway_ports" {
  description = "PICLOUD_SLOT_GATEWAY_PORTS of the API."
  value       = module.ports.gateway_ports
}
