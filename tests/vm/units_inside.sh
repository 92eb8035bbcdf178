#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs in the machine of units.sh, last of all units, at each of two boots. Prints "ok WHAT" and
# "FAILED WHAT", then how it ended, for run.sh.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root
failed=0

# check WHAT COMMAND…
check() {
	local what=$1
	shift
	if "$@" >/tmp/said 2>&1; then
		echo "ok $what"
	else
		failed=1
		echo "FAILED $what"
		sed 's/^/    /' /tmp/said | tail -n 30
		return 1
	fi
}

# equal WHAT GOT WANTED
equal() {
	if [ "$2" = "$3" ]; then echo "ok $1"; else
		failed=1
		printf 'FAILED %s\n    got:    %s\n    wanted: %s\n' "$1" "$2" "$3"
	fi
}

until_true() {
	local end=$((SECONDS + 600)) # emulated, on a machine that others use, too

	while [ $SECONDS -lt $end ]; do
		"$@" >/dev/null 2>&1 && return
		sleep 0.3
	done
	return 1
}

rule() { portguard -S INPUT | tail -n 1; }
property() { systemctl show -P "$2" "$1"; }
active() { systemctl is-active --quiet "$1"; }
attached() { portguard status --json | jq -e ".interfaces[] | select(.name == \"$1\" and .mode != null)"; }
api() { curl -sS --max-time 600 "$@"; }
# What a unit has said that an administrator would look into.
complaints() { journalctl -q -b -u "$1" -p warning -o cat; }

# A client in a namespace of its own, on the wire of eth0.
client() {
	[ -e /run/netns/client ] || {
		ip netns add client && ip link set eth1 netns client &&
			ip netns exec client ip addr add 10.9.1.2/24 dev eth1 && ip netns exec client ip link set eth1 up
	}
	ip netns exec client "$@"
}
reaches() { client nc -z -w "${2:-60}" 10.9.1.1 "$1"; }

# The third process has marked 8003, on which somebody listens though the policy drops; or why not.
marked() {
	curl -sSN --max-time 600 http://127.0.0.1:9180/api/v1/stream | sed -un 's/^data: //p' |
		jq -n 'first(inputs | select(.marks_error != "" or any(.ports[]?; .[1] == 8003 and .[12] == "closed"))) |
			.marks_error' >/tmp/marks
	grep -x '""' /tmp/marks || { cat /tmp/marks; return 1; }
}

serve_shows() {
	local got

	systemd-run --quiet --unit=listener3 nc -lk 8003
	check "serve starts" systemctl start portguard-serve
	check "serve answers" until_true curl -sf http://127.0.0.1:9180/metrics || {
		journalctl -q -b -u portguard-serve -o cat | sed 's/^/    /' | tail -n 20
		return
	}
	api http://127.0.0.1:9180/metrics >/tmp/metrics
	check "metrics of eth0" grep -q '^portguard_interface_attached{.*interface="eth0".*} 1$' /tmp/metrics
	check "the page" bash -c 'curl -sf http://127.0.0.1:9180/ | grep -qi "<html"'
	api http://127.0.0.1:9180/api/v1/ports >/tmp/ports
	got=$(jq -r '.ports[] | select(.port == 8001) | .listener.comm' /tmp/ports)
	equal "the process that listens, of another user" "$got" nc
	equal "the page's ports are the command's" "$got" "$(portguard ports --json |
		jq -r '.ports[] | select(.port == 8001) | .listener.comm')"
	for doc in status rules reasons flows states; do
		check "/api/v1/$doc" bash -c "curl -sf http://127.0.0.1:9180/api/v1/$doc | jq -e ."
	done
	equal "one instance" "$(api http://127.0.0.1:9180/api/v1/status | jq -r '.interfaces[0].name')" eth0
	equal "all its processes run as nobody" "$(
		while read -r pid; do
			awk '$1 == "Uid:" { print $2, $3, $4, $5 }' "/proc/$pid/status"
		done </sys/fs/cgroup/system.slice/portguard-serve.service/cgroup.procs | sort | uniq -c | xargs
	)" "3 65534 65534 65534 65534"
	check "a port is marked" marked
	equal "serve complains about nothing" "$(complaints portguard-serve)" ""
}

