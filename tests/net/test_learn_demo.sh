#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portguard learn` in the demo's own lab, on its traffic: nginx with TLS, sshd, dnsmasq and ping, and
# its scan. Under the policy that was learnt the clients go on, and nmap finds nothing else.
. "$(dirname "$0")/lib.sh"

need curl nginx openssl dig dnsmasq ssh sshd ssh-keygen nmap ping ss tc jq
rmdir "$WORK"
PG_DEMO_SANDBOX=1 # lib.sh has made one
. "$ROOT/packaging/demo.sh"
# Of demo.sh from here on: WORK, on, the lab, and who clears it away.
trap '[ "$failed" = 0 ]; cleanup' EXIT

sandbox
build_lab
on client ip addr add 10.77.0.3/24 dev eth0
on server ip neigh replace 10.77.0.3 lladdr 02:77:00:00:00:02 nud permanent dev eth0
start_nginx
start_sshd
start_dns
wait_for_servers
scan() { # [OPTIONS OF NMAP]
	on client nmap -n -Pn --send-ip --disable-arp-ping -sS --max-retries 1 "$@" \
		-p 20-25,53,80,110,143,443,3306,8080 "$SERVER" | grep -oE '^[0-9]+/tcp +[a-z]+' | tr -s ' '
}
legitimate() {
	on client curl -sS --max-time 15 "http://$SERVER/"
	on client curl -sSk --max-time 15 "https://$SERVER/"
	on client dig +short +tries=1 +timeout=10 "@$SERVER" www.example.test
	# The demo's sshd lets nobody in, but says so in the language of SSH.
	on client ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o LogLevel=ERROR -o ConnectTimeout=15 "root@$SERVER" true 2>&1 | grep -o 'Permission denied'
	on client ping -q -c 1 -W 10 "$SERVER" | grep -o '1 received'
}
WORKS="hello from nginx
hello from nginx
$SERVER
Permission denied
1 received"

before_the_filter >"$WORK/before" 2>&1 || fail "the demo's first part" "$(cat "$WORK/before")"
portguard() {
	on server "$PORTGUARD" "$@"
}
expect_ok "attach" portguard attach eth0
expect_ok "track" portguard track on
# However slow the machine is: all of it is still there when it is asked about.
expect_ok "timeouts" portguard set-timeout tcp_close 600 tcp_syn_sent 600 udp 600 icmp 600 tcp_time_wait 600
expect "the clients work" "$(legitimate)" "$WORKS"
before=$(scan)
expect "nmap finds what is open" "$(grep -c ' open$' <<<"$before") $(grep -c ' closed$' <<<"$before")" "4 9"

portguard learn >"$WORK/learnt" || fail "learn"
expect "rules" "$(grep -oE '^-A INPUT .*(dport|type 8).*' "$WORK/learnt" | sort)" "$(sort <<E
-A INPUT -s $CLIENT/32 -p icmp -m icmp --icmp-type 8/0 -j ACCEPT
-A INPUT -s $CLIENT/32 -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -s $CLIENT/32 -p tcp -m tcp --dport 80 -j ACCEPT
-A INPUT -s $CLIENT/32 -p tcp -m tcp --dport 443 -j ACCEPT
-A INPUT -s $CLIENT/32 -p udp -m udp --dport 53 -j ACCEPT
E
)"
expect_ok "the policy that was learnt" portguard restore "$WORK/learnt"
expect "the clients work as before" "$(legitimate)" "$WORKS"
dropped=$(counted dropped)
expect "nmap finds nothing but what its host uses" "$(scan | grep -v ' filtered$')" \
	$'22/tcp open\n80/tcp open\n443/tcp open'
expect "its other packets were dropped" "$(($(counted dropped) - dropped >= 10))" 1
expect "from elsewhere it finds nothing" "$(scan -S 10.77.0.3 -e eth0 | sort | uniq -c | grep -vc ' filtered$')" 0
expect "the clients work still" "$(legitimate)" "$WORKS"
summary
