# shellcheck shell=sh disable=SC2034 # tiny-cloud's imds reads the IMDS_ names
# OUTSCALE for tiny-cloud's client of the metadata service: EC2's paths, first version, without a token.
# Needs: what tiny-cloud's bin/imds has set before it reads this, OUTSCALE_METADATA of /etc/tiny-cloud.conf.
# Leaves: _imds and the functions around it, and the paths, as bin/imds wants them.
#
# The service may come up after the VM: where it does not answer it is asked again for OUTSCALE_SECONDS, while an entry
# that it says it doesn't have (404) is taken at its word, but for the instance's id. What came unanswered is noted in
# OUTSCALE_UNANSWERED, for tiny-cloud goes on without it; init.sh, beside this one, leaves the set-up to the next boot.

: "${OUTSCALE_METADATA:=http://169.254.169.254/latest}"
: "${OUTSCALE_SECONDS:=120}"
: "${OUTSCALE_UNANSWERED:=/run/outscale-unanswered}"

IMDS_INSTANCE_ID="meta-data/instance-id"
IMDS_HOSTNAME="meta-data/local-hostname"
IMDS_LOCAL_HOSTNAME=$IMDS_HOSTNAME
IMDS_SSH_KEYS="meta-data/public-keys/0/openssh-key"

# _imds PATH: the entry below OUTSCALE_METADATA; 1 where there is none, 2 where the service does not answer.
_imds() {
	if [ "$1" = "$IMDS_HOSTNAME" ]; then
		_outscale_host_name
	else
		_outscale_ask "$1" && printf '%s\n' "$_outscale_answer"
	fi
}

# Keys as sshd reads them, with options and comment, whose bytes may be of any encoding. A page that some proxy sent
# instead is not an answer.
_imds_ssh_keys() {
	_outscale_ask "$IMDS_SSH_KEYS" || return
	[ -n "$_outscale_answer" ] || return 1
	_outscale_option='[A-Za-z0-9-]+(="([^"\\[:cntrl:]]|\\[^[:cntrl:]])*")?'
	_outscale_key='(ssh|ecdsa|sk)-[A-Za-z0-9@.-]+[[:blank:]]+[A-Za-z0-9+\/]+={0,3}'
	_outscale_comment='[[:blank:]]([[:blank:]]|[^[:cntrl:]])*'
	printf '%s\n' "$_outscale_answer" | LC_ALL=C sed -n -E -e 's/\r$//' -e 's/^[[:blank:]]+//' \
		-e "/^($_outscale_option(,$_outscale_option)*[[:blank:]]+)?$_outscale_key($_outscale_comment)?\$/p" \
		| LC_ALL=C grep . || _outscale_unanswered "$IMDS_SSH_KEYS"
}

# User data without the section that is addressed to OUTSCALE itself (docs.outscale.com: Configuring a VM with User Data
# and OUTSCALE Tags), which may stand before a script.
_imds_userdata() {
	_outscale_file=$(mktemp) || { _outscale_unanswered user-data; return; }
	_outscale_code=0
	_outscale_ask user-data "$_outscale_file" || _outscale_code=$?
	if [ "$_outscale_code" -eq 0 ] && [ -s "$_outscale_file" ]; then
		_outscale_without_section "$_outscale_file"
	fi
	rm -f "$_outscale_file"
	return "$_outscale_code"
}

# From the first line after the section that isn't empty; by its number, for what follows may be no text.
_outscale_without_section() {
	_outscale_first=1
	if head -n 1 "$1" | grep -q '^-----BEGIN OUTSCALE SECTION-----'; then
		_outscale_first=$(awk 'ended && $0 !~ /^\r?$/ { print NR; exit } /-----END OUTSCALE SECTION-----/ { ended = 1 }' "$1")
	fi
	tail -n "+${_outscale_first:-1}" "$1"
}

# The name up to its first dot can become the machine's, or there is none.
_outscale_host_name() {
	_outscale_ask "$IMDS_HOSTNAME" || return
	_outscale_name=$_outscale_answer
	_outscale_short=${_outscale_name%%.*}
	case "$_outscale_name" in
	*[!A-Za-z0-9.-]* | -* | .*) _outscale_short= ;;
	esac
	if [ -z "$_outscale_short" ] || [ "${#_outscale_short}" -gt 63 ]; then
		echo "the metadata service has a host name that is not valid" >&2
		return 1
	fi
	printf '%s\n' "$_outscale_name"
}

# _outscale_ask PATH [FILE]: asks until there is an answer; only the first entry that comes unanswered is waited for.
# Leaves _outscale_answer, the entry without the newlines at its end, or what was said instead of it; FILE takes an entry
# that may be no text.
_outscale_ask() {
	_outscale_end=$(($(_outscale_uptime) + OUTSCALE_SECONDS))
	[ ! -e "$OUTSCALE_UNANSWERED" ] || _outscale_end=0
	while :; do
		_outscale_result=0
		_outscale_get "$@" || _outscale_result=$?
		[ "$_outscale_result" -eq 2 ] || break
		[ "$(_outscale_uptime)" -lt "$_outscale_end" ] || break
		sleep 1
	done
	[ "$_outscale_result" -ne 2 ] || _outscale_unanswered "$1"
	return "$_outscale_result"
}

# _outscale_unanswered PATH: notes it, returns 2. Whoever else asks may not write there.
_outscale_unanswered() {
	(echo "$1" >> "$OUTSCALE_UNANSWERED") 2> /dev/null || :
	return 2
}

# _outscale_get PATH [FILE]: one question; busybox's own wget, whatever other the image has. Each instance has an id, so
# whoever knows none, or sends a page instead, is a proxy or not up yet.
_outscale_get() {
	_outscale_said=0
	_outscale_answer=$(busybox wget -q -T 5 -O "${2:--}" "$OUTSCALE_METADATA/$1" 2>&1) || _outscale_said=2
	case "$1=$_outscale_answer" in
	"$IMDS_INSTANCE_ID=" | "$IMDS_INSTANCE_ID="*[!A-Za-z0-9-]*) return 2 ;;
	*'server returned error: HTTP/'*' 404 '*) [ "$_outscale_said" -eq 0 ] || return 1 ;;
	esac
	return "$_outscale_said"
}

# Whole seconds since the kernel began.
_outscale_uptime() {
	cut -d. -f1 /proc/uptime
}
