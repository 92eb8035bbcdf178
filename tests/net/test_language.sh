#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The same commands to iptables-legacy and to portguard: chains, targets and tables. Exit code and
# the first line of an error must be the same, and what -S prints afterwards.
# Where the kernel refuses, iptables says "Invalid argument. Run `dmesg'", and portguard what it is.
# One network namespace for all of it: thousands of commands would enter it one by one otherwise.
if [ "$(id -u)" = 0 ] && [ -z "${PG_LANGUAGE_NS:-}" ]; then
	PG_TEST_TIMEOUT=${PG_TEST_TIMEOUT:-600} PG_LANGUAGE_NS=1 exec unshare -n bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

need iptables-legacy ip6tables-legacy iptables-legacy-restore iptables-legacy-save
own_bpffs
for t in filter raw; do
	iptables-legacy -t $t -S >/dev/null 2>&1 || skip_all "no table $t in this kernel"
done

pg() {
	"$PORTGUARD" --state "$STATE" "$@"
}

# The first line of what went wrong, without who says it.
reason_of() {
	sed -n '1{s/^\(portguard\|ip6\?tables\)\( v[^:]*\)\?: //;p}' "$1"
}

# portguard's words for a command of one family: those that give a rule say which
in_family() { # FAMILY ARGUMENTS…
	local family=$1 word by_number=' -D [^ ]+ [0-9]+ '
	shift

	for word; do
		if [[ $word == -[AIRDC] && ! " $* " =~ $by_number ]]; then
			pg "-$family" "$@"
			return
		fi
	done
	pg "$@"
}

# both FAMILY ARGUMENTS…: runs them under both and compares
both() {
	local family=$1 tool=iptables-legacy code_i code_p
	shift
	[ "$family" = 6 ] && tool=ip6tables-legacy

	$tool "$@" >"$WORK/out_i" 2>"$WORK/err_i"
	code_i=$?
	in_family "$family" "$@" >"$WORK/out_p" 2>"$WORK/err_p"
	code_p=$?
	sed -i '/^portguard: warning: /d' "$WORK/err_p"
	sed -i '/^warn: --nflog-range /d' "$WORK/err_i"
	if [ $code_i != $code_p ]; then
		fail "$*" "exit code $code_p, iptables $code_i" "$(cat "$WORK/err_p")"
	elif [ $code_i != 0 ] && ! grep -q 'Run `dmesg' "$WORK/err_i" &&
		[ "$(reason_of "$WORK/err_i")" != "$(reason_of "$WORK/err_p")" ]; then
		fail "$*" "says:     $(reason_of "$WORK/err_p")" "iptables: $(reason_of "$WORK/err_i")"
	else
		pass "$*"
	fi
	[ $code_i != 0 ] || same_rules "$family" "$*" "$(table_of "$@")"
}

table_of() {
	if [[ " $* " == *" -t raw "* ]]; then
		echo raw
	else
		echo filter
	fi
}

# As -S prints them.
same_rules() { # FAMILY WHAT TABLE…
	local family=$1 what=$2 tool=iptables-legacy t
	shift 2
	[ "$family" = 6 ] && tool=ip6tables-legacy

	for t; do
		$tool -t "$t" -S >"$WORK/i" 2>&1
		pg -t "$t" "-$family" -S >"$WORK/p" 2>&1
		cmp -s "$WORK/i" "$WORK/p" ||
			fail "table $t after: $what" "$(diff "$WORK/i" "$WORK/p")"
	done
}

reset() {
	local t

	for t in filter raw; do
		iptables-legacy -t $t -F
		iptables-legacy -t $t -X
		ip6tables-legacy -t $t -F
		ip6tables-legacy -t $t -X
		pg -t $t -F
		pg -t $t -X
	done
}

# One command a line; words are split as a shell does. A first word 6 means ip6tables.
run_list() {
	local line
	local -a words

	while IFS= read -r line; do
		[ -n "$line" ] || continue
		eval "words=($line)"
		if [ "${words[0]}" = 6 ]; then
			both 6 "${words[@]:1}"
		else
			both 4 "${words[@]}"
		fi
	done
	same_rules 4 "the list" filter raw
	reset
}

