# Vault on servers; machine/vault.json has addresses, the storage and the seal.
disable_mlock = true
log_level     = "warn"

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file   = "/etc/picloud/machine/secrets/cert.pem"
  tls_key_file    = "/etc/picloud/machine/secrets/key.pem"

  # Who reaches Vault needs no token to initialize it, or to start a rekey.
  tls_require_and_verify_client_cert = true
  tls_client_ca_file                 = "/etc/picloud/machine/secrets/ca.pem"
}
