# shellcheck shell=sh disable=SC2034,SC2086 # lists of words
# Stand-in for tiny-cloud's handler of #cloud-config, in the part that the tests use: user, bootcmd, write_files with
# plain text, package_update, packages, ssh_authorized_keys, runcmd. A list of commands fails when its last one does.

INIT_ACTIONS_MAIN=$(insert_before create_default_user userdata_user $INIT_ACTIONS_MAIN)
INIT_ACTIONS_MAIN=$(insert_after set_hostname "userdata_bootcmd userdata_write_files userdata_package_update userdata_packages" $INIT_ACTIONS_MAIN)
INIT_ACTIONS_MAIN=$(insert_after set_ssh_keys ssh_authorized_keys $INIT_ACTIONS_MAIN)
INIT_ACTIONS_FINAL="$INIT_ACTIONS_FINAL userdata_runcmd"

# get_userdata A/B/C
get_userdata() {
	# shellcheck disable=SC2046 # the words are the way to the value
	yx -f "$TINY_CLOUD_VAR/user-data" $(echo "$1" | tr / ' ') 2> /dev/null || :
}

run_commands() {
	for number in $(get_userdata "$1"); do
		sh -c "$(get_userdata "$1/$number")"
	done
}

init__userdata_user() {
	named=$(get_userdata user/name)
	CLOUD_USER=${named:-$CLOUD_USER}
}

init__userdata_bootcmd() {
	run_commands bootcmd
}

init__userdata_write_files() {
	for number in $(get_userdata write_files); do
		file=$ROOT$(get_userdata "write_files/$number/path")
		mkdir -p "$(dirname "$file")"
		get_userdata "write_files/$number/content" > "$file"
		mode=$(get_userdata "write_files/$number/permissions")
		owner=$(get_userdata "write_files/$number/owner")
		chmod "${mode:-0644}" "$file"
		chown "${owner:-root:root}" "$file"
	done
}

init__userdata_package_update() {
	[ "$(get_userdata package_update)" != true ] || apk update
}

init__userdata_packages() {
	wanted=
	for number in $(get_userdata packages); do
		wanted="$wanted $(get_userdata "packages/$number")"
	done
	[ -z "$wanted" ] || apk add $wanted
}

init__ssh_authorized_keys() {
	home=$ROOT$(getent passwd "$CLOUD_USER" | cut -d: -f6)
	for number in $(get_userdata ssh_authorized_keys); do
		get_userdata "ssh_authorized_keys/$number" >> "$home/.ssh/authorized_keys"
	done
}

init__userdata_runcmd() {
	run_commands runcmd
}