first() {
	check "a BPF file system" mountpoint -q /sys/fs/bpf
	check "the package installs" dpkg -i /portguard.deb
	equal "nothing starts by itself" "$(systemctl list-units --no-legend 'portguard*')" ""
	echo "create bad hash:ip" >/etc/portguard/sets
	echo "add bad 10.9.1.3" >>/etc/portguard/sets
	check "enable --now portguard@eth0" systemctl enable --now portguard@eth0
	check "attached" attached eth0
	equal "it complains about nothing" "$(complaints portguard@eth0)" ""
	equal "the set" "$(portguard set list bad | tail -n 1)" 10.9.1.3
	check "a rule" portguard -A INPUT -p tcp --dport 8002 -j DROP
	check "and one that asks the set" portguard -I INPUT -p tcp -m set --match-set bad src -j DROP
	check "save" portguard save -f /etc/portguard/rules

	systemd-run --quiet --uid=33 --unit=listener nc -lk 8001
	systemd-run --quiet --unit=listener2 nc -lk 8002
	check "a client gets in" until_true reaches 8001
	check "and not where it may not" bash -c "! ip netns exec client nc -z -w 3 10.9.1.1 8002"

	check "restart" systemctl restart portguard@eth0
	equal "leaves the policy" "$(rule)" "-A INPUT -p tcp -m tcp --dport 8002 -j DROP"
	check "stop" systemctl stop portguard@eth0
	check "leaves the filter" attached eth0
	check "start" systemctl start portguard@eth0
	check "another rule in the file" sed -i 's/--dport 8002/--dport 8003/' /etc/portguard/rules
	check "reload" systemctl reload portguard@eth0
	equal "applies the file" "$(rule)" "-A INPUT -p tcp -m tcp --dport 8003 -j DROP"
	echo "nonsense" >>/etc/portguard/rules
	check "reload of a wrong file fails" bash -c "! systemctl reload portguard@eth0"
	equal "and changes nothing" "$(rule)" "-A INPUT -p tcp -m tcp --dport 8003 -j DROP"
	sed -i '/nonsense/d' /etc/portguard/rules

	# What portguard(8) tells who wants no network without the filter.
	mkdir /etc/systemd/system/systemd-networkd.service.d
	printf '[Service]\nExecStartPre=+systemctl is-active --quiet portguard@eth0.service\n' \
		>/etc/systemd/system/systemd-networkd.service.d/filter.conf
	check "a network that asks for the filter" bash -c "systemctl daemon-reload && systemctl restart systemd-networkd"
	check "without it" systemctl stop portguard@eth0
	check "does not come up" bash -c "! systemctl restart systemd-networkd"
	check "with it again" systemctl start portguard@eth0
	check "it does" bash -c "systemctl reset-failed systemd-networkd; systemctl restart systemd-networkd"

	ip link add away type veth peer name away1
	check "enable another" systemctl enable --now portguard@away
	check "attached" attached away
	ip link del away
	check "it is stopped when the interface goes" until_true bash -c "! systemctl is-active portguard@away"
	ip link add away type veth peer name away1
	check "and started when it comes back" until_true active portguard@away
	check "attached anew" attached away
	check "disable" systemctl disable --now portguard@away

	serve_shows
	check "an update" dpkg -i --force-confold /portguard.deb
	equal "leaves the policy, too" "$(rule)" "-A INPUT -p tcp -m tcp --dport 8003 -j DROP"
	check "and serve running" active portguard-serve
	cat >>/etc/portguard/portguard.conf <<-CONF
		serve {
			listen = "10.9.1.1:9180"
			token = "/etc/portguard/token"
		}
	CONF
	(umask 077 && echo 0123456789abcdef >/etc/portguard/token)
	chown daemon /etc/portguard/rules && chmod 600 /etc/portguard/rules
	check "enable serve" systemctl enable --quiet portguard-serve
}

second() {
	local filter network

	check "attached at boot" attached eth0 || systemctl --no-pager status portguard@eth0 | sed 's/^/    /'
	equal "with the policy that was saved" "$(rule)" "-A INPUT -p tcp -m tcp --dport 8003 -j DROP"
	filter=$(property portguard@eth0 ActiveEnterTimestampMonotonic)
	network=$(property systemd-networkd ExecMainStartTimestampMonotonic)
	check "before the network ($filter, $network us)" [ "$filter" -gt 0 -a "$filter" -lt "$network" ]
	equal "no ordering cycle" "$(journalctl -q -b -o cat | grep -i 'ordering cycle')" ""
	check "serve is up, as portguard.conf says" until_true curl -sf -H 'Authorization: Bearer 0123456789abcdef' \
		http://10.9.1.1:9180/metrics || journalctl -q -b -u portguard-serve -o cat | tail -n 20 | sed 's/^/    /'
	equal "and asks for the token" "$(api -o /dev/null -w '%{http_code}' http://10.9.1.1:9180/)" 401
	rm /etc/portguard/token
	check "purge" dpkg -P portguard
	equal "nothing of it runs" "$(systemctl list-units --no-legend 'portguard*' | grep -v not-found)" ""
	check "nothing is attached" [ ! -e /sys/fs/bpf/portguard ]
	equal "nothing is left" "$(find /etc -name '*portguard*')" ""
}

if [ ! -e /etc/pg-second ]; then
	touch /etc/pg-second
	first
else
	second
fi
if dmesg | grep -E '(WARNING|BUG|KASAN|Oops|INFO: .*(hung|stall))' | grep -v 'BUGs'; then
	failed=99
fi
sync
echo "pg-vm: exit $failed"
systemctl --no-block poweroff
