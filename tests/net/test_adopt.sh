#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is open before a stateful policy comes survives it: what a router passes on, by the kernel's
# conntrack; connected UDP sockets; more connections than there is room for fail nothing. Tracking is strict,
# so that nothing is picked up in mid-stream instead.
. "$(dirname "$0")/lib.sh"

need nc jq python3 iptables-legacy ip6tables-legacy
own_bpffs

routed h s c # s is the router
wait_for "the way by IPv6" in_ns c ping -c 1 -W 1 fd05::2

# talk NAME NS tcp|udp FROM-ADDRESS TO-ADDRESS PORT: asks once at first, and for each line of its FIFO;
# what comes back goes to $WORK/NAME.
cat >"$WORK/talk.py" <<'PY'
import socket, sys
kind, addr, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in addr else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(3)
s.connect((addr, port))
print("connected", flush=True)
for line in sys.stdin:
    s.send(line.encode())
    try:
        print(s.recv(100).decode().strip(), flush=True)
    except OSError:
        print("nothing", flush=True)
PY
cat >"$WORK/echo.py" <<'PY'
import socket, sys, threading
kind, addr, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in addr else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((addr, port))
def serve(c):
    while True:
        data = c.recv(100)
        if not data:
            return
        c.send(data)
if kind == "tcp":
    s.listen(64)
    while True:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
while True:
    data, peer = s.recvfrom(100)
    s.sendto(data, peer)
PY
declare -A tell
talk() { # NAME NS KIND ADDRESS PORT
	local name=$1 ns=$2 fd
	shift 2

	mkfifo "$WORK/$name.in"
	in_ns "$ns" timeout 60 python3 "$WORK/talk.py" "$@" <"$WORK/$name.in" >"$WORK/$name" &
	exec {fd}>"$WORK/$name.in"
	tell[$name]=$fd
	wait_for "$name" grep -q connected "$WORK/$name"
}
# said NAME WORD: what comes back
said() {
	local before

	before=$(wc -l <"$WORK/$1")
	echo "$2" >&"${tell[$1]}"
	wait_for "$1 to hear" eval '[ "$(wc -l <"$WORK/'"$1"'")" -gt '"$before"' ]'
	tail -n 1 "$WORK/$1"
}

for address in 10.5.0.2 fd05::2; do
	for kind in tcp udp; do
		in_ns h timeout 60 python3 "$WORK/echo.py" $kind $address 7 &
	done
done
in_ns s timeout 60 python3 "$WORK/echo.py" tcp 10.6.0.1 7 &
for at in "h tcp" "h udp" "s tcp"; do
	# shellcheck disable=SC2086
	wait_for "a server in $at" listening $at 7
done
wait_for "two servers each" eval '[ "$(in_ns h ss -Hlntu sport = :7 | wc -l)" = 4 ]'

cat >"$WORK/policy" <<'RULES'
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
COMMIT
RULES

# Nothing is tracked, so that the next policy that asks for states forgets all and takes over anew.
untrack() {
	printf '*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n' >"$WORK/open"
	expect_ok "no rule asks for states" pg s restore "$WORK/open"
	expect "so nothing is tracked" "$(pg s status --json | jq .flows.tracking)" false
}

# Sockets are known without conntrack.
talk own s udp 10.5.0.2 7 # of the router itself
talk ssh c tcp 10.6.0.1 7
expect_ok "attach with few places" pg s attach pgr1 pgr2 --mode tc --flows 2048
expect_ok "strict" pg s track strict
for name in own ssh; do
	expect "before: $name" "$(said $name zero)" zero
done
expect_ok "restore" pg s restore "$WORK/policy"
for name in own ssh; do
	expect "a socket's goes on: $name" "$(said $name one)" one
done
untrack

# The kernel tracks while a rule of its own asks for states.
for tables in iptables-legacy ip6tables-legacy; do
	in_ns s $tables -w -A FORWARD -m conntrack --ctstate ESTABLISHED || skip_all "no conntrack here"
