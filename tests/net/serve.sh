# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# What tests with servers share; sourced behind lib.sh.

# start_serve [OPTIONS]: sets url and serve_pid. Not by pg(): the shell must know the server itself.
start_serve() {
	: >"$WORK/serve.out"
	nsenter --net="/run/netns/$PREFIX-s" "$PORTGUARD" --state "$STATE" serve "$@" \
		>"$WORK/serve.out" 2>"$WORK/serve.err" &
	serve_pid=$!
	wait_for "serve" grep -q '^Serving' "$WORK/serve.out" || cat "$WORK/serve.err"
	url=$(sed -n 's|^Serving on \(.*\)/$|\1|p' "$WORK/serve.out")
}

stop_serve() {
	kill "$serve_pid"
	wait "$serve_pid"
}

# start_nginx [ADDRESS:]PORT…: a web server in the server's namespace
start_nginx() {
	local port

	mkdir -p "$WORK/www" "$WORK/tmp"
	head -c 200000 /dev/zero >"$WORK/www/file"
	cat >"$WORK/nginx.conf" <<-CONF
	daemon off;
	pid $WORK/nginx.pid;
	error_log $WORK/error.log;
	events {}
	http {
		access_log off;
		client_body_temp_path $WORK/tmp;
		proxy_temp_path $WORK/tmp;
		fastcgi_temp_path $WORK/tmp;
		uwsgi_temp_path $WORK/tmp;
		scgi_temp_path $WORK/tmp;
		server { $(printf 'listen %s; ' "$@") root $WORK/www; }
	}
	CONF
	chmod 755 "$WORK"
	in_ns s nginx -c "$WORK/nginx.conf" >/dev/null 2>&1 &
	for port in "$@"; do
		wait_for "nginx" listening s tcp "${port##*:}" || skip_all "nginx does not start: $(cat "$WORK/error.log")"
	done
}
