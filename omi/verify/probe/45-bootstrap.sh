# shellcheck shell=sh
# Whether this instance was set up: what the metadata service says, and what the machine made of it; SSH host keys, by
# name.
for key in /etc/ssh/ssh_host_*_key.pub; do
	[ -e "$key" ] && echo "host_key=${key##*/}"
done
if [ -e /etc/tiny-cloud.conf ]; then
	bootstrap=tiny-cloud
	known=/var/lib/cloud/instance-id
	status() { tiny-cloud --bootstrap status 2> /dev/null; }
elif command -v cloud-init > /dev/null; then
	bootstrap=cloud-init
	known=/var/lib/cloud/data/instance-id
	status() { cloud-init status 2> /dev/null | sed -n 's/^status: done$/complete/p'; }
else
	bootstrap=
fi
echo "bootstrap=$bootstrap"

# metadata ENTRY: what the metadata service says, OUTSCALE's as EC2's
metadata() {
	wget -q -T 10 -O - "http://169.254.169.254/latest/meta-data/$1" 2> /dev/null
}

if [ -n "$bootstrap" ]; then
	echo "bootstrap_status=$(status)"
	echo "known_instance=$(head -n 1 "$known" 2> /dev/null)"
	echo "metadata_instance=$(metadata instance-id)"
	echo "known_host_name=$(hostname)"
	echo "metadata_host_name=$(metadata local-hostname)"
	key=$(metadata public-keys/0/openssh-key | head -n 1 | cut -d' ' -f1,2)
	if [ -n "$key" ] && grep -qF "$key" ~/.ssh/authorized_keys 2> /dev/null; then
		echo "key_taken=yes"
	fi
fi