# Chains.
run_list <<'EOF'
-N web
-N web
-N INPUT
-N ACCEPT
-N REJECT
-N TOS
-N RETURN
-N -x
-N '!x'
-N ''
-N 'a b'
-N --
-N aaaaaaaaaaaaaaaaaaaaaaaaaaaa
-N aaaaaaaaaaaaaaaaaaaaaaaaaaaaa
-N -aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
-N a b
-N
-N zz -j ACCEPT
-N zz -n
-N zz -A INPUT
-N ! zz
! -N zz
-Nattached
-X nope
-X INPUT
-X web -n
-X aaaaaaaaaaaaaaaaaaaaaaaaaaaa
-A INPUT -j web
-A INPUT -g web -s 1.2.3.4
-A web -j RETURN
-A INPUT -j RETURN
-X web
-X
-F INPUT
-X web
-F web
-X web
-X
EOF

run_list <<'EOF'
-N a
-N b
-A a -j b
-A b -j a
-A INPUT -j a
-I INPUT -g a
-A OUTPUT -g a
-D b -j a
-A INPUT -j a
-A b -j a
-A b -g b
-R b 1 -j a
-A b -j INPUT
-A b -g INPUT
-A INPUT -j OUTPUT
-A INPUT -j nosuch
-A INPUT -g nosuch
-A INPUT -g ACCEPT
-A INPUT -g LOG
-C INPUT -j nosuch
-D INPUT -j nosuch
-A nochain -j nosuch
-A INPUT -j a -j b
-A INPUT -j a -g b
-A INPUT ! -g a
-A INPUT -g ''
-A INPUT -g 'a b'
-A INPUT -j aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
-A nochain -j ACCEPT
-D nochain -j ACCEPT
-D nochain 1
-C nochain -j ACCEPT
-A INPUT -p sctp --dport 0:65535
-C INPUT -p sctp --dport :
-C INPUT -p sctp -m sctp
-C INPUT -p sctp --sport :
-D INPUT -p sctp -m sctp --dport :
-A INPUT -p tcp --dport :
-C INPUT -p tcp -m tcp
-D INPUT -p tcp -m tcp
-I nochain -j ACCEPT
-R nochain 1 -j ACCEPT
-F nochain
-L nochain
-S nochain
-Z nochain
-Z nochain 1
-P nochain ACCEPT
-P a ACCEPT
-P a DROP
-P INPUT a
-P INPUT RETURN
-C INPUT -j a
-C INPUT -g a
-D INPUT -j a
-C INPUT -j a
-Z a
-Z a 9
-Z b 1
-R a 2 -j ACCEPT
-I a 7 -j ACCEPT
-D a 7
EOF

# Names.
run_list <<'EOF'
-N u
-N a
-A INPUT -j u
-A a -g u
-E u v
-E u w
-E v INPUT
-E v a
-E INPUT v
-E INPUT new
-E nochain new
-E nochain INPUT
-E v
-E v -x
-E v '!x'
-E v ACCEPT
-E v v
-E a zz
-X zz
EOF

# Targets.
run_list <<'EOF'
-A INPUT -j REJECT
-A INPUT -p tcp -j REJECT --reject-with icmp-net-unreachable
-A INPUT -p tcp -j REJECT --reject-with net-unreach
-A INPUT -p tcp -j REJECT --reject-with icmp-host-unreachable
-A INPUT -p tcp -j REJECT --reject-with proto-unreach
-A INPUT -p tcp -j REJECT --reject-with port-unreach
-A INPUT -p tcp -j REJECT --reject-with icmp-net-prohibited
-A INPUT -p tcp -j REJECT --reject-with host-prohib
-A INPUT -p tcp -j REJECT --reject-with admin-prohib
-A INPUT -p tcp -j REJECT --reject-with tcp-rst
-A INPUT -p tcp -j REJECT --reject-with icmp-p
-A INPUT -p tcp -j REJECT --reject-with ''
-A INPUT -p tcp -j REJECT --reject-with ICMP-PORT
-A INPUT -p tcp -j REJECT --reject-with foo
-A INPUT -j REJECT --reject-with tcp-reset
-A INPUT -p udp -j REJECT --reject-with tcp-reset
-A INPUT ! -p tcp -j REJECT --reject-with tcp-reset
-A INPUT -j REJECT --reject-with
-A INPUT -j REJECT ! --reject-with tcp-reset
-A INPUT -j REJECT --reject-with host-unreach --reject-with port-unreach
-A INPUT --reject-with host-unreach -j REJECT
-A INPUT -j ACCEPT --reject-with host-unreach
-A INPUT -j REJECT --foo
-A INPUT -j REJECT -p tcp --dport 80 -m tcp --syn --reject-with tcp-reset
-C INPUT -j REJECT --reject-with icmp-port-unreachable
-D INPUT -j REJECT
6 -A INPUT -j REJECT
6 -A INPUT -j REJECT --reject-with no-route
6 -A INPUT -j REJECT --reject-with icmp6-adm-prohibited
6 -A INPUT -j REJECT --reject-with addr-unreach
6 -A INPUT -j REJECT --reject-with port-unreach
6 -A INPUT -j REJECT --reject-with policy-fail
6 -A INPUT -j REJECT --reject-with reject-route
6 -A INPUT -p tcp -j REJECT --reject-with tcp-reset
6 -A INPUT -j REJECT --reject-with icmp6-a
6 -A INPUT -j REJECT --reject-with icmp-port-unreachable
6 -A INPUT -j REJECT --reject-with tcp-reset
EOF

