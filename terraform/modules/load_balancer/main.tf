# The only part that users reach. It terminates TLS and passes requests to healthy API machines.

resource "aws_lb" "this" {
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = var.subnet_ids
  security_groups            = [var.security_group_id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  # A request that waits for jobs sends nothing until one ends.
  idle_timeout = 300
  tags         = merge(var.tags, { Name = var.name })
}

resource "aws_lb_target_group" "api" {
  name                 = "${var.name}-api"
  vpc_id               = var.vpc_id
  port                 = var.api_port
  protocol             = "HTTP"
  deregistration_delay = 60
  tags                 = var.tags

  health_check {
    path                = "/v1/health"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

# There is no listener for plain HTTP: a client that forgot the "s" would send its key in the clear
# before any redirect.
resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}

# Notebooks and desktops have hosts of their own, which gateways serve: a machine is healthy there
# once a notebook was opened by it, and replies 404 to a name that is not one of a notebook.
resource "aws_lb_target_group" "content" {
  count = var.content == null ? 0 : 1

  name                 = "${var.name}-content"
  vpc_id               = var.vpc_id
  port                 = var.content.port
  protocol             = "HTTP"
  deregistration_delay = 60
  tags                 = var.tags

  health_check {
    path                = "/"
    matcher             = "404"
    interval            = 5
    timeout             = 4
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener_certificate" "content" {
  count = var.content == null ? 0 : 1

  listener_arn    = aws_lb_listener.https.arn
  certificate_arn = var.content.certificate_arn
}

resource "aws_lb_listener_rule" "content" {
  count = var.content == null ? 0 : 1

  listener_arn = aws_lb_listener.https.arn
  priority     = 10
  tags         = var.tags

  condition {
    host_header {
      values = ["*.${var.content.domain}"]
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.content[0].arn
  }
}
