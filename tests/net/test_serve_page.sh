#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The page of portguard serve in a browser: what it shows is what was sent, by mouse and by keyboard, in
# light and dark, on a phone, and axe has nothing to say. Screenshots: .output/serve/
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"
need curl jq nc nginx node npm chromium
own_bpffs

# playwright-core and axe-core, as tests/web/package-lock.json has them, once for each of it.
modules=$ROOT/.output/tests/web
if ! cmp -s "$ROOT/tests/web/package-lock.json" "$modules/installed"; then
	mkdir -p "$modules" && cp "$ROOT"/tests/web/package*.json "$modules"
	(cd "$modules" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund) >"$WORK/npm" 2>&1 ||
		skip_all "npm does not get playwright-core and axe-core: $(tail -n 1 "$WORK/npm")"
	cp "$ROOT/tests/web/package-lock.json" "$modules/installed"
fi

# tell FILE: what a script has looked at
tell() {
	while read -r line; do
		case $line in
		"ok: "*) pass "${line#ok: }" ;;
		"not ok: "*) fail "${line#not ok: }" ;;
		*) echo "    $line" ;;
		esac
	done <"$1"
}

cp "$ROOT/user/web/model.js" "$WORK/model.mjs"
node "$ROOT/tests/web/model.mjs" "$WORK/model.mjs" >"$WORK/model" 2>&1
expect "the page's numbers" $? 0
tell "$WORK/model"

two_namespaces
start_nginx 443 80

# A policy as people have it, with a comment that is nobody's markup.
cat >"$WORK/policy" <<'RULES'
*filter
:INPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 443 -m comment --comment "<b>web</b>" -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -m comment --comment "no resolver here" -j DROP
-A INPUT -p tcp -m tcp --dport 80 -j DROP
-A INPUT -p tcp -m tcp --dport 8443 -m comment --comment "used to -j DROP it" -j ACCEPT
COMMIT
RULES
expect_ok "attach" pg s attach pgs0 --mode tc
expect_ok "a policy" pg s restore "$WORK/policy"
start_serve --listen 127.0.0.1:0

for _ in 1 2 3 4 5; do
	in_ns c curl -sS --max-time 10 -o /dev/null http://10.77.0.1:443/file || fail "curl"
done
in_ns c "$TOOLS/net/send" pgc0 udp53 1234
in_ns c "$TOOLS/net/send" pgc0 bad-checksum 7
in_ns c "$TOOLS/net/send" pgc0 tcp80 12
wait_for "all of it" eval '[ "$(reason_count s bad-checksum)" = 7 ]'
in_ns c timeout 2 nc -z -w 1 10.77.0.1 8443 # is let in, and nobody is there
sleep 0.3 # the last FINs

# Beside the numbers that were sent, those that only the kernel could know: ports' own.
pg s ports --json | jq '{
	ports: {
		"443/tcp": (.ports[] | select(.proto == "tcp" and .port == 443) |
			{In: .in.packets, Out: .out.packets, Dropped: (.in.dropped + .out.dropped), SYN: .flags.syn, RST: .flags.rst} |
			map_values(tostring)),
		"53/udp": {In: "1,234", Out: "0", Dropped: "1,234"},
		"80/tcp": {In: "19", Out: "0", Dropped: "19", SYN: "19"}},
	drops: {"rule 3 of INPUT": "1,234", "rule 4 of INPUT": "12", "bad-checksum": "7"},
	rules: {"no resolver here": "1,234", "--dport 80": "12"},
	last_drop: ["rule", "10.77.0.1:80", "S"],
	marks: {"80/tcp": "closed", "8443/tcp": "unused"},
	most_dropped: "53/udp"}' >"$WORK/expect.json"
expect "five connections" "$(jq -r '.ports["443/tcp"].SYN' "$WORK/expect.json")" 10

# Packets that cost something, once the page has said that it knows of no cost.
measured() {
	until grep -q 'ok: and why' "$WORK/page" 2>/dev/null; do sleep 0.2; done
	pg s top --batch --cost -n 0 >/dev/null &
	while sleep 0.2; do in_ns c "$TOOLS/net/send" pgc0 udp53 5; done
}
measured &
measured_pid=$!
output=$ROOT/.output/serve
mkdir -p "$output"
TMPDIR=$WORK HOME=$WORK PG_NODE_MODULES=$modules in_ns s timeout 240 \
	node "$ROOT/tests/web/page.mjs" "$url" "$output" "$WORK/expect.json" >"$WORK/page" 2>&1
rc=$?
kill $measured_pid
tell "$WORK/page"
expect "the browser" $rc 0
stop_serve
expect "serve has nothing to say" "$(cat "$WORK/serve.err")" ""
summary
