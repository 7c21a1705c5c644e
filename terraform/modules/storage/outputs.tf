output "data_bucket" {
  description = "Name of the bucket that holds the data of users: `PICLOUD_S3_BUCKET` of the API."
  value       = aws_s3_bucket.this["data"].bucket
}

output "backup_bucket" {
  description = "Name of the bucket that holds backups of the servers."
  value       = aws_s3_bucket.this["backups"].bucket
}
