#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What `make demo` shows.
#   demo.sh        a lab of two network namespaces with real servers and real traffic, a policy, and
#                  the proof that every packet is accounted for. Exit status 1: the numbers differ.
#   demo.sh IFACE  portguard on that interface, dropping nothing, with a live table until Ctrl-C.
#
# All of it happens in a mount namespace of its own: the BPF file system with portguard's pins, the
# names of the network namespaces and all files vanish with this script, however it ends. The
# servers are bound to its life, too (setpriv --pdeathsig). Nothing else on the machine is touched.
set -u

HERE=$(cd "$(dirname "$0")/.." && pwd)
PORTGUARD=${PORTGUARD:-$HERE/portguard}
STATE=/sys/fs/bpf/pg-demo
export PORTGUARD_STATE=$STATE
IFACE=${1:-}

SERVER=10.77.0.1
CLIENT=10.77.0.2
job=

die() {
	echo "demo: $*" >&2
	exit 1
}

if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || die "needs root: be root, or install sudo"
	exec sudo env "PORTGUARD=$PORTGUARD" "NO_COLOR=${NO_COLOR:-}" bash "$0" "$@"
fi
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
if [ -z "${PG_DEMO_SANDBOX:-}" ]; then
	unshare -m true 2>/dev/null || die "no mount namespaces here"
	PG_DEMO_SANDBOX=1 exec unshare -m --propagation private bash "$0" "$@"
fi
[ -x "$PORTGUARD" ] || die "$PORTGUARD is not built"

#
# How it reads
#
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
	bold='' dim='' plain=''
fi

say() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# show PROMPT TEXT: a command as it would be typed
show() {
	printf '%s%s%s %s\n' "$dim" "$1" "$plain" "$2"
}

# In the background and waited for, so that a signal is heard at once.
attend() {
	local rc

	"$@" </dev/null &
	job=$!
	wait "$job"
	rc=$?
	job=
	return $rc
}

quoted() {
	local word text=

	for word; do
		[[ $word =~ ^[A-Za-z0-9_./:,=@%+-]+$ ]] || word="'$word'"
		text+="$word "
	done
	echo "${text% }"
}

# Without nmap's small talk.
indent() {
	grep -vE '^$|^(Starting Nmap|Nmap scan report|Nmap done|Host is up|MAC Address)' "$WORK/said" |
		sed 's/^/    /'
}

# on NS COMMAND… — nsenter, because `ip netns exec` hides the BPF file system.
on() {
	local ns=pg-demo-$1
	shift
	nsenter --net="/run/netns/$ns" "$@"
}

# run NS COMMAND…: show it, run it there, show what it says
run() {
	local ns=$1 rc
	shift

	show "$ns#" "$(quoted "$@")"
	attend nsenter --net=/run/netns/pg-demo-"$ns" "$@" >"$WORK/said" 2>&1
	rc=$?
	indent
	return $rc
}

# pg ARGUMENTS…: portguard on the server
pg() {
	show "server#" "portguard $(quoted "$@")"
	attend nsenter --net=/run/netns/pg-demo-server "$PORTGUARD" "$@" >"$WORK/said" 2>&1 || {
		indent
		die "this should have worked"
	}
	indent
}

#
# The lab
#
cleanup() {
	local rc=$? pid ns

	trap - EXIT
	trap '' HUP INT TERM
	[ -z "$job" ] || kill "$job" 2>/dev/null
	if [ -n "$IFACE" ]; then
		[ -d "$STATE" ] && "$PORTGUARD" detach --all >/dev/null 2>&1
	else
		[ -d "$STATE" ] && on server "$PORTGUARD" detach --all >/dev/null 2>&1
		for pid in ${servers:-}; do
			kill "$pid" 2>/dev/null
		done
		for ns in pg-demo-server pg-demo-client; do
			ip netns del $ns 2>/dev/null
		done
	fi
	wait 2>/dev/null
	exit $rc
}
trap cleanup EXIT
trap 'echo; echo "demo: interrupted, cleaning up"; exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

sandbox() {
	mount -t bpf bpf /sys/fs/bpf || die "cannot mount a BPF file system"
	# /run/netns, /run/sshd and all files of the demo
	mount -t tmpfs -o mode=755 tmpfs /run || die "cannot mount a tmpfs"
	WORK=/run/pg-demo
	mkdir -p $WORK/www /run/sshd /run/netns
}

# IPv6 and neighbour discovery are silenced, so that every frame on the wire is one that somebody
# below sends; offloads are off, so that the interface counters count what a wire would carry.
build_lab() {
	local end

	for end in server client; do
		ip netns add pg-demo-$end || die "cannot make a network namespace"
		on $end sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
			net.ipv6.conf.default.disable_ipv6=1 2>/dev/null
		on $end ip link set lo up
	done
	ip link add eth0 netns pg-demo-server address 02:77:00:00:00:01 type veth \
		peer name eth0 netns pg-demo-client address 02:77:00:00:00:02 || die "cannot make a veth pair"
	for end in server client; do
		on $end ethtool -K eth0 tso off gso off gro off tx off >/dev/null 2>&1
		on $end ip link set eth0 up
	done
	on server ip addr add $SERVER/24 dev eth0
	on client ip addr add $CLIENT/24 dev eth0
	on server ip neigh replace $CLIENT lladdr 02:77:00:00:00:02 nud permanent dev eth0
	on client ip neigh replace $SERVER lladdr 02:77:00:00:00:01 nud permanent dev eth0
}

