# Every rule of every security group. Whoever connects is on the left; no other module knows a port.
#
#   users -> load_balancer -> api -> servers <-> servers
#                              ^       ^
#                              clients-'

locals {
  groups = {
    load_balancer = "Receives the requests of users"
    api           = "Runs the API"
    servers       = "Runs the servers of Nomad, Consul, Vault and NATS"
    clients       = "Runs the jobs of users"
  }

  ports = {
    https         = 443
    api           = 8787
    content       = 8790
    gateway       = 8791
    nomad_http    = 4646
    nomad_rpc     = 4647
    nomad_gossip  = 4648
    consul_rpc    = 8300
    consul_gossip = 8301
    consul_https  = 8501
    vault_https   = 8200
    vault_raft    = 8201
    nats          = 4222
    nats_routes   = 6222
  }
  # Each API process has a gateway of its own, at one of these ports.
  last_ports = { gateway = 8798 }

  connections = concat(
    [{ from = "load_balancer", to = "api", port = "api", protocol = "tcp" }],
    # Browsers reach notebooks and desktops by a gateway.
    [{ from = "load_balancer", to = "api", port = "content", protocol = "tcp" }],
    # Slots fetch their jobs from the API; they do not pass through the load balancer.
    [{ from = "clients", to = "api", port = "api", protocol = "tcp" }],
    # Slots open their ends of streams to ports, shells and notebooks of jobs.
    [{ from = "clients", to = "api", port = "gateway", protocol = "tcp" }],
    # A Nomad client opens the only connection between it and a server. Jobs run on clients, so
    # Consul, Vault and NATS stay out of their reach.
    [{ from = "clients", to = "servers", port = "nomad_rpc", protocol = "tcp" }],
    [for port in ["nomad_http", "consul_https", "vault_https", "nats"] :
      { from = "api", to = "servers", port = port, protocol = "tcp" }
    ],
    [for port in setsubtract(keys(local.ports), ["https", "api", "content", "gateway", "nats"]) :
      { from = "servers", to = "servers", port = port, protocol = "tcp" }
    ],
    [for port in ["nomad_gossip", "consul_gossip"] :
      { from = "servers", to = "servers", port = port, protocol = "udp" }
    ],
  )
  rules = { for it in local.connections : "${it.from}-${it.to}-${it.port}-${it.protocol}" => it }

  machines = toset(["api", "servers", "clients"])
  egress   = { for pair in setproduct(local.machines, var.egress_cidrs) : "${pair[0]}-${pair[1]}" => pair }
}

resource "aws_security_group" "this" {
  for_each = local.groups

  name        = "${var.name}-${replace(each.key, "_", "-")}"
  description = each.value
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-${replace(each.key, "_", "-")}" })
}

resource "aws_vpc_security_group_ingress_rule" "users" {
  for_each = var.user_cidrs

  security_group_id = aws_security_group.this["load_balancer"].id
  description       = "HTTPS of users"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = local.ports.https
  to_port           = local.ports.https
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each = local.rules

  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  description                  = "${each.value.port} from ${each.value.from}"
  ip_protocol                  = each.value.protocol
  from_port                    = local.ports[each.value.port]
  to_port                      = lookup(local.last_ports, each.value.port, local.ports[each.value.port])
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = local.rules

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  description                  = "${each.value.port} to ${each.value.to}"
  ip_protocol                  = each.value.protocol
  from_port                    = local.ports[each.value.port]
  to_port                      = lookup(local.last_ports, each.value.port, local.ports[each.value.port])
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = local.egress

  security_group_id = aws_security_group.this[each.value[0]].id
  description       = "HTTPS to AWS and package indexes"
  cidr_ipv4         = each.value[1]
  ip_protocol       = "tcp"
  from_port         = local.ports.https
  to_port           = local.ports.https
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  for_each = local.machines

  security_group_id = aws_security_group.this[each.value].id
  description       = "S3"
  prefix_list_id    = var.s3_prefix_list_id
  ip_protocol       = "tcp"
  from_port         = local.ports.https
  to_port           = local.ports.https
}
