# shellcheck shell=sh
# When the boot's stages ended: by the kernel's own clock, and of each service by the time of OpenRC's mark.
echo "uptime=$(cut -d' ' -f1 /proc/uptime)"
# the folder of a process is made when it is looked at, so its time is the time now, finer than date's
echo "clock=$(stat -c '%Y %y' /proc/self/)"
as_root dmesg 2> /dev/null | awk '
	/Run \/init as init process/ && !init { init = 1; print "stage=kernel " $0 }
	/EXT4-fs .*mounted filesystem/ && !root { root = 1; print "stage=initramfs " $0 }'
stat -c 'mark=%n %Y %y' /run/openrc/started/* 2> /dev/null | sed 's|/run/openrc/started/||'