# start COMMAND…: a server in its namespace, which ends with this script
start() {
	nsenter --net=/run/netns/pg-demo-server setpriv --pdeathsig KILL "$@" >>"$WORK/servers.log" 2>&1 </dev/null &
	servers="${servers:-} $!"
}

start_nginx() {
	echo "hello from nginx" >$WORK/www/index.html
	openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj "/CN=$SERVER" \
		-keyout $WORK/key.pem -out $WORK/cert.pem 2>/dev/null || die "openssl failed"
	cat >$WORK/nginx.conf <<-CONF
	daemon off;
	master_process off;
	pid $WORK/nginx.pid;
	error_log $WORK/nginx.log;
	events {}
	http {
		access_log off;
		client_body_temp_path $WORK/t1;
		proxy_temp_path $WORK/t2;
		fastcgi_temp_path $WORK/t3;
		uwsgi_temp_path $WORK/t4;
		scgi_temp_path $WORK/t5;
		ssl_certificate $WORK/cert.pem;
		ssl_certificate_key $WORK/key.pem;
		server { listen $SERVER:80; listen $SERVER:443 ssl; root $WORK/www; }
	}
	CONF
	start nginx -c $WORK/nginx.conf
}

start_sshd() {
	ssh-keygen -q -t ed25519 -N '' -f $WORK/hostkey || die "ssh-keygen failed"
	cat >$WORK/sshd_config <<-CONF
	ListenAddress $SERVER
	HostKey $WORK/hostkey
	PidFile $WORK/sshd.pid
	AuthorizedKeysFile none
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	UseDNS no
	CONF
	start "$(command -v sshd)" -D -e -f $WORK/sshd_config
}

start_dns() {
	cat >$WORK/dnsmasq.conf <<-CONF
	no-resolv
	no-hosts
	no-daemon
	bind-interfaces
	listen-address=$SERVER
	user=root
	pid-file=$WORK/dnsmasq.pid
	address=/www.example.test/$SERVER
	CONF
	start dnsmasq --conf-file=$WORK/dnsmasq.conf
}

wait_for_servers() {
	local tries=100

	while [ $((tries--)) -gt 0 ]; do
		[ "$(on server ss -Hlnt 'sport = :22 or sport = :80 or sport = :443' | wc -l)" -ge 3 ] &&
			[ -n "$(on server ss -Hlnu 'sport = :53')" ] && return
		attend sleep 0.1
	done
	cat $WORK/servers.log >&2
	die "the servers did not start within ten seconds"
}

#
# Counters that are the kernel's own: what the client's queue sent, and what the server's IP layer
# received behind the filter.
#

# counter NS FILE LINE NAME: from /proc/net/snmp or netstat, which have a line of names before each
# line of numbers
# shellcheck disable=SC2016
counter() {
	on "$1" awk -v line="$3:" -v name="$4" '$1 == line {
		if (!n) { n = split($0, names) } else
			for (k = 2; k <= n; k++) if (names[k] == name) print $k }' "/proc/self/net/$2"
}

# Sets sent_packets and sent_bytes of the client, received_packets and received_bytes of the server.
read_kernel() {
	read -r sent_bytes sent_packets < <(on client tc -s qdisc show dev eth0 |
		sed -n 's/^ *Sent \([0-9]*\) bytes \([0-9]*\) pkt.*/\1 \2/p')
	received_packets=$(counter server snmp Ip InReceives)
	received_bytes=$(counter server netstat IpExt InOctets)
}

# Until nothing more is on its way.
settle() {
	local last=-1 tries=50

	while [ $((tries--)) -gt 0 ]; do
		read_kernel
		[ "$sent_packets" = "$last" ] && return
		last=$sent_packets
		attend sleep 0.3
	done
}

# number KEY of the server's interface, arriving, from status --json
counted() {
	on server "$PORTGUARD" status --json | grep -o '"ingress":{[^}]*}' | head -n 1 |
		grep -o "\"$1\":[0-9]*" | cut -d: -f2
}

# traffic WHAT NS COMMAND…: run it, and say how many packets the client sent for it
traffic() {
	local before rc what=$1
	shift

	read_kernel
	before=$sent_packets
	run "$@"
	rc=$?
	settle
	spent+=("$what $((sent_packets - before))")
	return $rc
}

before_the_filter() {
	say "Two hosts on a wire, client $CLIENT and server $SERVER. The server runs" \
		"nginx on 80 and 443, sshd on 22 and dnsmasq on 53. All of them answer:"
	run client curl -sS "http://$SERVER/"
	run client curl -sSk "https://$SERVER/"
	run client dig +short "@$SERVER" www.example.test
	run client nmap -n -Pn --send-ip --disable-arp-ping -sS -p 21-25,53,80,443,8080 "$SERVER"
}

