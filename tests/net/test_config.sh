#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Every setting of portguard.conf, in an instance; fail2ban's and CrowdSec's actions.
. "$(dirname "$0")/lib.sh"

need jq
own_bpffs
two_namespaces

cat >"$WORK/rules" <<'RULES'
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 81 -j DROP
COMMIT
RULES
cat >"$WORK/portguard.conf" <<CONF
state-dir = "$STATE"
policy = "$WORK/rules"
mode = tc
egress = false
flows = 5000
track = on
tcp-loose = false
tcp-liberal = true
fragments = pass
timeouts {
	udp = 7
}
interface other0 { mode = skb }
CONF
export PORTGUARD_CONFIG=$WORK/portguard.conf
# Unlike pg, without --state: that is a setting, too.
of() { in_ns s "$PORTGUARD" "$@"; }

expect_ok "attach" of attach pgs0
expect "mode" "$(of status --json | jq -r '.interfaces[0].mode')" tc
expect "state-dir" "$(of status --json | jq -r .state_dir)" "$STATE"
expect "egress" "$(of status --json | jq -r '.interfaces[0].egress_prog_id')" 0
expect "policy" "$(of -S INPUT | tail -n 1)" "-A INPUT -p tcp -m tcp --dport 81 -j DROP"
expect "flows" "$(of status --json | jq -r .flows.capacity)" 8192
expect "track" "$(of track)" "on strict liberal"
expect "fragments" "$(of set-fragments)" pass
expect "timeouts" "$(of set-timeout udp) $(of set-timeout icmp)" "7 30"

# What is in force stays when the interface is attached again, as `systemctl restart` does.
expect_ok "a rule" of -A INPUT -p tcp --dport 82 -j DROP
expect_ok "attach again" of attach pgs0
expect "the rule is still there" "$(of -S INPUT | tail -n 1)" \
	"-A INPUT -p tcp -m tcp --dport 82 -j DROP"
expect_ok "apply without a file" of apply --force
expect "the file's policy is back" "$(of -S INPUT | tail -n 1)" \
	"-A INPUT -p tcp -m tcp --dport 81 -j DROP"

# The command line says otherwise.
expect_ok "detach all" of detach --all
expect_ok "attach --mode skb" of attach pgs0 --mode skb --flows 4096
expect "--mode wins" "$(of status --json | jq -r '.interfaces[0].mode')" skb
expect "--flows wins" "$(of status --json | jq -r .flows.capacity)" 4096
expect_ok "detach all" of detach --all

# A section of the interface's own.
sed -i 's/other0/pgs0/' "$WORK/portguard.conf"
expect_ok "attach" of attach pgs0
expect "the section's mode" "$(of status --json | jq -r '.interfaces[0].mode')" skb
expect_ok "detach all" of detach --all

# Sets that are there first, for rules of the policy that ask for them.
expect_ok "a set comes first" of set create banned hash:ip
sed -i 's/^COMMIT/-A INPUT -m set --match-set banned src -j DROP\nCOMMIT/' "$WORK/rules"
expect_ok "attach" of attach pgs0
expect "the policy is loaded all the same" "$(of -S INPUT | tail -n 1)" \
	"-A INPUT -m set --match-set banned src -j DROP"
expect_ok "detach all" of detach --all

# Nothing comes into being by a policy that is wrong or not there.
expect_exit "the set is not there" 2 "banned" of attach pgs0
expect "no instance is left" "$([ -e "$STATE" ] && ls "$STATE")" ""
rm "$WORK/rules"
expect_exit "the policy is not there" 1 "$WORK/rules" of attach pgs0
echo "mode = fast" >>"$WORK/portguard.conf"
expect_exit "a wrong configuration is named" 1 "portguard.conf:[0-9]+: mode is" of track

# A filter can be seen and taken away whatever the file is like.
PORTGUARD_CONFIG='' expect_ok "attach" of --state "$STATE" attach pgs0
expect_exit "status warns of the file" 0 "^portguard: warning: .*/portguard.conf:[0-9]+: mode is" of status
expect "so does doctor" "$(of doctor 2>&1 >"$WORK/doctor" | grep -c 'warning: .*/portguard.conf:[0-9]*: mode is')" 1
expect "and looks further" "$(grep -c pgs0 "$WORK/doctor" | sed 's/[1-9][0-9]*/some/')" some
expect "help does not ask it" "$(of attach --help 2>&1 | head -1 | cut -d' ' -f1-3)" "Usage: portguard attach"
expect "and finds its instance" "$(of status --json 2>/dev/null | jq -r '.interfaces[0].name')" pgs0
expect_exit "detach, too" 0 "warning: .*mode is" of detach pgs0
PORTGUARD_CONFIG='' expect_ok "attach" of --state "$STATE" attach pgs0
echo "colour = blue }" >>"$WORK/portguard.conf"
expect_exit "detach --all, too" 0 "warning: .*mode is" of detach --all
expect "nothing is left" "$([ -e "$STATE" ] && ls "$STATE")" ""
expect_exit "and then there is nothing" 1 "warning: .*nothing is attached" of detach --all
summary
