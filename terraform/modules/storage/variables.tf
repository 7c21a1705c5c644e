# Required

variable "name" {
  type        = string
  description = "Name of the cluster, which begins the names of all its resources."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "bucket_prefix" {
  type        = string
  description = "First part of the buckets' names, which must be unique in the whole of AWS: your domain, for instance."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,27}$", var.bucket_prefix))
    error_message = "bucket_prefix must have 2 to 28 lower-case letters, digits and hyphens."
  }
}

# Optional

variable "noncurrent_days" {
  type        = number
  description = "Days for which deleted and replaced objects can be restored."
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 1 && var.noncurrent_days <= 3650 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "noncurrent_days must be a whole number of days, 1 to 3650."
  }
}

variable "backup_days" {
  type        = number
  description = "Days after which backups are deleted."
  default     = 90

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 3650 && floor(var.backup_days) == var.backup_days
    error_message = "backup_days must be a whole number of days, 1 to 3650."
  }
}

variable "destroy_data" {
  type        = bool
  description = "Whether `terraform destroy` also deletes buckets that hold objects: all data of all users."
  default     = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  default     = {}
}
