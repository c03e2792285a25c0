# shellcheck shell=sh disable=SC2034
# Stand-in for tiny-cloud's handler of user data that is a script: it runs last.

init__run_userdata() {
	chmod u+x "$TINY_CLOUD_VAR/user-data"
	{
		userdata_code=0
		"$TINY_CLOUD_VAR/user-data" 2>&1 || userdata_code=$?
		echo "$userdata_code" > "$TINY_CLOUD_LOGS/user-data.exit"
	} | tee "$TINY_CLOUD_LOGS/user-data.log"
	return "$(cat "$TINY_CLOUD_LOGS/user-data.exit")"
}

INIT_ACTIONS_FINAL="$INIT_ACTIONS_FINAL run_userdata"
