#!/bin/sh
# The page is served, and nginx's workers are not root.
set -eu
wget -q -O - http://127.0.0.1/ | grep -q "<h1>A page of the image's own</h1>"
# shellcheck disable=SC2009 # busybox's pgrep knows no user
ps -o user,args | grep -q '^nginx .*worker process'
echo 'web: all is as it should be'
