mock_provider "aws" {}

variables {
  name              = "trial"
  vpc_id            = "vpc-1"
  s3_prefix_list_id = "pl-1"
  user_cidrs        = ["198.51.100.0/24"]
  egress_cidrs      = ["203.0.113.0/24"]
}

run "users_reach_the_load_balancer_only" {
  command = apply

  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.users : [rule.cidr_ipv4, rule.from_port, rule.security_group_id]] == [["198.51.100.0/24", 443, aws_security_group.this["load_balancer"].id]]
    error_message = "The one rule that names a network must be that of the load balancer's port 443."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.this : rule.cidr_ipv4 == null])
    error_message = "Machines must admit security groups, never networks."
  }
}

run "jobs_reach_the_api_and_nomad_only" {
  command = apply

  assert {
    condition     = sort([for name, rule in aws_vpc_security_group_ingress_rule.this : tostring(rule.from_port) if startswith(name, "clients-")]) == tolist(["4647", "8787", "8791"])
    error_message = "Clients must reach ports 8787 and 8791 of the API and port 4647 of the servers, and nothing else."
  }

  assert {
    condition     = !anytrue([for name, rule in aws_vpc_security_group_ingress_rule.this : strcontains(name, "-clients-")])
    error_message = "Nothing may connect to a machine that runs jobs."
  }
}

run "gateways_are_reached" {
  command = apply

  assert {
    condition     = [for name, rule in aws_vpc_security_group_ingress_rule.this : [rule.from_port, rule.to_port] if endswith(name, "-gateway-tcp")] == [[8791, 8798]]
    error_message = "Slots must reach the ports of gateways, and no other group."
  }

  assert {
    condition     = [for name, rule in aws_vpc_security_group_ingress_rule.this : name if rule.from_port == output.content_port] == ["load_balancer-api-content-tcp"]
    error_message = "Browsers must reach gateways by the load balancer alone."
  }

  assert {
    condition     = output.gateway_ports == "8791,8792,8793,8794,8795,8796,8797,8798"
    error_message = "The ports must be in the form that the API reads."
  }
}

run "each_way_in_has_a_way_out" {
  command = apply

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.this) == keys(aws_vpc_security_group_egress_rule.this)
    error_message = "Each connection must be allowed at both ends."
  }
}

run "no_network_is_refused" {
  command = plan

  variables {
    user_cidrs = []
  }

  expect_failures = [var.user_cidrs]
}

run "an_address_without_a_mask_is_refused" {
  command = plan

  variables {
    egress_cidrs = ["203.0.113.1"]
  }

  expect_failures = [var.egress_cidrs]
}
