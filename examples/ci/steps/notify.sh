#!/bin/sh
# Sends one line to the chat whose webhook is NOTIFY_URL (Mattermost, Slack and others take {"text": …}).
set -eu

run=${CI_PIPELINE_URL:-${GITHUB_SERVER_URL:-}/${GITHUB_REPOSITORY:-}/actions/runs/${GITHUB_RUN_ID:-}}
text="The run for the images of ${STACK:-the stack} failed: $run"
if [ -z "${NOTIFY_URL:-}" ]; then
	echo "ci: NOTIFY_URL is not set, so only the CI's own mail says: $text"
	exit 0
fi
# The address is a secret: it comes by standard input, so that no argument holds it.
printf 'url = "%s"\n' "$NOTIFY_URL" | curl --config - --fail --silent --show-error --output /dev/null --max-time 60 \
	--retry 3 --header 'Content-Type: application/json' --data "{\"text\": \"$text\"}"
