# shellcheck shell=sh disable=SC2154 # dhcpcd sets interface and new_interface_mtu
# dhcpcd-run-hooks(8) reads this after each change of an interface.
#
# dhcpcd gives the MTU of DHCP to the routes alone. The interface takes it here, for packets that are larger than the
# interface's own MTU may be lost.

if [ -n "${new_interface_mtu-}" ] && [ "$(cat "/sys/class/net/$interface/mtu")" != "$new_interface_mtu" ]; then
	ip link set dev "$interface" mtu "$new_interface_mtu" || syslog err "$interface can't have the MTU $new_interface_mtu"
fi
