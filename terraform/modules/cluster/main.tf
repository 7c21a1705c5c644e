# The machines: a fixed number of servers and of API machines, and a group of clients for each core
# type, whose size follows the work.

locals {
  # Machines find the servers by this tag.
  join_tag = "picloud-servers"

  settings = {
    name         = var.name
    region       = data.aws_region.current.name
    join_tag     = local.join_tag
    server_count = var.server_count
  }

  machines = merge(
    {
      servers = {
        kind          = "servers"
        instance_type = var.server_instance_type
        disk_gib      = var.server_disk_gib
        settings = {
          vault_key_id  = var.vault_key_id
          backup_bucket = var.backup_bucket
        }
      }
      api = {
        kind          = "api"
        instance_type = var.api_instance_type
        disk_gib      = 50
        settings      = { data_bucket = var.data_bucket }
      }
    },
    { for core_type, group in var.client_groups : "clients-${core_type}" => {
      kind          = "clients"
      instance_type = group.instance_types[0]
      disk_gib      = group.disk_gib
      settings = {
        core_type               = core_type
        shut_down_after_minutes = var.clients_shut_down_after_minutes
      }
    } },
  )

  # AWS refuses warm pools for groups with a mixture, so only the others can have one.
  mixed  = { for core_type, group in var.client_groups : core_type => group if group.warm == 0 }
  warmed = { for core_type, group in var.client_groups : core_type => group if group.warm > 0 }
}

data "aws_region" "current" {}

resource "aws_launch_template" "this" {
  for_each = local.machines

  name                   = "${var.name}-${each.key}"
  description            = "Machines of ${var.name}: ${each.key}"
  image_id               = var.image_id
  instance_type          = each.value.instance_type
  update_default_version = true
  vpc_security_group_ids = [var.security_group_ids[each.value.kind]]

  # The image holds all programs; this says only what the machine is. It holds no secret: everybody
  # who may describe launch templates can read it.
  user_data = base64encode(templatefile("${path.module}/user_data.sh.tftpl", {
    settings = jsonencode(merge(local.settings, { kind = each.value.kind }, each.value.settings))
  }))

  iam_instance_profile {
    name = var.instance_profiles[each.value.kind]
  }

  # Version 2 of the metadata service, one hop away: a job in a container cannot get the machine's role.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = each.value.disk_gib
      volume_type           = "gp3"
      encrypted             = "true"
      delete_on_termination = "true"
    }
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
  }

  tag_specifications {
    resource_type = "volume"
    tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
  }
}

resource "aws_autoscaling_group" "servers" {
  name                = "${var.name}-servers"
  min_size            = var.server_count
  max_size            = var.server_count
  vpc_zone_identifier = var.subnet_ids

  launch_template {
    id      = aws_launch_template.this["servers"].id
    version = aws_launch_template.this["servers"].latest_version
  }

  tag {
    key                 = local.join_tag
    value               = var.name
    propagate_at_launch = true
  }

}

resource "aws_autoscaling_group" "api" {
  name                      = "${var.name}-api"
  min_size                  = var.api_count
  max_size                  = var.api_count + 1
  desired_capacity          = var.api_count
  vpc_zone_identifier       = var.subnet_ids
  target_group_arns         = var.target_group_arns
  health_check_type         = "ELB"
  health_check_grace_period = 300

  launch_template {
    id      = aws_launch_template.this["api"].id
    version = aws_launch_template.this["api"].latest_version
  }

  # One more machine starts before an old one ends.
  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = 200
    }
  }
}

resource "aws_autoscaling_group" "clients" {
  for_each = local.mixed

  name                = "${var.name}-clients-${each.key}"
  min_size            = each.value.minimum
  max_size            = each.value.maximum
  vpc_zone_identifier = var.subnet_ids
  capacity_rebalance  = each.value.on_demand_percent < 100

  mixed_instances_policy {
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.this["clients-${each.key}"].id
        version            = aws_launch_template.this["clients-${each.key}"].latest_version
      }

      dynamic "override" {
        for_each = each.value.instance_types

        content {
          instance_type = override.value
        }
      }
    }

    instances_distribution {
      on_demand_base_capacity                  = each.value.on_demand_base
      on_demand_percentage_above_base_capacity = each.value.on_demand_percent
      on_demand_allocation_strategy            = "prioritized"
      spot_allocation_strategy                 = "price-capacity-optimized"
    }
  }

  # The size follows the work, so `terraform apply` must not set it back.
  lifecycle {
    ignore_changes = [desired_capacity]
  }
}

resource "aws_autoscaling_group" "warm_clients" {
  for_each = local.warmed

  name                = "${var.name}-clients-${each.key}"
  min_size            = each.value.minimum
  max_size            = each.value.maximum
  vpc_zone_identifier = var.subnet_ids

  launch_template {
    id      = aws_launch_template.this["clients-${each.key}"].id
    version = aws_launch_template.this["clients-${each.key}"].latest_version
  }

  warm_pool {
    pool_state                  = "Stopped"
    min_size                    = each.value.warm
    max_group_prepared_capacity = each.value.maximum

    instance_reuse_policy {
      reuse_on_scale_in = false
    }
  }

  lifecycle {
    ignore_changes = [desired_capacity]
  }
}
