# Nomad on servers; machine/nomad.json has addresses and the gossip key.
data_dir             = "/var/lib/picloud/nomad-server"
disable_update_check = true
log_level            = "WARN"

server {
  enabled         = true
  raft_multiplier = 1

  # Vault has copies of the keys that sign identities, so they are replaced by people only.
  root_key_rotation_threshold = "87600h"
}

acl {
  enabled = true
}

tls {
  http                   = true
  rpc                    = true
  ca_file                = "/etc/picloud/machine/secrets/ca.pem"
  cert_file              = "/etc/picloud/machine/secrets/cert.pem"
  key_file               = "/etc/picloud/machine/secrets/key.pem"
  verify_server_hostname = true
  verify_https_client    = true
}

# Consul is for the API: Nomad neither registers there nor finds its servers by it.
consul {
  auto_advertise   = false
  server_auto_join = false
  client_auto_join = false
}
