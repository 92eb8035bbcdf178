#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portguard learn`: the demo's servers and clients, and its scan. What was learnt lets the clients in
# again and not the scan; the same from a capture of that traffic.
. "$(dirname "$0")/lib.sh"

need jq curl nginx dig dnsmasq nmap ss nc tcpdump perl
own_bpffs
two_namespaces

# The demo's lab: nginx on 80, dnsmasq on UDP 53, and a port where nobody ever says anything.
mkdir "$WORK/www"
echo "hello from nginx" >"$WORK/www/index.html"
chmod 755 "$WORK" "$WORK/www"
cat >"$WORK/nginx.conf" <<CONF
user root; daemon off; pid $WORK/nginx.pid; error_log $WORK/nginx.log;
events {}
http { access_log off; client_body_temp_path $WORK/t1; proxy_temp_path $WORK/t2;
	fastcgi_temp_path $WORK/t3; uwsgi_temp_path $WORK/t4; scgi_temp_path $WORK/t5;
	server { listen 10.77.0.1:80; listen [fd77::1]:80; listen 10.77.0.1:443; root $WORK/www; } }
CONF
in_ns s nginx -c "$WORK/nginx.conf" >"$WORK/out" 2>&1 &
in_ns s dnsmasq -k --conf-file=/dev/null --no-resolv --no-hosts --user=root --bind-interfaces \
	--listen-address=10.77.0.1 --pid-file="$WORK/dns.pid" --address=/www.example.test/10.77.0.1 \
	>"$WORK/dnsout" 2>&1 &
in_ns s nc -k -l 10.77.0.1 22 >/dev/null 2>&1 </dev/null &
in_ns c nc -k -l 10.77.0.2 3000 >/dev/null 2>&1 </dev/null &
# It hears, and never answers.
# shellcheck disable=SC2016
in_ns s perl -MIO::Socket::INET -e \
	'$s = IO::Socket::INET->new(Proto => "udp", LocalAddr => "10.77.0.1:514") or die; sleep 900' \
	>/dev/null 2>&1 </dev/null &
wait_for "servers" eval "listening s tcp 80 && listening s udp 53 && listening s udp 514 && \
	listening s tcp 22 && listening c tcp 3000"

get() {
	in_ns c curl -sS --max-time 15 "$1" 2>>"$WORK/curl"
}
ask_dns() {
	in_ns c dig +short +tries=1 +timeout=10 @10.77.0.1 www.example.test 2>/dev/null
}
scan() {
	in_ns c nmap -n -Pn --send-ip --disable-arp-ping -sS --max-retries 1 --host-timeout 60 \
		-p 20-25,53,80,110,143,443,3306,8080 10.77.0.1
}
legitimate() {
	echo "$(get http://10.77.0.1/) $(get 'http://[fd77::1]/') $(ask_dns)"
	in_ns c ping -c 1 -W 10 10.77.0.1 >/dev/null && echo pinged
}
WORKS="hello from nginx hello from nginx 10.77.0.1
pinged"

expect_exit "no instance" 1 'nothing is attached' pg s learn
expect_ok "attach" pg s attach pgs0
expect_exit "not tracked" 1 'track on' pg s learn
expect_ok "track" pg s track on
# However slow the machine is: what the scan leaves behind is still there when it is asked about.
pg s set-timeout tcp_close 600 tcp_syn_sent 600 udp 600 icmp 600 tcp_time_wait 600 >/dev/null
in_ns s tcpdump -i pgs0 -U -w "$WORK/all.pcap" >/dev/null 2>&1 &
capture=$!
wait_for "tcpdump" test -s "$WORK/all.pcap"
expect "the clients work" "$(legitimate)" "$WORKS"
scan >"$WORK/before"
expect "the scan finds what is open" "$(sed -n 's/^\([0-9]*\).* open .*/\1/p' "$WORK/before" | paste -sd,)" 22,53,80,443
in_ns c nc -z -w 2 10.77.0.1 22
in_ns c bash -c 'echo x >/dev/udp/10.77.0.1/514'
echo "out it goes" | in_ns s nc -N -w 2 10.77.0.2 3000

