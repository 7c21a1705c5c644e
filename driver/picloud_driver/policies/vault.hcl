# What the API may do in Vault: use its own secrets, sign SSH certificates, renew its token, and renew and
# revoke what was minted for jobs, whose roles a policy of the operator's names. It neither lists secrets nor
# reads old versions: a stolen token gives access only to secrets of known names, and to leases of known ids.
path "picloud/data/*" { capabilities = ["create", "read", "update"] }
path "picloud/metadata/*" { capabilities = ["delete"] }
path "picloud-ssh/config/ca" { capabilities = ["read"] }
path "picloud-ssh/sign/job" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/revoke" { capabilities = ["update"] }
