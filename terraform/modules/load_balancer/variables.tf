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

variable "subnet_ids" {
  type        = list(string)
  description = "Ids of public subnets in at least two zones."

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must name subnets in at least two zones."
  }
}

variable "security_group_id" {
  type        = string
  description = "Id of the load balancer's security group."
}

variable "api_port" {
  type        = number
  description = "Port of the API on its machines."

  validation {
    condition     = var.api_port >= 1024 && var.api_port <= 65535
    error_message = "api_port must be 1024 to 65535: the API does not run as root."
  }
}

variable "certificate_arn" {
  type        = string
  description = "ARN of the certificate in AWS Certificate Manager for the name that users connect to."

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of a certificate in AWS Certificate Manager."
  }
}

# Optional

variable "deletion_protection" {
  type        = bool
  description = "Whether AWS refuses to delete the load balancer, which would change its address."
  default     = true
}

variable "content" {
  type = object({
    domain          = string
    certificate_arn = string
    port            = number
  })
  description = "Domain below which each notebook and desktop has a host, the ARN of a certificate for all of its names, and the port of gateways; without it pages open none."
  default     = null

  validation {
    condition     = var.content == null ? true : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.content.domain))
    error_message = "content.domain must be a domain without the star, such as notebooks.example.org."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  default     = {}
}
