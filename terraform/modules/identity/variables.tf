# Required

variable "name" {
  type        = string
  description = "Name of the cluster, which begins the names of all its resources."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "data_bucket" {
  type        = string
  description = "Name of the bucket that the API reads and writes."
}

variable "backup_bucket" {
  type        = string
  description = "Name of the bucket to which servers write backups."
}

# Optional

variable "session_manager" {
  type        = bool
  description = "Whether administrators may open a shell on the machines by AWS Systems Manager; nothing listens for SSH."
  default     = true
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  default     = {}
}
