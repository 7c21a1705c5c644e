# One machine for a trial: `picloud up` and its jobs on it, data in S3. Nothing is reachable from
# outside; users forward a port by AWS Systems Manager.

provider "aws" {
  region = var.region

  default_tags {
    tags = { Cluster = var.name, ManagedBy = "terraform" }
  }
}

module "network" {
  source = "../../modules/network"

  name               = var.name
  availability_zones = var.availability_zones
}

module "ports" {
  source = "../../modules/ports"

  name              = var.name
  vpc_id            = module.network.vpc_id
  s3_prefix_list_id = module.network.s3_prefix_list_id
  user_cidrs        = [module.network.cidr]
  egress_cidrs      = var.egress_cidrs
}

module "storage" {
  source = "../../modules/storage"

  name          = var.name
  bucket_prefix = var.bucket_prefix
  destroy_data  = true
}

module "identity" {
  source = "../../modules/identity"

  name          = var.name
  data_bucket   = module.storage.data_bucket
  backup_bucket = module.storage.backup_bucket
}

resource "aws_instance" "this" {
  ami                    = var.image_id
  instance_type          = var.instance_type
  subnet_id              = module.network.private_subnet_ids[0]
  vpc_security_group_ids = [module.ports.security_group_ids["api"]]
  iam_instance_profile   = module.identity.instance_profiles["api"]
  tags                   = { Name = var.name }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_size = 100
    volume_type = "gp3"
    encrypted   = true
  }
}