# From the instance ------------------------------------------------------------------------------------

expect_ok "learn" eval "pg s learn >'$WORK/learnt' 2>'$WORK/said'"
SPAN='seen at one moment, when the oldest connection was N s old: of those that had ended only counters tell.'
expect "how much it has seen" "$(sed 's/ [0-9]* s old/ N s old/' "$WORK/said")" \
	"portguard: $SPAN \`portguard learn --for 8h' watches"
expect "which stands in the file, too" "$(sed -n '2s/ [0-9]* s old/ N s old/p' "$WORK/learnt" | grep -cF "$SPAN")" 1
expect "rules" "$(grep -E '^#?-A INPUT .*(dport|type 8|-s )' "$WORK/learnt" | sort)" \
"$(printf '%s\n' '#-A INPUT -s 10.77.0.2/32 -p tcp -m tcp --dport 22 -j ACCEPT' \
	'#-A INPUT -s 10.77.0.2/32 -p udp -m udp --dport 514 -j ACCEPT' \
	'-A INPUT -s 10.77.0.2/32 -p icmp -m icmp --icmp-type 8/0 -j ACCEPT' \
	'-A INPUT -s 10.77.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT' \
	'-A INPUT -s 10.77.0.2/32 -p udp -m udp --dport 53 -j ACCEPT' \
	'-A INPUT -s fd77::2/128 -p tcp -m tcp --dport 80 -j ACCEPT' | sort)"
expect "who listens" "$(grep -c '^# 80/tcp http, nginx: 1 connection, 1 address' "$WORK/learnt")" 2
expect "what is its own" "$(grep 'has begun' "$WORK/learnt")" \
	"# Answers to what this host has begun: 1 connection to 1 service."
expect_ok "restore --test takes it" pg s restore --test "$WORK/learnt"
SCANNED=20,21,22,23,24,25,53,110,143,443,3306,8080
# Twelve ports of the scan; the thirteenth, 80, has clients.
# Of the ranges that the proposal's last lines have.
closed_ports() {
	sed -n 's/^#   in  *\([0-9-]*\)\/tcp: [0-9]*$/\1/p' "$1" | tr - ' ' |
		while read -r lo hi; do seq "$lo" "${hi:-$lo}"; done | sort -n | paste -sd,
}
expect "the scan's ports stay closed" "$(closed_ports "$WORK/learnt")" $SCANNED
expect "as ranges" "$(grep -cE '^#   in      20-25/tcp: [0-9]+$' "$WORK/learnt")" 1
expect "nothing moved" "$(pg s -S)" "$(printf -- '-P %s ACCEPT\n' INPUT FORWARD OUTPUT)"
pg s learn --output >"$WORK/output"
expect "what leaves" "$(grep -E '^-A OUTPUT .*dport' "$WORK/output")" \
	'-A OUTPUT -d 10.77.0.2/32 -p tcp -m tcp --dport 3000 -j ACCEPT'
expect "the difference" "$(pg s learn --diff | grep -E '^[-+]-P')" "$(printf '%s\n' '-'{-P\ INPUT,-P\ FORWARD}\ ACCEPT \
	'+'{-P\ INPUT,-P\ FORWARD}\ DROP)"
pg s -A INPUT -p tcp --dport 80 -j DROP
pg s learn --diff >"$WORK/diff" 2>/dev/null
expect "rules that only one of them has" "$(grep -E '^[-+]-A INPUT .*(dport|type 8)' "$WORK/diff" | sort)" \
"$(printf '%s\n' '--A INPUT -p tcp -m tcp --dport 80 -j DROP' \
	'+-A INPUT -s 10.77.0.2/32 -p icmp -m icmp --icmp-type 8/0 -j ACCEPT' \
	'+-A INPUT -s 10.77.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT' \
	'+-A INPUT -s 10.77.0.2/32 -p udp -m udp --dport 53 -j ACCEPT' \
	'+-A INPUT -s fd77::2/128 -p tcp -m tcp --dport 80 -j ACCEPT' | sort)"
