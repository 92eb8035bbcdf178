#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portguard ports --listening`: the sockets and processes that ss has, those of other network
# namespaces, and whom the policy lets in, held against real packets.
. "$(dirname "$0")/lib.sh"

need jq ss nc perl iptables-legacy
own_bpffs
two_namespaces

# serve NS NAME NC-OPTIONS…: in the background, as long as the test
serve() {
	local ns=$1
	shift
	in_ns "$ns" nc -k -l "$@" >/dev/null 2>&1 </dev/null &
	wait_for "nc $*" eval "[ -n \"\$(in_ns $ns ss -Hlntu sport = :${*: -1})\" ]"
}

serve s -4 0.0.0.0 443
serve s -4 10.77.0.1 22
serve s -6 ::ffff:10.77.0.1 23
serve s -4 127.0.0.1 6000
serve s -6 ::1 6001
serve s -6 :: 8080
serve s -4 0.0.0.0 25
serve s -u -4 0.0.0.0 53
serve c -4 0.0.0.0 9999

# As ss tells it: "tcp 127.0.0.1 6000 nc PID", sorted. UDP sockets that are connected are none.
by_ss() {
	in_ns s ss -Hltnup | awk '{
		n = split($5, a, ":"); port = a[n]; addr = substr($5, 1, length($5) - length(port) - 1)
		gsub(/[][]/, "", addr); sub(/%.*/, "", addr); if (addr == "*") addr = "::"
		match($0, /"[^"]*",pid=[0-9]*/); who = substr($0, RSTART, RLENGTH)
		gsub(/"/, "", who); sub(/,pid=/, " ", who); print $1, addr, port, who }' | sort
}
pg s ports --listening --json >"$WORK/json"
expect "our sockets are ss's" "$(jq -r '.listening[] | select(.netns == null) |
	"\(.proto) \(.address) \(.port) \(.process.comm) \(.process.pid)"' "$WORK/json" | sort)" "$(by_ss)"
expect "and there are some" "$(by_ss | wc -l)" 8
expect "another namespace's" "$(jq -r '.listening[] | select(.port == 9999) |
	"\(.address) \(.process.comm) \(.netns_name)"' "$WORK/json")" "0.0.0.0 nc $PREFIX-c"
expect "which is its number" "$(jq -r '.listening[] | select(.port == 9999) | .netns' "$WORK/json")" \
	"$(stat -L -c %i "/run/netns/$PREFIX-c")"
expect "no policy, no answer" "$(jq -r '[.policy_asked, .listening[0].reach_ipv4] | join(" ")' \
	"$WORK/json")" "false unknown"
expect "one port" "$(pg s ports --listening :8080 --json | jq -c '[.listening[].port]')" "[8080]"
expect "one family" "$(pg s ports -l -6 --json | jq -c '[.listening[] | select(.netns == null) | .port]')" \
	"[6001,8080]"
expect "one mapped into IPv6 is the other's" "$(pg s ports -l -4 --json |
	jq -c '[.listening[] | select(.port == 23) | .address]')" '["::ffff:10.77.0.1"]'
mkfifo "$WORK/dual"
in_ns s perl -MIO::Socket::IP -e 'my $s = IO::Socket::IP->new(LocalHost => "::", LocalPort => 5201,
	Listen => 1, V6Only => 0) or die; <STDIN>' <"$WORK/dual" &
exec 8>"$WORK/dual"
wait_for "one for both families" listening s tcp 5201
expect "is found for IPv4, too" "$(pg s ports -l -4 :5201 --json | jq -c '[.listening[].address]')" '["::"]'
exec 8>&-
wait_for "its end" eval '! listening s tcp 5201'
expect "nobody" "$(pg s ports -l :9998 2>&1 >/dev/null)" "portguard: nobody listens there"
expect_exit "-4 without it" 2 'go with --listening' pg s ports -4
expect_exit "with --sort" 2 'does not go with' pg s ports -l --sort bytes

# The policy -------------------------------------------------------------------------------------------