attach_and_load() {
	say "portguard attaches to the server's interface. The policy lets HTTPS in, SSH from one" \
		"network, and drops the rest; the lines are iptables':"
	pg attach eth0 --mode native
	pg -A INPUT -p tcp --dport 443 -j ACCEPT
	pg -A INPUT -p tcp -s 192.168.1.0/24 --dport 22 -j ACCEPT
	pg -A INPUT -p tcp --dport 22 -j DROP
	pg -A INPUT -j DROP
}

send_traffic() {
	say "The same client again. HTTPS works; whatever else it tries is met with silence:"
	traffic curl client curl -sSk "https://$SERVER/" ||
		die "HTTPS does not get through, though the policy lets it in"
	traffic curl client curl -sS --max-time 2 "http://$SERVER/" && die "HTTP gets through"
	traffic dig client dig +short +tries=1 +timeout=1 "@$SERVER" www.example.test &&
		die "DNS gets through"
	traffic ssh client ssh -o BatchMode=yes -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o ConnectTimeout=2 "root@$SERVER" true &&
		die "SSH gets through"
	traffic nmap client nmap -n -Pn --send-ip --disable-arp-ping -sS --max-retries 1 \
		-p 20-25,53,80,110,143,443,3306,8080 "$SERVER"
}

show_tables() {
	say "What portguard counted, rule by rule:"
	pg -L INPUT -v -n
	say "Every port that saw a packet, without a rule asking for it:"
	pg ports
	say "Why packets ended as they did:"
	pg reasons
	say "And how it is attached:"
	pg status
}

# row WHO PACKETS BYTES
row() {
	printf '    %-44s %6s packets %8s bytes\n' "$@"
}

# Were the counters wrong by one packet or byte, this would say so.
prove() {
	local packets bytes dropped passed passed_bytes

	settle
	packets=$(counted packets) bytes=$(counted bytes) dropped=$(counted dropped)
	passed=$((packets - dropped))
	passed_bytes=$(on server "$PORTGUARD" save -c |
		sed -n 's/^\[[0-9]*:\([0-9]*\)\] -A INPUT .*-j ACCEPT$/\1/p' | awk '{ n += $1 } END { print n }')
	received_packets=$((received_packets - received_packets0))
	received_bytes=$((received_bytes - received_bytes0))
	# The queue counts 14 bytes of Ethernet with every packet.
	sent_bytes=$((sent_bytes - 14 * sent_packets))
	say "The kernel has counted as well, on its own: what left the client's queue (tc -s qdisc), and" \
		"what reached the server's IP layer (/proc/net/snmp). IP bytes:"
	row "left the client" "$sent_packets" "$sent_bytes"
	row "  counted by portguard" "$packets" "$bytes"
	row "reached the server's IP layer" "$received_packets" "$received_bytes"
	row "  passed by portguard" "$passed" "$passed_bytes"
	printf '    packets by command: %s\n' "$(printf '%s, ' "${spent[@]}" | sed 's/, $//')"
	[ "$packets" = "$sent_packets" ] || die "portguard counted $packets packets of $sent_packets"
	[ "$bytes" = "$sent_bytes" ] || die "portguard counted $bytes bytes of $sent_bytes"
	[ "$passed" = "$received_packets" ] ||
		die "portguard passed $passed packets, $received_packets arrived"
	[ "$passed_bytes" = "$received_bytes" ] ||
		die "portguard passed $passed_bytes bytes, $received_bytes arrived"
	printf '\n%s%s packets sent by curl, nmap, dig and ssh; %s counted: %s passed, %s dropped%s\n' \
		"$bold" "$sent_packets" "$packets" "$passed" "$dropped" "$plain"
}

lab() {
	sandbox
	build_lab
	start_nginx
	start_sshd
	start_dns
	wait_for_servers
	before_the_filter
	# A queue that counts, from 0.
	on client tc qdisc replace dev eth0 root pfifo || die "cannot count what the client sends"
	settle
	received_packets0=$received_packets received_bytes0=$received_bytes
	spent=()
	attach_and_load
	send_traffic
	show_tables
	prove
}

observe() {
	ip link show dev "$IFACE" >/dev/null 2>&1 || die "there is no interface $IFACE"
	mount -t bpf bpf /sys/fs/bpf || die "cannot mount a BPF file system"
	say "portguard on $IFACE, with the policy ACCEPT and no rules: it counts and drops nothing but" \
		"packets that the kernel would drop as malformed. Ctrl-C detaches it."
	trap 'echo; exit 0' INT
	show "#" "portguard attach $IFACE"
	"$PORTGUARD" attach "$IFACE" || die "not attached"
	show "#" "portguard status"
	"$PORTGUARD" status
	show "#" "portguard ports --watch"
	if [ -t 1 ]; then
		attend sleep 2
	fi
	attend "$PORTGUARD" ports --watch
}

if [ "${BASH_SOURCE[0]}" != "$0" ]; then
	return # tests/net/test_learn_demo.sh uses the lab
elif [ -n "$IFACE" ]; then
	observe
else
	lab
fi
