#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Much of everything: sets of a million entries, 100 000 rules, the memory that a command needs for rules, and
# rules for whose tables there is no room. What is right and how much memory is asserted; time is only told.
. "$(dirname "$0")/lib.sh"

need jq python3
[ -x "$TOOLS/net/from" ] || skip_all "not built: $TOOLS/net/from"
own_bpffs
two_namespaces
# Nothing but the test's packets is to be counted.
for ns in s c; do
	in_ns $ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1
done

pset() {
	pg s set "$@"
}

# timed WHAT COMMAND…: expect_ok, and how long it took
timed() {
	local start=${EPOCHREALTIME/[.,]/}

	expect_ok "$@"
	echo "$1: $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms"
}

decided() {
	json s reasons '[.reasons[] | select(.name == "rule" or .name == "policy").packets] | add // 0'
}

# send FILE: a packet for each of its lines. The veth's queue takes 256, so a hundred at a time.
send() {
	local from=1 lines before

	lines=$(wc -l <"$1")
	while [ $from -le "$lines" ]; do
		sed -n "$from,$((from + 99))p" "$1" >"$WORK/batch"
		before=$(decided)
		in_ns c "$TOOLS/net/from" pgc0 <"$WORK/batch"
		wait_for "the packets" eval '[ $(($(decided) - before)) = "$(wc -l <"$WORK/batch")" ]'
		from=$((from + 100))
	done
}

# "RULE PACKETS" of each rule of INPUT that has counted; 0 is the policy
hits() {
	pg s save -c | awk '{ gsub(/[][]/, "") }
		$1 == ":INPUT" { split($3, c, ":"); if (c[1] + 0) print 0, c[1] }
		$2 == "-A" { n++; split($1, c, ":"); if (c[1] + 0) print n, c[1] }'
}

# What all maps have, in bytes.
memory() {
	pg s status | awk '$1 == "Memory" { print $2 }'
}

classifier() {
	pg s status | sed -nE 's/^Classifier +(.*): [0-9]+ terms,.*/\1/p'
}

expect_ok "attach" pg s attach pgs0 --mode native --no-egress

# Sets of a million entries --------------------------------------------------------------------------

N=1000000
cat >"$WORK/elements.awk" <<'AWK'
# Elements as `ipset save -s` sorts them, and every 20 011th, the first and the last in packets of members,
# and of neighbours that are none: -v type= n= members= others=
function dotted(a) {
	return int(a / 16777216) "." int(a / 65536) % 256 "." int(a / 256) % 256 "." a % 256
}
function packet(file, a, proto, port) {
	print dotted(a), "10.77.0.1 0", proto, 40000, port >file
}
BEGIN {
	print "create", type, "hash:" type, "family inet hashsize 1024 maxelem", n, "bucketsize 12 initval 0x5a1bc4e2"
	for (i = 0; i < n; i++) {
		shown = i % 20011 == 0 || i == n - 1
		if (type == "ip") { # every other address
			a = 167772161 + 2 * i
			element = dotted(a)
			if (shown) {
				packet(members, a, "tcp", 80)
				packet(others, a - 1, "tcp", 80)
				packet(others, a + 1, "udp", 80)
			}
		} else if (type == "net") { # every other /24, and between them a quarter of each
			a = 335544320 + 256 * i
			element = dotted(a) (i % 2 ? "/26" : "/24")
			if (shown) {
				packet(members, a, "tcp", 80)
				packet(members, a + (i % 2 ? 63 : 255), "udp", 80)
				packet(others, a + (i % 2 ? 64 : 511), "tcp", 80)
			}
		} else { # four of each address
			a = 838860800 + int(i / 4)
			proto = i % 4 < 2 ? "tcp" : "udp"
			element = dotted(a) "," proto ":" 1000 + i % 4
			if (shown) {
				packet(members, a, proto, 1000 + i % 4)
				packet(others, a, proto == "tcp" ? "udp" : "tcp", 1000 + i % 4)
				packet(others, a, proto, i % 4 < 2 ? 999 : 1004)
			}
		}
		print "add", type, element
	}
	if (type == "net")
		packet(others, 335544319, "tcp", 80)
	packet(others, a + 300, "tcp", 1000) # behind the last
}
AWK

