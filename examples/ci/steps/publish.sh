#!/bin/sh
# Commits what an update and sign.sh wrote for others (releases files, recorded releases) and pushes it to the branch.
#
#   publish.sh BRANCH
#
# GIT_TOKEN is for a remote whose address has no key in it. Needs no tools and no key of the cloud.
set -eu

[ $# -eq 1 ] || {
	echo "usage: $0 BRANCH" >&2
	exit 2
}
branch=$1

# The commit needs a name, and so does a rebase onto what others pushed meanwhile. A runner has none.
export GIT_AUTHOR_NAME='Image updates' GIT_AUTHOR_EMAIL=images@localhost
export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"

with_token() { # COMMAND...: of git; the token is in no argument and in no file
	# shellcheck disable=SC2016 # the helper's shell reads the variable
	git -c credential.helper= -c credential.helper='!f() {
		[ "$1" = get ] || exit 0; echo username=x-access-token; echo "password=$GIT_TOKEN"; }; f' "$@"
}

git add -- releases profiles/version
if git diff --cached --quiet; then
	echo 'ci: nothing new to publish'
	exit 0
fi
git commit --quiet --message 'Record releases and published images' --message '[skip ci]'
tries=3
until with_token pull --quiet --rebase --autostash origin "$branch" && with_token push --quiet origin "HEAD:$branch"; do
	tries=$((tries - 1))
	[ "$tries" -gt 0 ] || {
		echo "ci: $branch can't be pushed: may the CI push to it? docs/ci.md says how it may" >&2
		exit 1
	}
done
git show --stat --format='ci: published %h' HEAD
