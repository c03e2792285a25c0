#!/bin/sh
# Puts the page and its site into the image, in place of the site that Alpine's nginx brings.
set -eu
install -D -m 644 page.html "$TARGET/var/www/localhost/htdocs/index.html"
install -D -m 644 site.conf "$TARGET/etc/nginx/http.d/default.conf"
