#!/bin/sh
# Make the secrets of a new cluster: an authority, certificates, gossip keys, and a token of NATS.
#
#   packer/make-secrets.sh [--renew | --replace | --end] DIR
#
# DIR/servers, DIR/api and DIR/clients have what each kind of machine reads. DIR/ca.key.pem signs new
# certificates: keep it elsewhere. What exists stays; with --renew, all certificates and their keys are
# made again, by the newest authority, and the API gets the newest token of NATS. --replace makes
# another authority and another token, besides those that are in use; --end ends the old ones.
set -eu
umask 077

step=
case ${1:-} in
  --renew | --replace | --end)
    step=${1#--}
    shift
    ;;
esac
dir=${1:?'name the directory of the secrets'}
names=picloud-servers
mkdir -p "$dir"
cd "$dir"
mkdir -p servers api clients

new_key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2> /dev/null
}

# Usage: new_authority; the certificates of older ones stay in ca.pem, behind its own.
new_authority() {
  new_key ca.key.part
  openssl req -x509 -new -key ca.key.part -sha256 -days 3650 \
    -subj "/CN=PiCloud authority $(openssl rand -hex 4)" \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign \
    -out ca.part
  [ ! -e ca.pem ] || cat ca.pem >> ca.part
  mv ca.key.part ca.key.pem
  mv ca.part ca.pem
}

if [ "$step" = replace ] && [ -e servers/nats-token-old ]; then
  echo "The last replacement has not ended: run this with --renew, and then with --end." >&2
  exit 1
fi
if [ ! -e ca.pem ] || [ "$step" = replace ]; then
  new_authority
fi
if [ "$step" = end ]; then
  openssl x509 -in ca.pem -out ca.part # the first one of them
  for kind in servers clients api; do
    if ! openssl verify -CAfile ca.part "$kind/cert.pem" > /dev/null 2>&1; then
      rm ca.part
      echo "The certificate of $kind is by an old authority: run this with --renew first." >&2
      exit 1
    fi
  done
  mv ca.part ca.pem
  rm -f servers/nats-token-old
fi

# Usage: certificate KIND NAMES PURPOSES
certificate() {
  if [ -e "$1/cert.pem" ] && [ "$step" != renew ]; then
    return
  fi
  new_key "$1/key.part"
  openssl req -new -key "$1/key.part" -subj "/CN=$1" -out "$1/request"
  cat > "$1/extensions" << END
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = $3
subjectAltName = $2
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
  openssl x509 -req -in "$1/request" -CA ca.pem -CAkey ca.key.pem -CAcreateserial -sha256 \
    -days 730 -extfile "$1/extensions" -out "$1/cert.part" 2> /dev/null
  mv "$1/key.part" "$1/key.pem"
  mv "$1/cert.part" "$1/cert.pem"
  rm "$1/request" "$1/extensions"
}

# Usage: random FILE BYTES
random() {
  [ -e "$1" ] || openssl rand -base64 "$2" > "$1"
}

certificate servers "DNS:$names, DNS:*.$names, DNS:server.dc1.consul, DNS:server.global.nomad" 'serverAuth, clientAuth'
certificate clients 'DNS:client.global.nomad' 'serverAuth, clientAuth'
# An API machine may be a client of Nomad, which then starts the API.
certificate api 'DNS:api.picloud, DNS:client.global.nomad' 'serverAuth, clientAuth'
random servers/consul-gossip 32
random servers/nomad-gossip 32
if [ "$step" = replace ]; then
  # The API keeps the old one until servers know both.
  mv servers/nats-token servers/nats-token-old
  openssl rand -hex 20 > servers/nats-token
else
  [ -e servers/nats-token ] || openssl rand -hex 20 > servers/nats-token
  cp servers/nats-token api/nats-token
fi
for kind in servers api clients; do
  cp ca.pem "$kind/ca.pem"
done
