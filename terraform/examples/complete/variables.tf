# Required. The modules validate each value.

variable "name" {
  type        = string
  description = "Name of the cluster."
}

variable "region" {
  type        = string
  description = "Region of AWS."
}

variable "availability_zones" {
  type        = list(string)
  description = "Zones of the region that the machines are spread over."
}

variable "image_id" {
  type        = string
  description = "Id of the node image."
}

variable "bucket_prefix" {
  type        = string
  description = "First part of the buckets' names."
}

variable "certificate_arn" {
  type        = string
  description = "ARN of the certificate for the name that users connect to."
}

variable "user_cidrs" {
  type        = set(string)
  description = "Networks of the users."
}

variable "egress_cidrs" {
  type        = set(string)
  description = "Networks that the machines may reach by HTTPS."
}

# Optional

variable "content_domain" {
  type        = string
  description = "Domain below which each notebook and desktop has a host; another one than that of the web pages."
  default     = null
}

variable "content_certificate_arn" {
  type        = string
  description = "ARN of the certificate for all names below the content domain."
  default     = null
}

variable "server_count" {
  type        = number
  description = "Number of server machines: 3 or 5."
  default     = 3
}

variable "client_groups" {
  type = map(object({
    instance_types    = list(string)
    minimum           = number
    maximum           = number
    warm              = optional(number, 0)
    on_demand_base    = optional(number, 0)
    on_demand_percent = optional(number, 100)
    disk_gib          = optional(number, 100)
  }))
  description = "Machines that run jobs, by core type; see the module `cluster`."
  default = {
    c1 = { instance_types = ["m6i.large", "m5.large"], minimum = 1, maximum = 20, on_demand_base = 1, on_demand_percent = 25 }
    c2 = { instance_types = ["c6i.xlarge"], minimum = 0, maximum = 10, warm = 1 }
  }
}

variable "trial" {
  type        = bool
  description = "Whether `terraform destroy` may delete everything, including the data of users."
  default     = false
}