# The scan's packet to port 80 is among them.
expect "what is in force drops" "$(sed -nE '/would drop/,/^the/s/^ +in +(.*): [0-9]+ conn.*$/\1/p' "$WORK/diff" | paste -sd,)" \
	"80/tcp http,80/tcp http"
expect "and how much of it" "$(sed -n 's/.*in force would drop: \([0-9]*\) of.*/\1/p' "$WORK/diff")" \
	"$(awk '/would drop/ { on = 1; next } /^the/ { exit } on { n += $4 } END { print n }' "$WORK/diff")"
expect "as JSON" "$(pg s learn --diff --json 2>/dev/null | jq -c '[(.diff.in_force_only | map(select(test("dport")))[]),
	(.diff.learnt_only | map(select(test("dport 53")))[]), (.diff.in_force_would_drop | map(.offer) | unique[])]')" \
	'["-A INPUT -p tcp -m tcp --dport 80 -j DROP","-A INPUT -s 10.77.0.2/32 -p udp -m udp --dport 53 -j ACCEPT","80/tcp http"]'
pg s -D INPUT -p tcp --dport 80 -j DROP
expect "JSON" "$(pg s learn --json | jq -c '[.seen[] | select(.proof == "talk") | [.way, .offer]] | unique')" \
	'[["in","53/udp domain"],["in","80/tcp http"],["in","icmp type 8"],["out","3000/tcp"]]'

expect_ok "the policy that was learnt" pg s restore "$WORK/learnt"
expect "the clients work as before" "$(legitimate)" "$WORKS"
scan >"$WORK/after"
expect "the scan does not" "$(grep -oE '^[0-9]+/tcp +open' "$WORK/after" | tr -s ' ')" "80/tcp open"
echo "again" | expect_ok "what it begins itself goes on" in_ns s nc -N -w 2 10.77.0.2 3000
expect_ok "with OUTPUT closed" pg s restore "$WORK/output"
expect "the clients work" "$(legitimate)" "$WORKS"
echo "again" | expect_ok "what it begins itself goes on" in_ns s nc -N -w 2 10.77.0.2 3000
expect "and nothing else" "$(in_ns s nc -z -w 1 10.77.0.2 3001 2>&1; echo $?)" 1

# Unused rules: the counters that did not move since the last change of the policy -------------------

printf '*filter\n-A INPUT -p tcp -m tcp --dport 80\n-A INPUT -p tcp -m tcp --dport 81\nCOMMIT\n' >"$WORK/two"
before=$(date +%s)
expect_ok "two rules" pg s restore "$WORK/two"
unused() {
	pg s learn --unused "$@" --json | jq -c '[.unused[] | [.rule, .packets]]'
}
expect "both are new" "$(unused)" '[[1,0],[2,0]]'
get http://10.77.0.1/ >/dev/null
expect "one was used" "$(unused)" '[[2,0]]'
expect "not for so long" "$(unused 1)" '[]'
expect "and that is said" "$(pg s learn --unused 1 2>&1 >/dev/null)" \
	"Nothing is unused: packets met every rule that is there for so long."
hits=$(pg s save -c | sed -n 's/^\[\([0-9]*\):.*dport 80$/\1/p')
expect_ok "a change" pg s -A INPUT -p tcp --dport 82
expect "the first has been quiet since" "$(unused)" "[[1,$hits],[2,0],[3,0]]"
expect_ok "the same file again" pg s restore "$WORK/two"
since=$(pg s learn --unused --json | jq '.unused[] | select(.rule == 2) | .unhit_since')
expect "keeps what is known" "$([ "$since" -ge "$before" ] && [ "$since" -le "$(date +%s)" ] && unused)" \
	"[[1,$hits],[2,0]]"