run_list <<'EOF'
-A INPUT -j LOG
-A INPUT -j LOG --log-level 0
-A INPUT -j LOG --log-level 4
-A INPUT -j LOG --log-level 8
-A INPUT -j LOG --log-level debug
-A INPUT -j LOG --log-level warn
-A INPUT -j LOG --log-level warning
-A INPUT -j LOG --log-level err
-A INPUT -j LOG --log-level error
-A INPUT -j LOG --log-level panic
-A INPUT -j LOG --log-level DEBUG
-A INPUT -j LOG --log-level 0x3
-A INPUT -j LOG --log-level -1
-A INPUT -j LOG --log-level 4x
-A INPUT -j LOG --log-level
-A INPUT -j LOG --log-prefix 12345678901234567890123456789
-A INPUT -j LOG --log-prefix 123456789012345678901234567890x
-A INPUT -j LOG --log-prefix 'a b: '
-A INPUT -j LOG --log-prefix '\ " '\'' x'
-A INPUT -j LOG --log-prefix ''
-A INPUT -j LOG --log-prefix $'a\nb'
-A INPUT -j LOG --log-prefix -x
-A INPUT -j LOG --log-prefix '!'
-A INPUT -j LOG --log-prefix a --log-prefix b
-A INPUT -j LOG ! --log-prefix a
-A INPUT -j LOG --log-macdecode --log-uid --log-ip-options --log-tcp-options --log-tcp-sequence
-A INPUT -j LOG --log-uid --log-uid
-A INPUT -j LOG --log-tcp
-A INPUT -j LOG --log-tcp-s
-A INPUT -j LOG --log-prefix=x
-D INPUT -j LOG --log-level 4
-C INPUT -j LOG --log-prefix y
EOF

run_list <<'EOF'
-A INPUT -j NFLOG
-A INPUT -j NFLOG --nflog-group 0
-A INPUT -j NFLOG --nflog-group 5
-A INPUT -j NFLOG --nflog-group 65536
-A INPUT -j NFLOG --nflog-group -1
-A INPUT -j NFLOG --nflog-group 0x10
-A INPUT -j NFLOG --nflog-group 1 --nflog-group 2
-A INPUT -j NFLOG ! --nflog-group 1
-A INPUT -j NFLOG --nflog-prefix 'a b'
-A INPUT -j NFLOG --nflog-prefix ''
-A INPUT -j NFLOG --nflog-prefix 1234567890123456789012345678901234567890123456789012345678901234
-A INPUT -j NFLOG --nflog-range 40
-A INPUT -j NFLOG --nflog-range 0
-A INPUT -j NFLOG --nflog-size 0
-A INPUT -j NFLOG --nflog-size 4294967295
-A INPUT -j NFLOG --nflog-size 4294967296
-A INPUT -j NFLOG --nflog-size 40 --nflog-range 50
-A INPUT -j NFLOG --nflog-threshold 0
-A INPUT -j NFLOG --nflog-threshold 5 --nflog-group 2 --nflog-prefix z --nflog-size 3
-A INPUT -j NFLOG --nflog-threshold 65536
-D INPUT -j NFLOG --nflog-group 0
-A INPUT -j MARK
-A INPUT -j MARK --set-mark 1
-A INPUT -j MARK --set-mark 010
-A INPUT -j MARK --set-mark 1/2
-A INPUT -j MARK --set-mark 0x3/0x1
-A INPUT -j MARK --set-xmark 0x10/0xff
-A INPUT -j MARK --set-xmark 3
-A INPUT -j MARK --and-mark 0xf0
-A INPUT -j MARK --or-mark 0x0f
-A INPUT -j MARK --xor-mark 0x3
-A INPUT -j MARK --set-mark x
-A INPUT -j MARK --set-mark 4294967296
-A INPUT -j MARK --set-mark 1/
-A INPUT -j MARK --or-mark 1/2
-A INPUT -j MARK --or-mark 2 --set-mark 1
-A INPUT -j MARK --and-mark 2 --set-xmark 1
-A INPUT -j MARK --set-mark 1 --set-mark 2
-A INPUT -j MARK ! --set-mark 1
-C INPUT -j MARK --set-xmark 0xf/0xf
EOF

