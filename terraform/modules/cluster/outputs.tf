output "server_group" {
  description = "Name of the group of server machines."
  value       = aws_autoscaling_group.servers.name
}

output "api_group" {
  description = "Name of the group of API machines."
  value       = aws_autoscaling_group.api.name
}

output "client_groups" {
  description = "Names of the groups of client machines, by core type."
  value = { for core_type, group in merge(aws_autoscaling_group.clients, aws_autoscaling_group.warm_clients) :
  core_type => group.name }
}
