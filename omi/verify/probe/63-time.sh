# shellcheck shell=sh
# time_server=NAME FILE: where the clock is set from, by the settings of ntpd and chrony.
{
	for file in "$TOP/etc/ntp.conf" "$TOP/etc/ntpd.conf" "$TOP"/etc/chrony/*.conf "$TOP"/etc/chrony/*.d/*; do
		[ -f "$file" ] || continue
		awk -v file="$file" '
			$1 ~ /^(servers?|pool|peer)$/ { print $2, file }
			$1 == "initstepslew" { for (i = 3; i <= NF; i++) print $i, file }
		' "$file"
	done
	sed 's/#.*//; s/"/ /g' "$TOP/etc/conf.d/ntpd" 2> /dev/null | awk -v file="$TOP/etc/conf.d/ntpd" '
		{ for (i = 1; i < NF; i++) if ($i == "-p") print $(i + 1), file }
	'
} | sed "s| $TOP/etc/| /etc/|; s/^/time_server=/"
