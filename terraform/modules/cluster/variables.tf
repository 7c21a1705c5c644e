# Required

variable "name" {
  type        = string
  description = "Name of the cluster, which begins the names of all its resources."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 24 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "image_id" {
  type        = string
  description = "Id of the node image, which servers, API machines and clients share."

  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.image_id))
    error_message = "image_id must be the id of an image, such as ami-0123456789abcdef0."
  }
}

variable "subnet_ids" {
  type        = list(string)
  description = "Ids of private subnets, one for each zone."

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids must name at least one subnet."
  }
}

variable "security_group_ids" {
  type        = object({ servers = string, api = string, clients = string })
  description = "Ids of the security groups, by kind of machine."
}

variable "instance_profiles" {
  type        = object({ servers = string, api = string, clients = string })
  description = "Names of the instance profiles, by kind of machine."
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
  description = "Machines that run jobs, by core type: the instance types, from the most wanted; the least and the greatest number of machines; how many more are stopped and ready to start; how many are on demand, and what part of the others, in percent, where the rest are spot instances; and the size of the disk."

  validation {
    condition     = length(var.client_groups) > 0 && length(setsubtract(keys(var.client_groups), ["c1", "c2", "f2", "m1", "s1"])) == 0
    error_message = "client_groups must have at least one of the core types c1, c2, f2, m1 and s1, and no others."
  }

  validation {
    condition     = alltrue([for group in var.client_groups : group.minimum >= 0 && group.minimum <= group.maximum && group.maximum <= 1000])
    error_message = "Each group's minimum must be 0 or more, and its maximum at least its minimum and at most 1000."
  }

  validation {
    condition     = alltrue([for group in var.client_groups : length(group.instance_types) > 0])
    error_message = "Each group must name at least one instance type."
  }

  validation {
    condition     = alltrue([for group in var.client_groups : group.on_demand_base >= 0 && group.on_demand_percent >= 0 && group.on_demand_percent <= 100])
    error_message = "Each group's on_demand_base must be 0 or more, and its on_demand_percent 0 to 100."
  }

  validation {
    condition = alltrue([for group in var.client_groups :
      group.warm == 0 || (group.warm > 0 && length(group.instance_types) == 1 && group.on_demand_percent == 100)
    ])
    error_message = "A group with warm machines must have one instance type and on_demand_percent 100: AWS has no warm pools of mixed or spot instances."
  }
}

variable "target_group_arns" {
  type        = list(string)
  description = "ARNs of the load balancer's target groups, with which API machines register."
}

variable "vault_key_id" {
  type        = string
  description = "Id of the KMS key that unseals Vault."
}

variable "data_bucket" {
  type        = string
  description = "Name of the bucket that holds the data of users."
}

variable "backup_bucket" {
  type        = string
  description = "Name of the bucket to which servers write backups."
}

# Optional

variable "server_count" {
  type        = number
  description = "Number of server machines: 3 survive the loss of one, 5 that of two."
  default     = 3

  validation {
    condition     = contains([3, 5], var.server_count)
    error_message = "server_count must be 3 or 5: a majority of the servers has to survive."
  }
}

variable "server_instance_type" {
  type        = string
  description = "Instance type of server machines."
  default     = "m6i.large"
}

variable "server_disk_gib" {
  type        = number
  description = "Size of a server machine's disk, in GiB."
  default     = 50

  validation {
    condition     = var.server_disk_gib >= 20 && var.server_disk_gib <= 16384
    error_message = "server_disk_gib must be 20 to 16384."
  }
}

variable "api_count" {
  type        = number
  description = "Number of API machines."
  default     = 2

  validation {
    condition     = var.api_count >= 1 && var.api_count <= 20
    error_message = "api_count must be 1 to 20."
  }
}

variable "api_instance_type" {
  type        = string
  description = "Instance type of API machines."
  default     = "c6i.xlarge"
}

variable "clients_shut_down_after_minutes" {
  type        = number
  description = "Minutes without a control plane after which a client shuts itself down; 0: never."
  default     = 60

  validation {
    condition     = var.clients_shut_down_after_minutes >= 0 && var.clients_shut_down_after_minutes <= 525600
    error_message = "clients_shut_down_after_minutes must be 0 to 525600."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  default     = {}
}
