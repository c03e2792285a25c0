#!/bin/sh
# Run last while profiles/test.yaml is built, in the folder that holds what `setup_copy` names.
set -eu
[ ! -e not-wanted ]
[ -x folder/run.sh ]
[ ! -x folder/conf.d/plain ]
sh folder/run.sh >> marker
install -m 600 marker "$TARGET/etc/omi-test-marker"
sed -i 's/-N/-N -l/' "$TARGET/etc/conf.d/ntpd"
printf '#!/sbin/openrc-run\nstart() { return 0; }\n' > "$TARGET/etc/init.d/omi-test"
chmod 755 "$TARGET/etc/init.d/omi-test"
chroot "$TARGET" /bin/grep -q '^nameserver ' /etc/resolv.conf