done
[ -r /proc/sys/net/netfilter/nf_conntrack_count ] || skip_all "no conntrack here"
talk tcp4 c tcp 10.5.0.2 7
talk tcp6 c tcp fd05::2 7
talk udp4 c udp 10.5.0.2 7
talk udp6 c udp fd05::2 7
for name in tcp4 tcp6 udp4 udp6 own ssh; do
	expect "before: $name" "$(said $name one)" one
done

expect_ok "restore with conntrack" pg s restore "$WORK/policy"
flow() { # FILTER: of the flows to the echo servers
	pg s flows --json --dport 7 | jq -c "[.flows[] | select($1)] | length"
}
expect "what is passed on is known" "$(flow '.proto == "tcp" and .state == "ESTABLISHED"')" 3
expect "UDP, too" "$(flow '.proto == "udp"')" 3
for name in tcp4 tcp6 udp4 udp6 own ssh; do
	expect "it goes on: $name" "$(said $name two)" two
done
in_ns c timeout 1 nc -w 1 10.5.0.2 7 </dev/null >/dev/null 2>&1 &&
	fail "nothing new is passed on" || pass "nothing new is passed on"

# Tracking has begun: what it has ended is not taken over by the next change.
expect_ok "a flow is ended" pg s flows --kill --proto tcp --src 10.6.0.2 --dst 10.5.0.2
expect_ok "a rule more" pg s -A INPUT -p tcp --dport 9 -j ACCEPT
expect "it does not come back" "$(flow '.proto == "tcp" and .server.address == "10.5.0.2"')" 0
expect "so it does not go on" "$(said tcp4 three)" nothing
expect "others do" "$(said tcp6 three)" three

# What passes an interface is unknown until that is attached.
expect_ok "detach" pg s detach pgr2
talk late c tcp 10.6.0.1 7
expect "before" "$(said late one)" one
expect_ok "attach" pg s attach pgr2 --mode tc
expect "it goes on" "$(said late two)" two

untrack

# More than there is room for: buckets of eight are full long before all of the table is.
cat >"$WORK/many.py" <<'PY'
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (8000, 8000))
l = socket.socket()
l.bind(("127.0.0.1", 0))
l.listen(4096)
all = []
for i in range(2500):
    all.append(socket.create_connection(l.getsockname()))
    all.append(l.accept()[0])
print("open", flush=True)
sys.stdin.read()
PY
mkfifo "$WORK/hold"
in_ns s timeout 60 python3 "$WORK/many.py" <"$WORK/hold" >"$WORK/many" &
exec {hold}>"$WORK/hold"
wait_for "2500 connections" grep -q open "$WORK/many"
before=$(pg s status --json | jq .flows.refused)
warned=$(pg s restore "$WORK/policy" 2>&1)
expect "restore with too many connections" $? 0
read -r homeless of < <(sed -nE 's/^portguard: warning: ([0-9]+) of ([0-9]+) connections that exist found no place .*/\1 \2/p' \
	<<<"$warned")
[ "${homeless:-0}" -gt 0 ] && [ "$of" -ge 2500 ] && [ "$of" -lt 2520 ] &&
	pass "says how many found no place" || fail "says how many found no place" "$warned"
expect "the others are known" "$(pg s flows --json | jq '.flows | length')" $((of - homeless))
expect "each is counted once" "$(pg s status --json | jq .flows.refused)" $((before + homeless))
expect "it is in force" "$(pg s save | grep -c ESTABLISHED)" 2

# Where departures are not seen.
exec {hold}>&-
untrack
expect_ok "attach without egress" pg s attach pgr1 --mode tc --no-egress
expect "no word of it yet" "$(pg s status | grep -c 'departures are not seen')" 0
expect_exit "the first that does" 0 'pgr1: departures are not seen' pg s restore "$WORK/policy"
expect_exit "not again" 0 '^$' pg s restore "$WORK/policy"
expect "status says so" "$(pg s status | grep -c 'departures are not seen')" 1
expect_exit "attach says so" 0 'pgr1: departures are not seen' pg s attach pgr1 --mode tc --no-egress
summary
