#!/bin/sh
# Install PiCloud into an environment of its own, from the wheels in /tmp/wheels and nothing else.
set -eu

python=/opt/picloud/venv/bin/python
pip=$(echo /tmp/wheels/pip-*.whl)

python3 -m venv --without-pip /opt/picloud/venv
python3 "$pip/pip" --python "$python" install --quiet --no-index --find-links=/tmp/wheels \
  --no-cache-dir --root-user-action=ignore 'picloud[cli,server,hashicorp]'
ln -s /opt/picloud/venv/bin/picloud /usr/local/bin/picloud
rm -rf /tmp/wheels