# Tables.
run_list <<'EOF'
-t raw -A PREROUTING -j CT --notrack
-t raw -A PREROUTING -j CT
-t raw -A PREROUTING -j NOTRACK
-t raw -A PREROUTING -j CT --notrack --notrack
-t raw -A PREROUTING -j CT ! --notrack
-t raw -A PREROUTING -j NOTRACK --notrack
-t raw -A PREROUTING -j CT --foo
-t raw -C PREROUTING -j NOTRACK
-t raw -D PREROUTING -j NOTRACK
-t raw -C PREROUTING -j NOTRACK
-t raw -A OUTPUT -j CT --notrack -o lo
-t raw -A OUTPUT -i lo
-t raw -A PREROUTING -o lo
-t raw -A PREROUTING -i lo -j DROP
-t raw -A PREROUTING -j REJECT
-t raw -A PREROUTING -j LOG
-t raw -A INPUT
-t raw -P INPUT DROP
-t raw -P PREROUTING DROP
-t raw -P PREROUTING ACCEPT
-t raw -N INPUT
-t raw -A INPUT -o eth0
-t raw -A INPUT -i eth0
-t raw -N x
-t raw -A x -j REJECT
-t raw -A PREROUTING -j x
-t raw -N ACCEPT
-N x
-A x -j NOTRACK
-A x -j CT --notrack
-C x -j NOTRACK
-A x -i a -o b
-A FORWARD -i a -o b -j x
-A OUTPUT -o b
-A OUTPUT -i b
-A INPUT -o b
-A INPUT -j x
-t raw -F
-t raw -X x
-t raw -X
-t nosuch -L
-t filter -S x
-A INPUT -j REJECT -t raw
EOF

# Listings. A family shows its own rules only, in its own words.
pg restore -4 >/dev/null 2>&1 <<'EOF'
*filter
:web - [0:0]
:wob - [0:0]
-A INPUT -p tcp --dport 80 -j web
-A INPUT -g wob
-A INPUT -j LOG --log-prefix "a b" --log-level debug --log-uid
-A INPUT -j MARK --or-mark 7
-A INPUT -j NFLOG --nflog-group 3
-A INPUT -p udp --dport 53
-A INPUT -p udp --sport 67:123 --dport ssh
-A INPUT -p dccp --dport http
-A INPUT -p sctp --sport 80
-A FORWARD -i a -o b -j wob
-A web -j REJECT
-A web -p tcp -j REJECT --reject-with tcp-reset
-A wob -j RETURN
COMMIT
*raw
-A PREROUTING -j NOTRACK
-A PREROUTING -j CT --notrack
COMMIT
EOF
pg save -4 >"$WORK/saved"
expect_ok "iptables-restore takes what save -4 prints" \
	iptables-legacy-restore "$WORK/saved"
pg -A FORWARD -m vlan --vlan-id 5 -j DROP
said=$(pg save -4 2>&1 >/dev/null)
expect "what iptables-restore will not take is told" "${said%%, which*}" \
	"portguard: rule $(pg -S FORWARD | grep -c ^-A) of FORWARD has \`-m vlan'"
expect "not where portguard reads it" "$(pg save 2>&1 >/dev/null)" ""
pg -D FORWARD -m vlan --vlan-id 5 -j DROP
pg -A FORWARD -p udplite --dport 53 -j DROP
said=$(pg save -4 2>&1 >/dev/null)
expect "udplite's ports, too" "${said%%, which*}" \
	"portguard: rule $(pg -S FORWARD | grep -c ^-A) of FORWARD has \`-m udplite'"
pg -D FORWARD -p udplite --dport 53 -j DROP
for options in "-L" "-L -n" "-L -v" "-L -n -v -x" "-L web" "-L --line-numbers" "-S -v" "-S web" \
	"-t raw -L" "-t raw -L -n -v" "-S INPUT 2"; do
	expect "$options" "$(pg -4 $options 2>&1)" "$(iptables-legacy $options 2>&1)"
