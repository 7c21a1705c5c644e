# What the API may do in Vault: use its own secrets, sign SSH certificates, and renew its token. It neither
# lists secrets nor reads old versions: a stolen token gives access only to secrets of known names.
path "picloud/data/*" { capabilities = ["create", "read", "update"] }
path "picloud/metadata/*" { capabilities = ["delete"] }
path "picloud-ssh/config/ca" { capabilities = ["read"] }
path "picloud-ssh/sign/job" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