# set_of TYPE DIRECTIONS ONE-MORE MB: of type hash:TYPE, in at most so much memory
set_of() {
	local type=$1 empty bytes

	awk -v type="$type" -v n=$N -v members="$WORK/members" -v others="$WORK/others" \
		-f "$WORK/elements.awk" >"$WORK/set"
	empty=$(memory)
	timed "hash:$type: a million entries" pset restore -f "$WORK/set"
	expect "hash:$type: counted" "$(pset list -t "$type" --json | jq '.sets[0].entries')" $N
	expect "hash:$type: counted in text" "$(pset list -t "$type" | sed -n 's/^Number of entries: //p')" $N
	expect_exit "hash:$type: no room for one more" 1 'Hash is full' pset add "$type" "$3"

	bytes=$(pset list -t "$type" --json | jq '.sets[0].memory_bytes')
	echo "hash:$type: $((bytes / 1000000)) MB"
	expect "hash:$type: at most $4 MB, and not too good to be true" \
		$((bytes <= $4 * 1000000 && bytes > N * 16)) 1
	expect "hash:$type: status counts it" $(($(memory) - empty)) "$bytes"

	expect_ok "hash:$type: a rule" pg s -A INPUT -m set --match-set "$type" "$2" -j DROP
	send "$WORK/members"
	expect "hash:$type: members" "$(hits)" "1 $(wc -l <"$WORK/members")"
	expect_ok "hash:$type: counters" pg s -Z
	send "$WORK/others"
	expect "hash:$type: others" "$(hits)" "0 $(wc -l <"$WORK/others")"

	timed "hash:$type: saved" pset save -s "$type" -file "$WORK/saved"
	expect "hash:$type: saved as it came" "$(cmp <(sed 's/ bucketsize.*//' "$WORK/set") \
		<(sed 's/ hashsize [0-9]*/ hashsize 1024/' "$WORK/saved") 2>&1)" ""
	expect_ok "hash:$type: the rule goes" pg s -F INPUT
	expect_ok "hash:$type: counters" pg s -Z
	timed "hash:$type: destroyed" pset destroy "$type"
	expect "hash:$type: its memory is free" "$(memory)" "$empty"
}

set_of ip src 192.0.2.1 128
set_of net src 192.0.2.0/24 80
set_of ip,port src,dst 192.0.2.1,tcp:80 128

# Rules ----------------------------------------------------------------------------------------------

cat >"$WORK/rules.py" <<'PYTHON'
# rules.py prefixes|gaps N RULES PACKETS HITS: N random rules as `save` prints them, packets that meet the
# first of them, the last, some between and none, and how often each rule must have counted then.
import random, sys

kind, n = sys.argv[1], int(sys.argv[2])
random.seed(1)
bits = random.getrandbits
rules = []

def dotted(a):
    return ".".join(str(a >> shift & 255) for shift in (24, 16, 8, 0))

for i in range(n):
    if kind == "prefixes":
        length = 24 + bits(16) % 9
        mask = 2**32 - 2**(32 - length)
        low = high = 1 + bits(16) % 65535
        words = "%d" % length, "%d" % low
        address = bits(32) & mask
    else:
        mask = 0xff000001 | bits(24)
        low, high = bits(16) % 100, 100 + bits(16) % 65000
        words = dotted(mask), "%d:%d" % (low, high)
        address = (10 << 24 | bits(24)) & mask
    rules.append((address, mask, low, high, words))
