#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What depends on the clock, on chance and on what was counted, while time passes: limit, hashlimit, recent, statistic,
# quota. iptables-legacy has the same rules behind portguard and is asked about the same packets. (Timeouts of sets are
# in test_set.sh and test_matches_live.sh.)
# Nothing here depends on how fast the machine is: where that decides what passes, the kernel's counts are the measure,
# or bounds that being late can't break.
. "$(dirname "$0")/lib.sh"

need iptables-legacy iptables-legacy-restore jq
for tool in send from; do
	[ -x "$TOOLS/net/$tool" ] || skip_all "not built: $TOOLS/net/$tool"
done
own_bpffs
two_namespaces
for match in "limit" "hashlimit --hashlimit-upto 1/s --hashlimit-name probe" "recent --rcheck" \
	"statistic --mode nth --every 2 --packet 0" "quota --quota 1"; do
	in_ns s iptables-legacy -w -t raw -A PREROUTING -m $match 2>/dev/null || skip_all "no -m ${match%% *} in this kernel"
done
send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

# from SOURCE COUNT…
from() {
	local i

	while [ $# -gt 1 ]; do
		for ((i = 0; i < $2; i++)); do echo "$1 10.77.0.1 0 udp"; done
		shift 2
	done | in_ns c "$TOOLS/net/from" pgc0
}

# rules RULE…: exactly these, in both. They only count, so that each sees every packet; in front of them stands one that
# counts all. What they remember is new with them.
rules() {
	local rule

	{
		echo '*filter'
		for rule in '-s 0.0.0.0/0' "$@"; do echo "-A INPUT $rule"; done
		echo COMMIT
	} >"$WORK/rules"
	# Both forget a list with the last rule that names it.
	pg s -F INPUT
	in_ns s iptables-legacy -w -t raw -F
	expect_ok "portguard takes them" pg s restore -4 "$WORK/rules"
	sed -e 's/^\*filter/*raw/' -e 's/ INPUT/ PREROUTING -i pgs0/' \
		-e 's/^COMMIT/-A PREROUTING -i pgs0 -j DROP\n&/' "$WORK/rules" >"$WORK/theirs"
	expect_ok "iptables takes them" in_ns s iptables-legacy-restore -w <"$WORK/theirs"
	total=0
}

# answers: what each rule has counted, in both
answers() {
	mapfile -t ours < <(pg s save -c -4 | sed -n 's/^\[\([0-9]*\):[0-9]*\] -A INPUT.*/\1/p')
	mapfile -t theirs < <(in_ns s iptables-legacy-save -c -t raw |
		sed -n '/-j DROP$/d; s/^\[\([0-9]*\):[0-9]*\] -A PRE.*/\1/p')
}

all_there() {
	answers
	[ "${ours[0]}" = "$total" ] && [ "${theirs[0]}" = "$total" ]
}

# arrive COUNT COMMAND…: so many packets come, and both have seen each of them
arrive() {
	local began=$(now_ms)

	total=$((total + $1))
	shift
	"$@"
	took=$(($(now_ms) - began))
	wait_for "all packets to be counted" all_there
}

# same WHAT [BY]: both say the same of each rule, or what differs by no more than that
same() {
	local i by=${2:-0} d wrong=()

	for ((i = 1; i < ${#ours[@]}; i++)); do
		d=$((ours[i] - theirs[i]))
		[ ${d#-} -le $by ] || wrong+=("${ours[i]}, iptables ${theirs[i]}: $(sed -n "$((i + 2))p" "$WORK/rules")")
	done
	if [ ${#wrong[@]} = 0 ] && [ ${#ours[@]} -gt 1 ] && [ ${#ours[@]} = ${#theirs[@]} ]; then
		pass "$1"
	else
		fail "$1" "${wrong[@]}"
	fi
}

# between WHAT LOW GOT HIGH
between() {
	if [ "$2" -le "$3" ] && [ "$3" -le "$4" ]; then
		pass "$1"
	else
		fail "$1" "got:    $3" "wanted: $2 to $4"
	fi
}

now_ms() { # no clock that is set
	local up

	read -r up _ </proc/uptime
	echo "${up/./}0"
}

# What is earned while time passes --------------------------------------------------------------------
#
# 20/second is one for each 50 ms, a burst of 5 is 250 ms' worth. While more is asked for than there is, no credit is lost:
# what passes from a full bucket on is the burst and one for each 50 ms between the first packet and the last, rounded
# down. Both clocks move with the kernel's tick (10 ms at most), and iptables is asked a moment behind portguard: their
# times differ by less than 50 ms, and what passes by one at most. Each time the bucket is full again, that begins
# anew and may add one: once in front of each phase, and where sending hangs for the 200 ms that it takes at least.
# How many passed in all has bounds of its own: by the time from before the first packet, with 20 ms for the tick and for
# /proc/uptime; and by the bursts, which were there whenever the packets came.
buckets() { # WHAT, RULE FOR 20 A SECOND, ONE FOR 1 AN HOUR, 1: they count what is over
	local what=$1 above=${4:-} sent by=0 before=0

	passed() { # RULE
		echo $((above ? total - ours[$1] : ours[$1]))
	}
	phase() { # WHAT LEAST COUNT MICROSECONDS
		sent=$(now_ms)
		arrive $3 send udp53 $3 $4
		by=$((by + 1 + (took - $3 * $4 / 1000) / 200))
		same "$what: $1, as in iptables" $by
		between "$what: $1" $(($2 + before)) "$(passed 1)" $((before + 5 + ($(now_ms) - sent + 20) / 50))
		expect "$what: $1, where an hour earns one" "$(passed 2)" 5
	}
	rules "$2" "$3"
	phase "the burst, then nothing" 5 40 0
	# What time gave since belongs to the next one.
	before=$(passed 1)
	phase "what is earned meanwhile" 5 100 6000
	sleep 0.5
	before=$(passed 1)
	phase "the burst is there again" 5 40 0
}

limits() { # MODE
	buckets "$1, limit" "-m limit --limit 20/second --limit-burst 5" "-m limit --limit 1/hour --limit-burst 5"
}

hashlimits() { # MODE
	local slow='1/hour --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name' what=$1

	buckets "$what, hashlimit-upto" "-m hashlimit --hashlimit-upto 20/second --hashlimit-burst 5 \
--hashlimit-mode srcip --hashlimit-name fast" "-m hashlimit --hashlimit-upto $slow slow"
	arrive 8 from 10.77.0.3 8
	expect "$what, hashlimit-upto: another address has a burst of its own" "${ours[2]} ${theirs[2]}" "10 10"
	arrive 8 from 10.77.0.3 4 10.77.0.2 4
	expect "$what, hashlimit-upto: and each has it once" "${ours[2]} ${theirs[2]}" "10 10"
	buckets "$what, hashlimit-above" "-m hashlimit --hashlimit-above 20/second --hashlimit-burst 5 \
--hashlimit-mode srcip --hashlimit-name fast" "-m hashlimit --hashlimit-above $slow slow" 1
}

# A bucket that nobody asks is forgotten, and the next packet finds a full one; each that asks keeps it, in vain or not.
expiry() { # MODE
	local hour='1/hour --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-htable-gcinterval 50 --hashlimit-htable-expire'
	local what="$1, hashlimit-htable-expire"

	rules "-m hashlimit --hashlimit-upto $hour 1000 --hashlimit-name soon" \
		"-m hashlimit --hashlimit-above $hour 1000 --hashlimit-name over" \
		"-m hashlimit --hashlimit-upto $hour 600000 --hashlimit-name late"
	arrive 5 send udp53 5
	same "$what: the burst"
	arrive 5 send udp53 5 300000
	same "$what: who asks on gets none"
	sleep 1.2
	arrive 5 send udp53 5
	same "$what: it has expired"
	expect "$what: the burst is there anew" "${ours[*]:1:2}" "6 9"
	expect "$what: and not where it had not" "${ours[3]}" 3
}

# By bytes a bucket holds a second's worth, which is the most that a packet costs; it is filled at once as often as the
# burst says, and that is never earned again.
bytes() { # MODE
	local what="$1, hashlimit by bytes"

	rules "-m hashlimit --hashlimit-upto 512b/s --hashlimit-mode srcip --hashlimit-name small" \
		"-m hashlimit --hashlimit-above 512b/s --hashlimit-mode srcip --hashlimit-name above" \
		"-m hashlimit --hashlimit-upto 1kb/s --hashlimit-burst 5kb --hashlimit-mode srcip --hashlimit-name burst"
	arrive 8 send r-udp-long 8
	same "$what: more than a second's worth each"
	for _ in 1 2; do
		sleep 1.3
		arrive 1 send r-udp-long
		same "$what: and a second later"
	done
	sleep 2.5
	arrive 8 send r-udp-long 8
	same "$what: the burst was there once"
}

# Who names a table first says what it is like.
names() { # MODE
	local what="$1, one name" udp="-p udp -m udp --dport"
	local by='--hashlimit-name shared --hashlimit-mode'

	rules "-m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 2 $by srcip" \
		"-m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 5 $by dstip" \
		"-m hashlimit --hashlimit-above 1000/second --hashlimit-burst 1000 $by srcip,dstport"
	arrive 12 from 10.77.0.3 6 10.77.0.2 6
	same "$what: hashlimit"
	rules "$udp 1 -m recent --set --name first --mask 255.255.255.0" "$udp 2 -m recent --rcheck --name first" \
		"$udp 2 -m recent --rcheck --name second" "$udp 1 -m recent --set --name second --mask 255.255.255.0"
	arrive 2 eval 'printf "%s 10.77.0.1 0 udp 9 %d\n" 10.77.0.2 1 10.77.0.3 2 | in_ns c "$TOOLS/net/from" pgc0'
	same "$what: recent"
	expect "$what: recent, by the first one's mask" "${ours[*]:1:4}" "1 1 0 1"
}

# Addresses that were seen ----------------------------------------------------------------------------

# What sets and asks comes as UDP to ports of its own.
recent() { # MODE
	local what="$1, recent" udp='-p udp -m udp --dport' before

	ask() { # SOURCE PORT…: a packet to each
		local source=$1 port
		shift
		for port; do echo "$source 10.77.0.1 0 udp 1000 $port"; done | in_ns c "$TOOLS/net/from" pgc0
	}
	# set to 1, asked for at 2, removed at 3.
	rules "$udp 2 -m recent --rcheck --seconds 2 --name a" \
		"$udp 2 -m recent --rcheck --seconds 2 --hitcount 3 --name a" \
		"$udp 2 -m recent ! --rcheck --seconds 2 --name a" \
		"$udp 2 -m recent --rcheck --hitcount 3 --name a" \
		"$udp 2 -m recent --rcheck --name a" \
		"$udp 2 -m recent --update --seconds 2 --name b" \
		"$udp 2 -m recent --update --seconds 2 --hitcount 2 --name c" \
		"$udp 2 -m recent --rcheck --seconds 2 --reap --name d" \
		"$udp 2 -m recent --rcheck --seconds 2 --name e --mask 255.255.255.128" \
		"$udp 3 -m recent --remove --name a" \
		"$udp 3 -m recent ! --remove --name a" \
		"$udp 1 -m recent --set --name a" "$udp 1 -m recent --set --name b" "$udp 1 -m recent --set --name c" \
		"$udp 1 -m recent --set --name d" "$udp 1 -m recent --set --name e --mask 255.255.255.128"
	arrive 2 ask 10.77.0.2 2 2
	same "$what: nobody was seen"
	arrive 4 ask 10.77.0.2 1 2 1 2
	same "$what: one who was, twice"
	# On a slow machine they may be old at once.
	wait_for "hits within two seconds" eval 'arrive 4 ask 10.77.0.2 1 1 1 2 && ((theirs[2]))'
	arrive 2 ask 10.77.0.3 1 2
	same "$what: and more often"
	arrive 1 ask 10.77.0.130 2
	same "$what: by the mask it is another"
	sleep 1.3
	arrive 3 ask 10.77.0.2 2 2 2
	arrive 2 ask 10.77.0.3 1 2
	same "$what: still young"
	sleep 1.3
	arrive 4 ask 10.77.0.2 2 2 2 2
	arrive 1 ask 10.77.0.3 2
	same "$what: too old, but for --update"
	sleep 2.3
	before=("${ours[@]}")
	arrive 2 ask 10.77.0.2 2 2
	arrive 1 ask 10.77.0.3 2
	same "$what: all is too old"
	expect "$what: none of them counts any more" "${ours[*]:1:2} ${ours[*]:6:4}" "${before[*]:1:2} ${before[*]:6:4}"
	expect "$what: but they were seen" "${ours[3]} ${ours[5]}" "$((before[3] + 3)) $((before[5] + 3))"
	arrive 2 ask 10.77.0.2 3 3
	arrive 2 ask 10.77.0.2 2 2
	arrive 1 ask 10.77.0.3 2
	same "$what: removed, one of two"
	expect "$what: removed once, and not there for the next rule" "${ours[*]:10:2}" "1 2"
	expect "$what: it was not seen, the other was" "${ours[5]}" "$((before[5] + 4))"
}

# How often, how much -----------------------------------------------------------------------------------

nth() {
	local every packet list=()

	for every in 1 2 3 5 7; do
		for ((packet = 0; packet < every; packet++)); do
			list+=("-m statistic --mode nth --every $every --packet $packet"
				"-m statistic --mode nth ! --every $every --packet $packet")
		done
	done
	rules "${list[@]}" "-p tcp -m statistic --mode nth --every 3 --packet 1" \
		"-m statistic --mode nth --every 2 --packet 0 -m statistic --mode nth --every 3 --packet 0"
	arrive 1 send udp53
	same "nth: the first packet"
	for i in 1 2 3; do
		arrive 13 send udp53 13
		arrive 4 send tcp80 4
		same "nth: and more"
	done
}

quota() {
	local bytes list=()

	# A udp53 is 38 bytes long, a tcp80 40, the large one 1428. Those that padding follows are no longer.
	for bytes in 0 1 37 38 39 40 75 76 77 78 114 116 117 118 154 200 1427 1428 1466 1467 3000 100000; do
		list+=("-m quota --quota $bytes" "-m quota ! --quota $bytes")
	done
	rules "${list[@]}" "-p tcp -m quota --quota 100"
	for frame in udp53 tcp80 udp53-padded r-udp-long udp53 tcp80 tcp80 udp53-padded; do
		arrive 1 send $frame
		same "quota: and a $frame"
	done
	arrive 20 send udp53 20
	same "quota: and many"
}

# Each packet is a draw of its own: of n packets n·p, and by five standard deviations √(n·p·(1-p)) it is off in one run
# of a million.
random() {
	local n i p rule random='-m statistic --mode random'

	rules "$random --probability 0" "$random ! --probability 0" "$random --probability 1" "$random ! --probability 1" \
		"$random --probability 0.3" "$random ! --probability 0.3" "$random --probability 0.5 $random --probability 0.5" \
		"$random --probability 0.9 $random ! --probability 0.5"
	for i in {1..25}; do
		arrive 1000 send udp53 1000
	done
	n=$total
	expect "random: 0 never, 1 always" "${ours[*]:1:4}" "0 $n $n 0"
	i=5
	for p in 0.3 0.7 0.25 0.45; do
		rule=$(sed -n "$((i + 2))s/-A INPUT //p" "$WORK/rules")
		between "random: $rule" $(awk -v n=$n -v p=$p -v got=${ours[i]} 'BEGIN {
			by = 5 * sqrt(n * p * (1 - p)); printf "%d %d %d", n * p - by, got, n * p + by + 1 }')
		i=$((i + 1))
	done
}

for mode in tc native; do
	expect_ok "attach in mode $mode" pg s attach pgs0 --mode $mode
	limits $mode
	recent $mode
done
expect_ok "and back" pg s attach pgs0 --mode tc
hashlimits tc
expiry tc
bytes tc
names tc
nth
quota
random
summary
