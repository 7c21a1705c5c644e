# The whole platform in one region: a network, its ports, buckets, roles, a load balancer, machines.

provider "aws" {
  region = var.region
}

locals {
  tags = { Cluster = var.name, ManagedBy = "terraform" }
}

module "network" {
  source = "../../modules/network"

  name               = var.name
  tags               = local.tags
  availability_zones = var.availability_zones
}

module "ports" {
  source = "../../modules/ports"

  name              = var.name
  tags              = local.tags
  vpc_id            = module.network.vpc_id
  s3_prefix_list_id = module.network.s3_prefix_list_id
  user_cidrs        = var.user_cidrs
  egress_cidrs      = var.egress_cidrs
}

module "storage" {
  source = "../../modules/storage"

  name          = var.name
  tags          = local.tags
  bucket_prefix = var.bucket_prefix
  destroy_data  = var.trial
}

module "identity" {
  source = "../../modules/identity"

  name          = var.name
  tags          = local.tags
  data_bucket   = module.storage.data_bucket
  backup_bucket = module.storage.backup_bucket
}

module "load_balancer" {
  source = "../../modules/load_balancer"

  name                = var.name
  tags                = local.tags
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.public_subnet_ids
  security_group_id   = module.ports.security_group_ids["load_balancer"]
  api_port            = module.ports.api_port
  certificate_arn     = var.certificate_arn
  deletion_protection = !var.trial
  content = var.content_domain == null ? null : {
    domain          = var.content_domain
    certificate_arn = var.content_certificate_arn
    port            = module.ports.content_port
  }
}

module "cluster" {
  source = "../../modules/cluster"

  name     = var.name
  tags     = local.tags
  image_id = var.image_id

  subnet_ids         = module.network.private_subnet_ids
  security_group_ids = module.ports.security_group_ids
  instance_profiles  = module.identity.instance_profiles
  target_group_arns  = module.load_balancer.target_group_arns

  vault_key_id  = module.identity.vault_key_id
  data_bucket   = module.storage.data_bucket
  backup_bucket = module.storage.backup_bucket

  server_count  = var.server_count
  client_groups = var.client_groups
}
