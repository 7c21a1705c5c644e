#!/bin/sh
# Fail unless the image has what its machines need, in the versions that were tested.
set -eu

check() {
  if ! "$1" "$2" | grep -qE "(^|[^0-9.])v?$3($|[^0-9.])"; then
    echo "$1 is not version $3: $("$1" "$2")" >&2
    exit 1
  fi
}

check consul version "$CONSUL"
check nats-server --version "$NATS"
check nomad version "$NOMAD"
check vault version "$VAULT"
picloud --version
/opt/picloud/venv/bin/python -P -c 'import boto3, picloud_api.wiring, picloud_worker.supervisor.supervisor'
for name in configure control_plane interruption; do
  /opt/picloud/venv/bin/python -P "/opt/picloud/boot/$name.py" --help > /dev/null
done
