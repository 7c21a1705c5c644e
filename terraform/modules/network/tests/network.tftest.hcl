mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
}

variables {
  name               = "trial"
  availability_zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
}

run "subnets_do_not_overlap" {
  command = apply

  assert {
    condition     = [for subnet in aws_subnet.public : subnet.cidr_block] == ["10.40.0.0/20", "10.40.16.0/20", "10.40.32.0/20"]
    error_message = "The public subnets must be the first three of sixteen parts."
  }

  assert {
    condition     = [for subnet in aws_subnet.private : subnet.cidr_block] == ["10.40.128.0/19", "10.40.160.0/19", "10.40.192.0/19"]
    error_message = "The private subnets must be in the second half."
  }

  assert {
    condition     = !anytrue([for subnet in merge(aws_subnet.public, aws_subnet.private) : coalesce(subnet.map_public_ip_on_launch, false)])
    error_message = "No machine may get a public address by itself."
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 3
    error_message = "All zones must share one NAT gateway."
  }

  assert {
    condition     = aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-central-1.s3"
    error_message = "S3 must be reached inside the region."
  }
}

run "a_gateway_for_each_zone" {
  command = apply

  variables {
    nat_per_zone = true
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "Each zone must have a NAT gateway."
  }
}

run "one_zone_is_refused" {
  command = plan

  variables {
    availability_zones = ["eu-central-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "a_zone_that_is_named_twice_is_refused" {
  command = plan

  variables {
    availability_zones = ["eu-central-1a", "eu-central-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "a_network_that_is_too_small_is_refused" {
  command = plan

  variables {
    cidr = "10.0.0.0/24"
  }

  expect_failures = [var.cidr]
}

run "a_name_with_capitals_is_refused" {
  command = plan

  variables {
    name = "Trial"
  }

  expect_failures = [var.name]
}
