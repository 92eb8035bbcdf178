#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# fail2ban itself bans by portguard's action; CrowdSec's bouncer calls portguard-crowdsec.
. "$(dirname "$0")/lib.sh"

need jq ping
own_bpffs
two_namespaces

export PORTGUARD_STATE=$STATE PATH=$WORK:$PATH
printf '#!/bin/sh\nexec "%s" "$@"\n' "$PORTGUARD" >"$WORK/portguard"
chmod 755 "$WORK/portguard"
of() { in_ns s "$PORTGUARD" "$@"; }
reaches() { in_ns c ping -c 1 -W 1 "$1" >/dev/null; }

expect_ok "attach" of attach pgs0

# CrowdSec
bouncer() { in_ns s "$ROOT/packaging/crowdsec/portguard-crowdsec" "$@"; }
expect_ok "the client reaches the server" reaches 10.77.0.1
expect_ok "del before there is a set" bouncer del 10.77.0.2 0 "" ""
for duration in 0 0s -5 -3h2m '' 0h0m0.0s; do
	expect_ok "'$duration' is over already" bouncer add 10.77.0.2 "$duration" a b
done
expect "so no set is made" "$(of set list -name)" ""
for duration in abc 3x 3h5 's' '1 h' '5;id' -; do
	expect_exit "'$duration' is no duration" 2 "no duration" bouncer add 10.77.0.2 "$duration" a b
done
n=0
# lasts DURATION SECONDS: a ban of another address; the clock may go on meanwhile
lasts() {
	local left

	n=$((n + 1))
	expect_ok "add for $1" bouncer add "192.0.2.$n" "$1" a b
	left=$(of set list crowdsec | sed -n "s/^192.0.2.$n timeout //p")
	expect "$1 is $2 s ($left)" "$([ "${left:-0}" -le "$2" ] && [ "${left:-0}" -ge $(($2 - 15)) ] && echo yes)" yes
}
lasts 3h59m 14340
lasts 3h59m59.5s 14400
lasts 1.5h 5400
lasts 250000ms 250
lasts +90m 5400
lasts 080 80
lasts 99999999999999999999999 2147483
lasts 600h0m0s 2147483
expect_ok "less than a second is one" bouncer add 192.0.2.200 0.5s a b
expect "and not for ever" "$(of set list crowdsec | grep -c '^192.0.2.200 timeout 0')" 0
expect_ok "a ban" bouncer add 192.0.2.100/32 1h a b
expect_ok "a shorter one" bouncer add 192.0.2.100 1m a b
expect "does not shorten it" "$(of set list crowdsec | grep -c '^192.0.2.100 timeout 3[56]..$')" 1
expect_ok "a longer one" bouncer add 192.0.2.100 2h a b
expect "lengthens it" "$(of set list crowdsec | grep -c '^192.0.2.100 timeout 7[12]..$')" 1
expect_ok "one for ever, by hand" of set -exist add crowdsec 192.0.2.100 timeout 0
expect_ok "a ban after that" bouncer add 192.0.2.100 2h a b
expect "it stays for ever" "$(of set list crowdsec | grep -c '^192.0.2.100 timeout 0$')" 1
expect_ok "add" bouncer add 10.77.0.2 14400s "ssh:bf" '{"id":1}'
expect_ok "add once more" bouncer add 10.77.0.2 14400 "ssh:bf" '{"id":1}'
expect_ok "add IPv6, for longer than sets can" bouncer add fd77::/64 99999999 "range" '{}'
expect_fail "a ban holds" reaches 10.77.0.1
expect_fail "a ban of an IPv6 prefix holds" reaches fd77::1
expect "one rule for each set" "$(of -S INPUT | grep -c -- '-A.*crowdsec')" 2
expect_ok "del" bouncer del 10.77.0.2 0 "" ""
expect_ok "del of what is gone" bouncer del 10.77.0.2 0 "" ""
expect_ok "the ban is over" reaches 10.77.0.1
expect_exit "what is no address goes no further" 2 "no address" bouncer add '-x;id' 60 a b
expect_exit "a wrong call" 2 "usage" bouncer ban 10.77.0.2 60 a b
of -F INPUT && of set destroy

# fail2ban
command -v fail2ban-client >/dev/null || { skip "no fail2ban-client here"; summary; exit 0; }
cp -r /etc/fail2ban "$WORK/f2b"
cp "$ROOT/packaging/fail2ban/portguard.conf" "$WORK/f2b/action.d/"
rm -rf "$WORK"/f2b/jail.d/*
: >"$WORK/auth.log"
cat >"$WORK/f2b/jail.local" <<JAIL
[DEFAULT]
banaction = portguard
[sshd]
enabled = true
backend = polling
logpath = $WORK/auth.log
maxretry = 2
findtime = 10m
bantime = 600
JAIL
client() {
	in_ns s fail2ban-client -c "$WORK/f2b" -s "$WORK/f2b.sock" -p "$WORK/f2b.pid" \
		--logtarget "$WORK/f2b.log" "$@"
}
sed -i "s|^dbfile = .*|dbfile = None|; s|^socket = .*|socket = $WORK/f2b.sock|;
	s|^pidfile = .*|pidfile = $WORK/f2b.pid|; s|^logtarget = .*|logtarget = $WORK/f2b.log|" \
	"$WORK/f2b/fail2ban.conf"
stop_fail2ban() { client ping >/dev/null 2>&1 && client stop >/dev/null 2>&1; true; }
trap 'stop_fail2ban; finish' EXIT

banned() { of set test "$1" "$2" >/dev/null 2>&1; }
not_banned() { ! banned "$@"; }
failure() { # ADDRESS
	echo "$(date '+%b %d %T') host sshd[1]: Failed password for root from $1 port 40000 ssh2"
}
expect_ok "fail2ban starts" client start
wait_for "the jail" client status sshd
{ failure 10.77.0.2; failure 10.77.0.2; } >>"$WORK/auth.log"
wait_for "a ban by what the log says" banned f2b-sshd 10.77.0.2
wait_for "its rule" of -C INPUT -m set --match-set f2b-sshd src -j DROP
expect_fail "the ban holds" reaches 10.77.0.1
expect_ok "a ban of an IPv6 address" client set sshd banip fd77::2
wait_for "that ban" banned f2b-sshd6 fd77::2
expect_fail "it holds, too" reaches fd77::1
timeout=$(of set list f2b-sshd | sed -n 's/^10.77.0.2 timeout \([0-9]*\).*/\1/p')
expect "the ban ends when fail2ban's does" \
	"$([ "${timeout:-0}" -gt 0 ] && [ "$timeout" -le 600 ] && echo yes)" yes
expect_ok "another policy" of -F INPUT
expect_ok "a ban after that" client set sshd banip 192.0.2.9
wait_for "the rule is back" of -C INPUT -m set --match-set f2b-sshd src -j DROP
expect_ok "unban" client set sshd unbanip 10.77.0.2
wait_for "it is not banned any more" not_banned f2b-sshd 10.77.0.2
expect_ok "fail2ban stops" client stop
expect "and leaves nothing" "$(of -S INPUT | grep -c f2b)$(of set list -name | grep -c f2b)" 00
grep -hE 'ERROR|CRITICAL' "$WORK/f2b.log" | grep -v "Invariant check failed" | head -n 5
summary
