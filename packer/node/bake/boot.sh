#!/bin/sh
# Install what runs when a machine boots, and the users that servers and slots run as.
set -eu
umask 022

nologin=/usr/sbin/nologin
useradd --system --user-group --home-dir /var/lib/picloud --shell "$nologin" picloud
useradd --system --user-group --home-dir /nonexistent --shell "$nologin" picloud-slot

mkdir -p /opt/picloud/boot /etc/picloud /etc/systemd/system
install -m 755 /tmp/node/boot/* /opt/picloud/boot/
install -m 644 /tmp/node/etc/* /etc/picloud/
install -m 644 /tmp/node/systemd/* /etc/systemd/system/
install -d -o picloud -g picloud -m 711 /var/lib/picloud
for name in consul vault nats nomad-server api; do
  install -d -o picloud -g picloud -m 700 "/var/lib/picloud/$name"
done
install -d -m 711 /var/lib/picloud/nomad-client
# All addresses that /etc/hosts has for a name are tried in turn.
echo 'multi on' > /etc/host.conf
rm -rf /tmp/node
