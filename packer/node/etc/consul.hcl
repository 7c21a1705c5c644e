# Consul on servers; machine/consul.json has addresses and the gossip key.
server               = true
data_dir             = "/var/lib/picloud/consul"
disable_update_check = true
log_level            = "warn"
retry_interval       = "5s"

ports {
  http     = -1
  https    = 8501
  dns      = -1
  grpc     = -1
  grpc_tls = -1
  serf_wan = -1
}

tls {
  defaults {
    ca_file         = "/etc/picloud/machine/secrets/ca.pem"
    cert_file       = "/etc/picloud/machine/secrets/cert.pem"
    key_file        = "/etc/picloud/machine/secrets/key.pem"
    verify_incoming = true
    verify_outgoing = true
  }

  internal_rpc {
    verify_server_hostname = true
  }
}

acl {
  enabled        = true
  default_policy = "deny"
}

performance {
  raft_multiplier = 1
}
