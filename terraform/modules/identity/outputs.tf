output "instance_profiles" {
  description = "Names of the instance profiles of `servers`, `api` and `clients`, by kind of machine."
  value       = { for kind, profile in aws_iam_instance_profile.this : kind => profile.name }
}

output "vault_key_id" {
  description = "Id of the KMS key that unseals Vault."
  value       = aws_kms_key.vault.key_id
}
