# Required. The modules validate each value.

variable "name" {
  type        = string
  description = "Name of the machine and of what belongs to it."
}

variable "region" {
  type        = string
  description = "Region of AWS."
}

variable "availability_zones" {
  type        = list(string)
  description = "Two zones of the region; the machine is in the first."
}

variable "image_id" {
  type        = string
  description = "Id of an image of Debian or Ubuntu."
}

variable "bucket_prefix" {
  type        = string
  description = "First part of the buckets' names."
}

variable "egress_cidrs" {
  type        = set(string)
  description = "Networks that the machine may reach by HTTPS."
}

# Optional

variable "instance_type" {
  type        = string
  description = "Instance type of the machine."
  default     = "m6i.xlarge"
}