expect_ok "attach" pg s attach pgs0
cat >"$WORK/rules" <<-RULES
*filter
:INPUT DROP [0:0]
:web - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -s 192.0.2.0/24 -j DROP
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -p tcp -m multiport --dports 443,8443 -j web
-A INPUT -s 10.77.0.0/24 -p tcp -m tcp --dport 22 -m limit --limit 1/hour --limit-burst 1 -j ACCEPT
-A INPUT -4 -p tcp -m multiport --dports 23,8080 -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -m state --state NEW -j ACCEPT
-A web -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-mode dstport --hashlimit-name w -j ACCEPT
COMMIT
RULES
expect_ok "restore" pg s restore "$WORK/rules"
pg s save -c | grep -v '^#' >"$WORK/before"
pg s ports --listening --json >"$WORK/json"
expect "whom the policy lets in" "$(jq -r '[.listening[] | select(.netns == null) |
	"\(.port) \(.reach_ipv4) \(.reach_ipv6) \(.mark)"] | unique | sort_by(split(" ")[0] | tonumber) |
	.[]' "$WORK/json")" \
"22 some unknown none
23 open unknown none
25 closed unknown closed
53 open unknown none
443 open unknown none
6000 unknown unknown none
6001 unknown unknown none
8080 open closed none
8443 open open unused"
expect "no counter moved" "$(pg s save -c | grep -v '^#')" "$(cat "$WORK/before")"
expect "for people" "$(pg s ports -l :25 :8443/tcp :6001 :8080 | tr -s ' ' |
	sed 's/nc\[[0-9]*\]/nc/; s/ $//')" \
"PORT SERVICE ADDRESS PROCESS POLICY NOTE
25/tcp smtp 0.0.0.0 nc closed CLOSED: listens, but the policy lets nobody in
6001/tcp x11-1 ::1 nc local
8080/tcp http-alt :: nc open/closed
8443/tcp - - - open UNUSED: a rule opens it, but nobody listens"

# Real packets from a neighbour, who is not the world but one that a rule names.
for port in 22 23 443 8080 25; do
	in_ns c timeout 2 nc -z -w 1 10.77.0.1 $port && reached=yes || reached=no
	case $port in 25) want=no ;; *) want=yes ;; esac
	expect "port $port is reached" $reached $want
done
in_ns c timeout 2 nc -6 -z -w 1 fd77::1 8080 && reached=yes || reached=no
expect "8080 by IPv6 is not" $reached no

# What is open to everybody is nobody's in particular.
printf '*filter\n:INPUT ACCEPT\n-A INPUT -p tcp --dport 25 -j DROP\nCOMMIT\n' >"$WORK/open"
expect_ok "an open policy" pg s restore "$WORK/open"
expect "marks only what is closed" "$(pg s ports -l --json | jq -c '[.listening[] |
	select(.mark != null and .mark != "none") | [.port, .mark]]')" '[[25,"closed"]]'

# Which address, on which interface: one that has none comes first, then with another one.
expect_ok "detach" pg s detach pgs0
in_ns s ip link add pgd0 type veth peer name pgd1
in_ns s ip link set pgd0 up
expect_ok "attach" pg s attach pgd0
expect_ok "attach" pg s attach pgs0
printf '*filter\n:INPUT DROP\n-A INPUT -p tcp --dport 8080 -j ACCEPT\nCOMMIT\n' >"$WORK/open"
expect_ok "one port" pg s restore "$WORK/open"
reach() {
	pg s ports -l "$@" --json | jq -c '[.listening[] | select(.netns == null) |
		[.port, .reach_ipv4, .reach_ipv6, .mark]]'
}
expect "is open, whichever interface is first" "$(reach :8080 :25)" \
	'[[25,"closed","unknown","closed"],[8080,"open","open","none"]]'
in_ns s ip addr add 10.78.0.1/24 dev pgd0
printf '*filter\n:INPUT DROP\n-A INPUT -d 10.77.0.1 -p tcp --dport 8080 -j ACCEPT\nCOMMIT\n' >"$WORK/open"
expect_ok "on one address" pg s restore "$WORK/open"
expect "it is open" "$(reach :8080)" '[[8080,"open","closed","none"]]'
in_ns c timeout 2 nc -z -w 1 10.77.0.1 8080 && reached=yes || reached=no
expect "and is reached" $reached yes
in_ns s ip -6 addr flush dev pgs0 scope global
expect "no address, no answer" "$(reach :8080)" '[[8080,"open","unknown","none"]]'

# Containers --------------------------------------------------------------------------------------------

if in_ns s iptables-legacy -w -t nat -A PREROUTING -p tcp -m multiport --dports 5430,5432 \
	-j DNAT --to 172.17.0.2:5432 \
	2>/dev/null; then
	expect "published by iptables" "$(pg s ports -l :5432 --json | jq -c '[.listening[] |
		[.mark, .published_to]]')" '[["published","172.17.0.2:5432"]]'
else
	skip "iptables-legacy's nat is not in this kernel"
fi
# As docker starts it: a process of that name, with these words.
cp "$(command -v perl)" "$WORK/docker-proxy"
# shellcheck disable=SC2016
in_ns s "$WORK/docker-proxy" -MIO::Socket::INET -e \
	'$s = IO::Socket::INET->new(Listen => 1, LocalAddr => "0.0.0.0:7000") or die; sleep 300' -- \
	-proto tcp -host-port 7000 -container-ip 172.17.0.3 -container-port 80 >/dev/null 2>&1 </dev/null &
wait_for "a proxy" listening s tcp 7000
expect "published by docker-proxy" "$(pg s ports -l :7000 --json | jq -c '[.listening[] |
	[.process.comm, .mark, .published_to]]')" '[["docker-proxy","published","172.17.0.3:80"]]'

summary
