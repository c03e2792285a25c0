#!/bin/sh
# Puts the gateway's service and its rules into the image. No key is in it.
set -eu
install -D -m 755 service "$TARGET/etc/init.d/wg-gateway"
install -D -m 644 settings "$TARGET/etc/conf.d/wg-gateway"
install -D -m 644 nat "$TARGET/etc/wireguard/nat.nft"
install -m 600 /dev/null "$TARGET/etc/wireguard/peers.conf"
# Empty: the service writes each VM's own key into it. The check of the image finds no file that the build didn't make.
install -m 600 /dev/null "$TARGET/etc/wireguard/key"
chmod 700 "$TARGET/etc/wireguard"