done
for rule in "-g web" "-j LOG --log-prefix x" "-p udp --dport 53 -j REJECT" "-j wob"; do
	expect "-A INPUT $rule -v" "$(pg -4 -A INPUT $rule -v 2>/dev/null | sed 's/ IPv4 only$//')" \
		"$(iptables-legacy -A INPUT $rule -v 2>/dev/null)"
done
for options in "-F -v" "-Z -v" "-t raw -F -v" "-N web2 -v" "-X web2 -v" "-X -v"; do
	expect "$options" "$(pg $options 2>/dev/null)" "$(iptables-legacy $options 2>/dev/null)"
done
reset

# What iptables-save prints loads here and comes back the same; and the other way round.
round_trip() { # FAMILY TOOL
	"$2-legacy-save" | sed '/^#/d' >"$WORK/i"
	expect_ok "restore -$1 takes what $2-save prints" pg restore "-$1" "$WORK/i"
	pg save "-$1" | sed '/^#/d' >"$WORK/p"
	expect "save -$1 prints it again" "$(cat "$WORK/p")" "$(cat "$WORK/i")"
	expect_ok "$2-restore takes it" "$2-legacy-restore" "$WORK/p"
	"$2-legacy-save" | sed '/^#/d' >"$WORK/again"
	expect "and $2-save prints it again" "$(cat "$WORK/again")" "$(cat "$WORK/i")"
}
for tool in iptables ip6tables; do
	$tool-legacy-restore <<'EOF'
*filter
:INPUT DROP [0:0]
:z - [0:0]
:a - [0:0]
-A INPUT -j a
-A INPUT -g z
-A INPUT -p tcp -j REJECT
-A INPUT -p tcp -j REJECT --reject-with tcp-reset
-A FORWARD -i eth0 -o eth1 -j z
-A a -j LOG --log-prefix "a \" b" --log-level 7 --log-uid
-A a -j NFLOG --nflog-group 2 --nflog-prefix x
-A a -j MARK --set-xmark 0x1/0x2
-A a -j RETURN
COMMIT
*raw
:z - [0:0]
-A PREROUTING -j z
-A z -j NOTRACK
-A OUTPUT -o lo -j CT --notrack
COMMIT
EOF
	round_trip "$([ $tool = iptables ] && echo 4 || echo 6)" $tool
done

# A rule for both families without a type goes to each in its own words.
pg restore <<'EOF'
*filter
-A INPUT -j REJECT
COMMIT
EOF
expect "one REJECT for both" "$(pg -S INPUT)" $'-P INPUT DROP\n-A INPUT -j REJECT'
for tool in iptables ip6tables; do
	pg save "-$([ $tool = iptables ] && echo 4 || echo 6)" >"$WORK/saved"
	expect_ok "$tool-restore takes it" $tool-legacy-restore "$WORK/saved"
	pg save >"$WORK/saved"
	expect_ok "$tool-restore takes the file for both, too" \
		$tool-legacy-restore "$WORK/saved"
done
reset

