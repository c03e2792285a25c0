# shellcheck shell=sh disable=SC2034
# Stand-in for tiny-cloud's handler of user data that is a script: it runs last.

init__run_userdata() {
	chmod u+x "$TINY_CLOUD_VAR/user-data"
	userdata_code=0
	"$TINY_CLOUD_VAR/user-data" > "$TINY_CLOUD_LOGS/user-data.log" 2>&1 || userdata_code=$?
	echo "$userdata_code" > "$TINY_CLOUD_LOGS/user-data.exit"
	return "$userdata_code"
}

INIT_ACTIONS_FINAL="$INIT_ACTIONS_FINAL run_userdata"
