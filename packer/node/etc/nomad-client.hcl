# Nomad on clients; machine/nomad.json has addresses, the core type and the number of slots.
data_dir             = "/var/lib/picloud/nomad-client"
disable_update_check = true
log_level            = "WARN"
leave_on_interrupt   = true

client {
  enabled = true

  # At SIGINT, which boot/interruption.py sends two minutes before AWS takes the machine away; at
  # SIGTERM, slots outlive the client.
  drain_on_shutdown {
    deadline           = "90s"
    ignore_system_jobs = true
  }

  options = {
    # A slot needs what `meta` says and no facts of clouds, each of which is waited for elsewhere.
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean,consul,vault"
    "driver.allowlist"     = "raw_exec"
  }
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
