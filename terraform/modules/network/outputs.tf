output "vpc_id" {
  description = "Id of the network."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Private addresses of the network."
  value       = aws_vpc.this.cidr_block
}

output "public_subnet_ids" {
  description = "Ids of the public subnets, one for each zone: for the load balancer only."
  value       = [for zone in var.availability_zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Ids of the private subnets, one for each zone: for the machines."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "s3_prefix_list_id" {
  description = "Id of the list of S3's addresses, which rules of security groups may name."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}
