# Required

variable "name" {
  type        = string
  description = "Name of the cluster, which begins the names of all its resources."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "availability_zones" {
  type        = list(string)
  description = "Availability zones that the machines are spread over; three survive the loss of one."

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) <= 4
    error_message = "availability_zones must name 2 to 4 zones: a load balancer needs two."
  }

  validation {
    condition     = length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones must not name a zone twice."
  }
}

# Optional

variable "cidr" {
  type        = string
  description = "Private addresses of the network."
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("/(1[6-9]|20)$", var.cidr))
    error_message = "cidr must be an IPv4 network between /16 and /20, such as 10.40.0.0/16."
  }
}

variable "nat_per_zone" {
  type        = bool
  description = "Whether each zone has a NAT gateway of its own; otherwise all share that of the first zone, which costs less."
  default     = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  default     = {}
}
