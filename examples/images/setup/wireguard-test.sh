#!/bin/sh
# The gateway listens by a key of its own, forwards, and a peer can be added.
set -eu
test "$(doas wg show wg0 listen-port)" = 51820
doas test -s /etc/wireguard/key
test "$(doas stat -c '%U %a' /etc/wireguard/key)" = 'root 600'
test "$(cat /proc/sys/net/ipv4/ip_forward)" = 1
doas nft list table ip wg_gateway | grep -q masquerade
peer=$(wg genkey | wg pubkey)
doas wg set wg0 peer "$peer" allowed-ips 10.99.0.2/32
ip route get 10.99.0.2 | grep -q 'dev wg0'
doas wg set wg0 peer "$peer" remove
echo 'wireguard: all is as it should be'
