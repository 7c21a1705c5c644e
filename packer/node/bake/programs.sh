#!/bin/sh
# Install the servers' programs, which Packer has copied to /tmp/programs.
set -eu

for program in consul nats-server nomad vault; do
  install -o root -g root -m 755 "/tmp/programs/$program" "/usr/local/bin/$program"
done
rm -rf /tmp/programs
