# shellcheck shell=sh
# Sockets as the kernel lists them: local address, remote address, state, in its own hexadecimal notation.
for kind in tcp tcp6 udp udp6; do
	[ -r "/proc/net/$kind" ] || continue
	awk -v kind="$kind" 'NR > 1 { print "socket=" kind, $2, $3, $4 }' "/proc/net/$kind"
done
