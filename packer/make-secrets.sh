#!/bin/sh
# Make the secrets of a new cluster: an authority, certificates, gossip keys, and a token of NATS.
#
#   packer/make-secrets.sh [--renew] DIR
#
# DIR/servers, DIR/api and DIR/clients have what each kind of machine reads. DIR/ca.key.pem signs new
# certificates: keep it elsewhere. What exists stays; with --renew, all certificates and their keys are
# made again, by the same authority.
set -eu
umask 077

renew=
if [ "${1:-}" = --renew ]; then
  renew=yes
  shift
fi
dir=${1:?'name the directory of the secrets'}
names=picloud-servers
mkdir -p "$dir"
cd "$dir"
mkdir -p servers api clients

new_key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2> /dev/null
}

if [ ! -e ca.pem ]; then
  new_key ca.key.pem
  openssl req -x509 -new -key ca.key.pem -sha256 -days 3650 -subj '/CN=PiCloud authority' \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign \
    -out ca.part
  mv ca.part ca.pem
fi

# Usage: certificate KIND NAMES PURPOSES
certificate() {
  if [ -e "$1/cert.pem" ] && [ -z "$renew" ]; then
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
[ -e servers/nats-token ] || openssl rand -hex 20 > servers/nats-token
cp servers/nats-token api/nats-token
for kind in servers api clients; do
  cp ca.pem "$kind/ca.pem"
done