with open(sys.argv[3], "w") as out:
    out.write("*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
    for i, (address, mask, low, high, words) in enumerate(rules):
        out.write("-A INPUT -s %s/%s -p tcp -m tcp --dport %s -j %s\n" %
                  (dotted(address), *words, "DROP" if i % 3 else "ACCEPT"))
    out.write("COMMIT\n")

hits = {}
with open(sys.argv[4], "w") as out:
    for k in range(90):
        i = 0 if k == 0 else n - 1 if k == 1 else bits(32) % n
        address, mask, low, high, words = rules[i]
        source = address | bits(32) & ~mask & 0xffffffff
        port = high
        if k % 9 == 5: # a neighbour
            source ^= mask & -mask
        if k % 9 == 7: # or another port
            port += 1
        met = next((j + 1 for j, (a, m, l, h, w) in enumerate(rules)
                    if l <= port <= h and source & m == a), 0)
        hits[met] = hits.get(met, 0) + 1 + k % 3
        out.write("%s 10.77.0.1 0 tcp 40000 %d\n" % (dotted(source), port) * (1 + k % 3))
with open(sys.argv[5], "w") as out:
    for met in sorted(hits):
        out.write("%d %d\n" % (met, hits[met]))
PYTHON

rules() {
	python3 "$WORK/rules.py" "$1" "$2" "$WORK/rules" "$WORK/packets" "$WORK/hits"
}

# rules_count WHAT: each packet meets its rule
rules_count() {
	pg s -Z # the policy keeps its own
	send "$WORK/packets"
	expect "$1: every packet meets its rule" "$(hits)" "$(cat "$WORK/hits")"
}

# saved WHAT: the rules as they came
saved() {
	timed "$1: saved" pg s save -f "$WORK/saved"
	expect "$1: saved as they came" "$(cmp "$WORK/rules" <(sed '/^#/d; s/^\(:INPUT DROP\) .*/\1 [0:0]/' \
		"$WORK/saved") 2>&1)" ""
}

rules prefixes 100000
timed "100 000 rules" pg s restore "$WORK/rules"
expect "their form" "$(classifier)" "three-level bitmaps and rows of few"
expect "it is the JSON's, too" "$(json s status .policy.classifier)" "$(classifier)"
expect "the first, the last and none are met" "$(grep -cE '^(0|1|100000) ' "$WORK/hits")" 3
rules_count "100 000 rules"
saved "100 000 rules"

# Memory ---------------------------------------------------------------------------------------------

# peak COMMAND…: the most memory that it had, in KB
peak() {
	in_ns s python3 -c '
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
pid, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss if status == 0 else "exit status %d" % status)' "$PORTGUARD" --state "$STATE" "$@"
}

# In place of one rule each: what there is in another's place is read as well.
rules prefixes 1
expect_ok "one rule" pg s restore "$WORK/rules"
one=$(peak restore "$WORK/rules")
for n in 10000 100000; do
	rules prefixes $n
	many=$(peak restore "$WORK/rules")
	echo "$n rules: $(((many - one) / 1024)) MB more than one"
	# 1 KB a rule, and some for what does not grow.
	expect "memory for $n rules is bounded" $((many > one && many - one < n + 54 * 1024)) 1
	timed "$n rules in place of as many" pg s restore "$WORK/rules"
	rules prefixes 1
	expect_ok "one rule" pg s restore "$WORK/rules"
done

# Tables without bounds --------------------------------------------------------------------------------

ROBUST="robust: rules are verified one by one, their tables have no room"
rules gaps 1000
timed "1000 masks with gaps and ranges of ports" pg s restore "$WORK/rules"
expect "they have the robust form" "$(classifier)" "$ROBUST"
expect "in JSON, too" "$(json s status .policy.classifier)" "$ROBUST"
rules_count "robust form"
read -r source _ _ _ _ port <"$WORK/packets"
expect "robust form: portguard test knows the rule" \
	"$(pg s test -i pgs0 -s "$source" --dport "$port" --json | jq -r '"\(.verdict) \(.rule)"')" "ACCEPT 1"
saved "robust form"
rules prefixes 1000
expect_ok "others" pg s restore "$WORK/rules"
expect "have a form of their own again" "$(classifier)" "two-level bitmaps and rows of few"
rules_count "1000 rules"

pg s detach --all
summary
