output "dns_name" {
  description = "Name of the load balancer, to which the name that users connect to must point."
  value       = aws_lb.this.dns_name
}

output "target_group_arns" {
  description = "ARNs of the target groups with which API machines register."
  value       = concat([aws_lb_target_group.api.arn], aws_lb_target_group.content[*].arn)
}
