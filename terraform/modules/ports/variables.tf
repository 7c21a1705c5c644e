# Required

variable "name" {
  type        = string
  description = "Name of the cluster, which begins the names of all its resources."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "vpc_id" {
  type        = string
  description = "Id of the network."
}

variable "s3_prefix_list_id" {
  type        = string
  description = "Id of the list of S3's addresses."
}

variable "user_cidrs" {
  type        = set(string)
  description = "Networks from which users may reach the load balancer."

  validation {
    condition     = length(var.user_cidrs) > 0 && alltrue([for cidr in var.user_cidrs : can(cidrhost(cidr, 0))])
    error_message = "user_cidrs must name at least one network, such as 198.51.100.0/24."
  }
}

variable "egress_cidrs" {
  type        = set(string)
  description = "Networks that the machines, and so the jobs of users, may reach by HTTPS: AWS's services and package indexes."

  validation {
    condition     = length(var.egress_cidrs) > 0 && alltrue([for cidr in var.egress_cidrs : can(cidrhost(cidr, 0))])
    error_message = "egress_cidrs must name at least one network: without AWS's services, machines cannot find each other."
  }
}

# Optional

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  default     = {}
}
