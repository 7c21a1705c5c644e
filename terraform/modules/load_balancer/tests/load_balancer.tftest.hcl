mock_provider "aws" {
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/trial/1" }
  }

  mock_resource "aws_lb_listener" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/trial/1/2" }
  }

  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/trial-api/1" }
  }
}

variables {
  name              = "trial"
  vpc_id            = "vpc-1"
  subnet_ids        = ["subnet-1", "subnet-2"]
  security_group_id = "sg-1"
  api_port          = 8787
  certificate_arn   = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
}

run "users_speak_tls" {
  command = apply

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.https.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    error_message = "The listener must speak TLS 1.2 or newer."
  }

  assert {
    condition     = aws_lb_target_group.api.port == 8787 && aws_lb_target_group.api.health_check[0].path == "/v1/health"
    error_message = "Requests must go to machines whose API is healthy."
  }

  assert {
    condition     = aws_lb.this.enable_deletion_protection
    error_message = "The load balancer must be protected by default."
  }
}

run "notebooks_have_hosts_if_there_is_a_domain" {
  command = apply

  assert {
    condition     = length(aws_lb_listener_rule.content) == 0 && length(output.target_group_arns) == 1
    error_message = "Without a domain there must be no hosts of notebooks."
  }
}

run "browsers_reach_gateways_at_these_hosts" {
  command = apply

  variables {
    content = {
      domain          = "notebooks.example.org"
      certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/2"
      port            = 8790
    }
  }

  assert {
    condition     = one([for it in aws_lb_listener_rule.content[0].condition : one(it.host_header).values]) == toset(["*.notebooks.example.org"])
    error_message = "The rule must be for all hosts below the domain."
  }

  assert {
    condition     = aws_lb_target_group.content[0].port == 8790 && length(output.target_group_arns) == 2
    error_message = "API machines must register with the target group of gateways, too."
  }
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    subnet_ids      = ["subnet-1"]
    api_port        = 80
    certificate_arn = "example.com"
    content = {
      domain          = "*.example.org"
      certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/2"
      port            = 8790
    }
  }

  expect_failures = [var.subnet_ids, var.api_port, var.certificate_arn, var.content]
}