# Files, as iptables-restore takes them.
# restores OPTIONS TEXT: the same exit code from both, and the same rules afterwards
restores() {
	local code_i code_p

	printf '%b' "$2" >"$WORK/file"
	iptables-legacy-restore $1 <"$WORK/file" >/dev/null 2>"$WORK/err_i"
	code_i=$?
	pg restore $1 -4 <"$WORK/file" >/dev/null 2>"$WORK/err_p"
	code_p=$?
	expect "restore $1 $2" "$code_p" "$code_i"
	same_rules 4 "restore $1 $2" filter raw
}
restores "" '*filter\n:web - [0:0]\n-A INPUT -j web\n-A web -j web\nCOMMIT\n'
restores "" '*filter\n:web - [0:0]\n-A INPUT -j web2\n:web2 - [0:0]\nCOMMIT\n'
restores "" '*filter\n:web ACCEPT [0:0]\nCOMMIT\n'
restores "" '*filter\n:INPUT DROP\nCOMMIT\n'
restores "" '*filter\n:INPUT - [0:0]\nCOMMIT\n'
restores "" '*filter\n:INPUT\nCOMMIT\n'
restores "" '*filter\n:web - [0:0]\n:web - [0:0]\nCOMMIT\n'
restores "" '*filter\n:web -\n-A web -j ACCEPT\n-N b\n-A b -j web\nCOMMIT\n'
restores -n '*filter\n:web - [0:0]\n-A INPUT -j web\nCOMMIT\n'
restores -n '*filter\n-X web\nCOMMIT\n'
restores -n '*filter\n-F INPUT\n-F b\n-X web\nCOMMIT\n'
restores -n '*filter\n:INPUT DROP [0:0]\n-A INPUT -j b\nCOMMIT\n'
restores -n '*filter\n-E b c\n-A c -j RETURN\nCOMMIT\n'
restores -n '*filter\n-A INPUT -j ACCEPT\n-X\nCOMMIT\n'
restores -n '*filter\n-A c -j OUTPUT\nCOMMIT\n'
restores -n '*filter\n-A INPUT -j REJECT --reject-with tcp-reset\nCOMMIT\n'
restores "" '*filter\n:ACCEPT - [0:0]\nCOMMIT\n'
restores "" '*filter\n:aaaaaaaaaaaaaaaaaaaaaaaaaaaaa - [0:0]\nCOMMIT\n'
restores "" '*filter\n-N b\n-N a\n-N z\n-N m\n-A a -j ACCEPT\nCOMMIT\n'
restores "-T filter" '*raw\n-A PREROUTING -j ACCEPT\nCOMMIT\n*filter\n-A INPUT -j DROP\nCOMMIT\n'
restores "-T nosuch" '*raw\n-A PREROUTING -j ACCEPT\nCOMMIT\n'
restores "" '*nosuch\n-A PREROUTING -j ACCEPT\nCOMMIT\n'
restores "" '*filter\n-A INPUT -j ACCEPT\n'
restores -c '*filter\n:web - [0:0]\n[5:300] -A INPUT -j web\n[7:420] -A web -j DROP\nCOMMIT\n'
expect "counters" "$(pg -4 -S -v)" "$(iptables-legacy -S -v)"
restores "" '*raw\n:x - [0:0]\n-A PREROUTING -j x\nCOMMIT\n*filter\n:x - [0:0]\nCOMMIT\n'

# Nothing half-done, and counters where rules stay.
pg restore -c 2>/dev/null <<'EOF'
*filter
:web - [0:0]
[3:180] -A INPUT -j web
[7:420] -A web -p tcp -j DROP
COMMIT
*raw
[2:100] -A PREROUTING -p udp -j NOTRACK
COMMIT
EOF
before=$(pg -S -v; pg -t raw -S -v)
expect_exit "a loop changes nothing" 1 'Too many levels of symbolic links\.' pg -A web -j web
expect_exit "a chain in use stays" 1 'Too many links\.' pg -X
expect "the policy is as before" "$(pg -S -v; pg -t raw -S -v)" "$before"
pg -E web www
pg -N aaa
pg -t raw -N bbb
pg -A www -j RETURN
expect "counters of rules in other chains" "$(pg -S -v | grep -c -e '-c 3 180' -e '-c 7 420')" 2
expect "and of the other table" "$(pg -t raw -S -v | grep -c -e '-c 2 100')" 1
expect "JSON tells the tables apart" \
	"$(pg rules --json | grep -o '"table":"raw","name":"bbb","policy":null,"references":0' | wc -l)" 1

# Every chain is enforced: there is nothing to warn of.
expect "-A FORWARD" "$(pg -A FORWARD -j www 2>&1)" ""
expect "-A of a chain that FORWARD leads to" "$(pg -A www -j ACCEPT 2>&1)" ""
expect "-A INPUT" "$(pg -A INPUT -p tcp 2>&1)" ""
expect "-P OUTPUT DROP" "$(pg -P OUTPUT DROP 2>&1)" ""
expect_exit "a cut prefix" 0 'warning: --log-prefix is cut to 29 bytes' \
	pg -A INPUT -j LOG --log-prefix 123456789012345678901234567890
# A file of one family takes the place of both families' rules, and says so.
pg restore -4 <<<$'*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j ACCEPT\nCOMMIT' 2>/dev/null
expect "whose rules a file of one family took" "$(pg restore -6 2>&1 <<<$'*filter\n:INPUT DROP [0:0]\nCOMMIT')" \
	"portguard: restore -6 took the place of all rules, of which 1 held for IPv4; restore -n -6 adds to them
portguard: the policy of INPUT is DROP now, for IPv4, too"
expect "nothing, where it adds" "$(pg restore -n -4 2>&1 <<<$'*filter\n-A INPUT -p tcp -j ACCEPT\nCOMMIT')" ""
summary
