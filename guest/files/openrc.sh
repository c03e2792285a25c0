# shellcheck shell=sh disable=SC2034 # OpenRC reads the names
# OpenRC reads this after /etc/rc.conf; after a change: rc-update -u
# What nobody waits for starts once SSH is open.
rc_acpid_after="sshd"
rc_chronyd_after="sshd"
rc_dmesg_after="sshd"
rc_ntpd_after="sshd"

# Where no cgroup filesystem is mounted (the service cgroups does it) these have nothing to do, and to find that out
# takes four processes at every service.
for _cgroup in /sys/fs/cgroup/*; do
	[ -e "$_cgroup" ] || unset -f cgroup_add_service cgroup_set_limits cgroup2_set_limits cgroup2_remove
	break
done
unset _cgroup
