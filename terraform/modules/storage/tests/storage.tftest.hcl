mock_provider "aws" {}

variables {
  name          = "trial"
  bucket_prefix = "example-com"
}

run "buckets_are_closed" {
  command = apply

  assert {
    condition     = output.data_bucket == "example-com-trial-data" && output.backup_bucket == "example-com-trial-backups"
    error_message = "A bucket's name must tell whose it is."
  }

  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.this : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "No bucket may ever be public."
  }

  assert {
    condition = alltrue([for policy in aws_s3_bucket_policy.this :
      jsondecode(policy.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false" && jsondecode(policy.policy).Statement[0].Effect == "Deny"
    ])
    error_message = "Plain HTTP must be refused."
  }

  assert {
    condition     = !anytrue([for bucket in aws_s3_bucket.this : bucket.force_destroy])
    error_message = "`terraform destroy` must not delete data by default."
  }
}

run "only_backups_expire" {
  command = apply

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this["data"].rule : rule.id] == ["versions"]
    error_message = "Current objects of users must never expire."
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this["backups"].rule : rule.id] == ["versions", "backups"]
    error_message = "Backups must expire."
  }
}

run "half_a_day_is_refused" {
  command = plan

  variables {
    noncurrent_days = 0.5
    backup_days     = 0
  }

  expect_failures = [var.noncurrent_days, var.backup_days]
}

run "a_prefix_with_a_dot_is_refused" {
  command = plan

  variables {
    bucket_prefix = "example.com"
  }

  expect_failures = [var.bucket_prefix]
}
