# shellcheck shell=sh disable=SC2034 # OpenRC reads the names
# OpenRC reads this after /etc/rc.conf; after a change: rc-update -u
# What nobody waits for starts once SSH is open.
rc_acpid_after="sshd"
rc_chronyd_after="sshd"
rc_dmesg_after="sshd"
rc_ntpd_after="sshd"
