output "instance_id" {
  description = "Id of the machine, for `aws ssm start-session`."
  value       = aws_instance.this.id
}

output "data_bucket" {
  description = "Name of the bucket for `PICLOUD_S3_BUCKET`."
  value       = module.storage.data_bucket
}
