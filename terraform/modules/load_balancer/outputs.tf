output "dns_name" {
  description = "Name of the load balancer, to which the name that users connect to must point."
  value       = aws_lb.this.dns_name
}

output "target_group_arn" {
  description = "ARN of the target group with which API machines register."
  value       = aws_lb_target_group.api.arn
}
