# What every test cluster has in common; run_nomad.py adds ports, directories and the node's meta.

bind_addr            = "127.0.0.1"
disable_update_check = true
log_level            = "WARN"

server {
  enabled          = true
  bootstrap_expect = 1
  raft_multiplier  = 1
}

client {
  enabled           = true
  network_interface = "lo"

  options = {
    # The clouds' metadata addresses do not answer on a desk, and each is waited for. A Consul or a
    # Vault that happens to run on this machine belongs to somebody else.
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean,consul,vault"
  }
}

consul {
  auto_advertise   = false
  server_auto_join = false
  client_auto_join = false
}

plugin "raw_exec" {
  config {
    enabled = true
  }
}

plugin "docker" {
  config {
    gc {
      # Test images are in no registry: one that is collected is gone.
      image = false

      # It removes the containers of any other cluster on the same dockerd.
      dangling_containers {
        enabled = false
      }
    }
  }
}
