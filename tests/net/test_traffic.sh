#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Real traffic through the filter in every mode, with exact counts: the client's own iptables count
# what it sends, packet by packet, and every one of them must be found again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"

need jq nc curl nginx nmap iptables-legacy iptables-legacy-save
own_bpffs
two_namespaces

start_nginx 443 80 '[::]:443'

# What the client sends to each port and what it gets from 443, as packets:bytes.
reference() {
	in_ns c iptables-legacy-save -c -t raw | grep -F -- "$1" | grep -oE '^\[[0-9:]+\]' | tr -d '[]'
}

start_reference() {
	in_ns c iptables-legacy -w -t raw -F
	in_ns c iptables-legacy -w -t raw -A OUTPUT -d 10.77.0.1/32 -p tcp -m tcp --dport 443
	in_ns c iptables-legacy -w -t raw -A OUTPUT -d 10.77.0.1/32 -p tcp -m tcp --dport 80
	in_ns c iptables-legacy -w -t raw -A OUTPUT -d 10.77.0.1/32 -p tcp
	in_ns c iptables-legacy -w -t raw -A OUTPUT -d 10.77.0.1/32 -p udp
	in_ns c iptables-legacy -w -t raw -A PREROUTING -s 10.77.0.1/32 -p tcp -m tcp --sport 443
}

pair() {
	json s ports "[.ports[] | select(.proto==\"$1\" and .port==$2)][0]$3 | \"\\(.packets):\\(.bytes)\""
}

cat >"$WORK/policy" <<RULES
*filter
:INPUT DROP [0:0]
-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT
-A INPUT -p tcp -m tcp --tcp-flags SYN,ACK SYN
-A INPUT -p tcp -m tcp --dport 80 -j DROP
-A INPUT -p tcp -j DROP
COMMIT
RULES

# No ARP of nmap's own, and no patience: what is dropped gives no answer.
nmap=(-n -Pn --disable-arp-ping --send-ip --max-retries 0 --initial-rtt-timeout 50ms
	--max-rtt-timeout 100ms)

for mode in native skb tc; do
	expect_ok "attach in $mode mode with a policy" pg s attach pgs0 --mode $mode \
		--policy "$WORK/policy"
	start_reference
	expect "443 is served in $mode mode" "$(in_ns c curl -s -m 10 -o /dev/null -w \
		'%{size_download}' http://10.77.0.1:443/file)" 200000
	expect_fail "80 is not, in $mode mode" in_ns c curl -s -m 2 -o /dev/null \
		http://10.77.0.1:80/file
	in_ns c nmap "${nmap[@]}" -sS -p 1-100 10.77.0.1 >"$WORK/nmap" 2>&1
	expect "nmap finds nothing open below 101 in $mode mode" \
		"$(grep -cE '^[0-9]+/tcp +(open|closed)' "$WORK/nmap")" 0
	in_ns c nmap "${nmap[@]}" -sU -p 53,123 10.77.0.1 >/dev/null 2>&1
	# The connection's last packets may still be on their way.
	wait_for "the last packet" eval \
		'[ "$(pair tcp 443 .in)" = "$(reference "-p tcp -m tcp --dport 443")" ]'

	to443=$(reference "-p tcp -m tcp --dport 443")
	to80=$(reference "-p tcp -m tcp --dport 80")
	all=$(in_ns c iptables-legacy-save -c -t raw | grep -E -- '-p tcp$' | grep -oE '^\[[0-9:]+\]' |
		tr -d '[]')
	udp=$(in_ns c iptables-legacy-save -c -t raw | grep -E -- '-p udp$' | grep -oE '^\[[0-9:]+\]' |
		tr -d '[]')
	expect "the rule for 443 counts all packets in $mode mode" \
		"$(counted s "-p tcp -m tcp --dport 443 -j ACCEPT")" "$to443"
	expect "the rule for 80 counts all packets in $mode mode" \
		"$(counted s "-p tcp -m tcp --dport 80 -j DROP")" "$to80"
	expect "the last rule counts the rest in $mode mode" \
		"$(packets s "-p tcp -j DROP")" $((${all%:*} - ${to443%:*} - ${to80%:*}))
	expect "the policy counts UDP in $mode mode" "$(counted s policy)" "$udp"
	expect "port 443 counts arrivals in $mode mode" "$(pair tcp 443 .in)" "$to443"
	expect "port 443 counts departures in $mode mode" "$(pair tcp 443 .out)" \
		"$(reference "-p tcp -m tcp --sport 443")"
	expect "port 80 counts in $mode mode" "$(pair tcp 80 .in)" "$to80"
	expect "port 80 counts drops in $mode mode" "$(port_count s tcp 80 .in.dropped)" "${to80%:*}"
	expect "port 443 has no drops in $mode mode" "$(port_count s tcp 443 .in.dropped)" 0
	expect "a scanned port has its SYN in $mode mode" "$(port_count s tcp 7 .flags.syn)" 1
	expect "443 has the SYN of both ends in $mode mode" "$(port_count s tcp 443 .flags.syn)" 2
	expect "and the FIN of both ends in $mode mode" "$(port_count s tcp 443 .flags.fin)" 2
	# SYNs to all ports but 443 (accepted before) are counted by the rule without target.
	expect "a rule without target counts and goes on in $mode mode" \
		"$(packets s "-p tcp -m tcp --tcp-flags SYN,ACK SYN")" $((${all%:*} - ${to443%:*}))
	expect "the interface counts all that the ports count in $mode mode" \
		"$(json s status '.interfaces[0].ingress.packets')" $((${all%:*} + ${udp%:*}))
	expect "the interface counts what was dropped in $mode mode" \
		"$(json s status '.interfaces[0].ingress.dropped')" \
		$((${all%:*} + ${udp%:*} - ${to443%:*}))
	expect "the reasons sum up in $mode mode" "$(reason_count s rule)" "${all%:*}"
	expect "IPv6 is filtered by the same rules in $mode mode" "$(in_ns c curl -s -m 10 -o /dev/null \
		-w '%{size_download}' 'http://[fd77::1]:443/file')" 200000
	expect_ok "detach" pg s detach --all
	expect "80 is served without the filter after $mode mode" "$(in_ns c curl -s -m 10 -o /dev/null \
		-w '%{size_download}' http://10.77.0.1:80/file)" 200000
done
summary
