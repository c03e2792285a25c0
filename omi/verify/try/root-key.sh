# shellcheck shell=sh
# Gives root the very key that its user has, so that a login as root is refused for being root's and not for want of a
# key. The VM is thrown away afterwards. Whoever can't become root can't
# give it a key: then there is none to let it in. Needs: as_root (probe/00-begin.sh).
home=$(awk -F: -v user="$(id -un)" '$1 == user { print $6 }' /etc/passwd)
as_root install -d -m 700 /root/.ssh < /dev/null \
	&& as_root install -m 600 "$home/.ssh/authorized_keys" /root/.ssh/authorized_keys < /dev/null \
	&& echo "root_key=yes"
