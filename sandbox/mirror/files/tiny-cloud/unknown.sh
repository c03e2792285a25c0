# shellcheck shell=sh disable=SC2034
# Stand-in for tiny-cloud's handler of user data that it can't read.

init__unknown_userdata() {
	log -i warn "the user data is of no type that is known here"
}

INIT_ACTIONS_MAIN="unknown_userdata $INIT_ACTIONS_MAIN"
