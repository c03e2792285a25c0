# shellcheck shell=sh disable=SC2034
# Stand-in for tiny-cloud's handler of user data that isn't there.

init__missing_userdata() {
	log -i notice "there is no user data"
}

INIT_ACTIONS_MAIN="missing_userdata $INIT_ACTIONS_MAIN"
