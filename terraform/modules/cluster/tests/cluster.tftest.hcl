mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
}

variables {
  name               = "trial"
  image_id           = "ami-0123456789abcdef0"
  subnet_ids         = ["subnet-1", "subnet-2", "subnet-3"]
  security_group_ids = { servers = "sg-1", api = "sg-2", clients = "sg-3" }
  instance_profiles  = { servers = "trial-servers", api = "trial-api", clients = "trial-clients" }
  target_group_arns  = ["arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/trial-api/1"]
  vault_key_id       = "key-1"
  data_bucket        = "data"
  backup_bucket      = "backups"
  client_groups = {
    c1 = { instance_types = ["m6i.large", "m5.large"], minimum = 1, maximum = 20, on_demand_base = 1, on_demand_percent = 25 }
    c2 = { instance_types = ["c6i.xlarge"], minimum = 0, maximum = 10, warm = 2 }
  }
}

run "machines_are_hardened" {
  command = apply

  assert {
    condition     = alltrue([for it in aws_launch_template.this : it.metadata_options[0].http_tokens == "required" && it.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "Machines must refuse version 1 of the metadata service, and containers."
  }

  assert {
    condition     = alltrue([for it in aws_launch_template.this : it.block_device_mappings[0].ebs[0].encrypted == "true"])
    error_message = "Disks must be encrypted."
  }

  assert {
    condition     = [for it in aws_launch_template.this : it.iam_instance_profile[0].name] == ["trial-api", "trial-clients", "trial-clients", "trial-servers"]
    error_message = "Each kind of machine must have its own role."
  }
}

run "servers_are_found_by_a_tag" {
  command = apply

  assert {
    condition     = aws_autoscaling_group.servers.min_size == 3 && aws_autoscaling_group.servers.max_size == 3
    error_message = "The number of servers must be fixed."
  }

  assert {
    condition     = [for tag in aws_autoscaling_group.servers.tag : [tag.key, tag.value, tag.propagate_at_launch]] == [["picloud-servers", "trial", true]]
    error_message = "Servers must carry the tag by which they are found."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.this["clients-c1"].user_data), "\"core_type\":\"c1\"") && strcontains(base64decode(aws_launch_template.this["clients-c1"].user_data), "\"join_tag\":\"picloud-servers\"")
    error_message = "A client must know its core type and how to find the servers."
  }

  assert {
    condition     = !strcontains(base64decode(aws_launch_template.this["clients-c1"].user_data), "key-1")
    error_message = "Only servers need to know Vault's key."
  }
}

run "groups_by_core_type" {
  command = apply

  assert {
    condition     = aws_autoscaling_group.clients["c1"].mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 25
    error_message = "Three quarters of c1 must be spot instances."
  }

  assert {
    condition     = aws_autoscaling_group.warm_clients["c2"].warm_pool[0].min_size == 2
    error_message = "Two machines of c2 must be stopped and ready."
  }

  assert {
    condition     = output.client_groups == { c1 = "trial-clients-c1", c2 = "trial-clients-c2" }
    error_message = "Each core type must have one group."
  }
}

run "clients_without_a_control_plane_end" {
  command = apply

  variables {
    clients_shut_down_after_minutes = 30
  }

  assert {
    condition     = [for name, it in aws_launch_template.this : name if strcontains(base64decode(it.user_data), "\"shut_down_after_minutes\":30")] == ["clients-c1", "clients-c2"]
    error_message = "Clients, and no other machines, must know when to shut themselves down."
  }
}

run "less_than_no_time_is_refused" {
  command = plan

  variables {
    clients_shut_down_after_minutes = -1
  }

  expect_failures = [var.clients_shut_down_after_minutes]
}

run "an_even_number_of_servers_is_refused" {
  command = plan

  variables {
    server_count = 4
  }

  expect_failures = [var.server_count]
}

run "a_name_instead_of_an_image_is_refused" {
  command = plan

  variables {
    image_id = "debian-12"
  }

  expect_failures = [var.image_id]
}

run "an_unknown_core_type_is_refused" {
  command = plan

  variables {
    client_groups = { c9 = { instance_types = ["m6i.large"], minimum = 1, maximum = 2 } }
  }

  expect_failures = [var.client_groups]
}

run "a_minimum_above_the_maximum_is_refused" {
  command = plan

  variables {
    client_groups = { c1 = { instance_types = ["m6i.large"], minimum = 3, maximum = 2 } }
  }

  expect_failures = [var.client_groups]
}

run "a_warm_pool_of_spot_instances_is_refused" {
  command = plan

  variables {
    client_groups = { c1 = { instance_types = ["m6i.large"], minimum = 1, maximum = 2, warm = 1, on_demand_percent = 50 } }
  }

  expect_failures = [var.client_groups]
}