expect "for people" "$(pg s learn --unused | sed -n '4s/since.*(/since (/p')" \
	"    rule 2 of INPUT: never a packet, since (0 days)"
expect_exit "not days" 2 'number of days' pg s learn --unused=x
expect_exit "nor this" 2 "number of days, not 'foo'" pg s learn --unused foo

# A capture of it ----------------------------------------------------------------------------------------

kill $capture
wait $capture 2>/dev/null
expect_exit "whose capture" 2 'need --local' pg s learn "$WORK/all.pcap"
expect_ok "from a capture" eval \
	"pg s learn '$WORK/all.pcap' --local 10.77.0.1,fd77::/127 --output >'$WORK/pcap' 2>'$WORK/said'"
expect "the same rules" "$(grep -E '^-A' "$WORK/pcap" | sort)" "$(grep -E '^-A' "$WORK/output" | sort)"
expect "and what it drops" "$(closed_ports "$WORK/pcap")" $SCANNED
frames=$(sed -n 's/^# Of \([0-9]*\) frames: .*/\1/p' "$WORK/pcap")
expect "its frames were tried" "$(pg s replay "$WORK/all.pcap" --local 10.77.0.1,fd77::/127 --json | jq .frames)" \
	"$frames"
expect "and so does replay" "$(pg s replay "$WORK/all.pcap" --local 10.77.0.1,fd77::/127 --policy "$WORK/pcap" \
	--json | jq '.verdicts.drop')" "$(sed -n 's/^# Of [0-9]* frames: //p' "$WORK/pcap")"

# Over a time -----------------------------------------------------------------------------------------

expect_ok "watch" pg s detach --all
expect_ok "attach" pg s attach pgs0
expect_ok "track" pg s track on
nsenter --net="/run/netns/$PREFIX-s" "$PORTGUARD" --state "$STATE" learn --for 60 >"$WORK/watched" 2>&1 &
watch=$!
get http://10.77.0.1/ >/dev/null
wait_for "the connection" eval '[ "$(pg s flows --port 80 --json | jq ".flows | length")" -gt 0 ]'
kill -INT $watch
wait $watch
expect "what it saw until it was ended" "$(grep -E '^-A INPUT .*dport' "$WORK/watched")" \
	'-A INPUT -s 10.77.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT'
expect "how long" "$(grep -cE '^# That is, seen in [0-9]+ s\.$' "$WORK/watched")" 1

# What has ended: of that only counters tell. What is still open would be adopted.
pg s flows --kill --all --force >/dev/null
expect_ok "anew" pg s detach --all
expect_ok "attach" pg s attach pgs0
expect_ok "track" pg s track on
pg s set-timeout udp 1 udp_stream 1 icmp 1 >/dev/null
expect "a question" "$(ask_dns)" 10.77.0.1
wait_for "its end" eval '[ "$(pg s flows --json | jq ".flows | length")" = 0 ]'
pg s learn >"$WORK/ended" 2>/dev/null
expect "a service that only counters know" "$(grep -B1 -E '^#?-A INPUT .*dport 53' "$WORK/ended")" \
"# 53/udp domain, dnsmasq: 1 datagram, of which no more is known
#-A INPUT -p udp -m udp --dport 53 -j ACCEPT"
expect "pings are not known of" "$(grep -A1 '^# Pings' "$WORK/ended" | tail -n 1)" \
	'#-A INPUT -p icmp -m icmp --icmp-type 8/0 -j ACCEPT'
expect "what it would drop is not known" "$(pg s learn --diff 2>/dev/null | tail -n 2)" \
"Not proven, and closed by the proposal: 1 service; \`learn' names it as comments
No connection was seen: what either of them would drop cannot be said"

refused() {
	local pattern=$1
	shift
	expect_exit "refused: $*" 2 "$pattern" pg s learn "$@"
}
refused '--for takes' --for x
refused '--peers takes' --peers 0
refused 'go with captures only' --local 10.0.0.1
refused 'does not go with captures' x.pcap --local 10.0.0.1 --for 3

summary
