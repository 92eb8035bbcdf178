#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `top` on a real terminal (tmux), with real traffic of known numbers: frames, keys, what it changes, and how
# it leaves the terminal.
. "$(dirname "$0")/lib.sh"

need jq nc perl tmux stty
own_bpffs
two_namespaces
export LC_ALL=C.UTF-8 TMUX_TMPDIR=$WORK SHELL=/bin/sh
unset NO_COLOR SSH_CONNECTION TMUX

# udp PORT N: so many datagrams of 100 bytes of IP
udp() {
	in_ns c perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => "10.77.0.1", PeerPort => $ARGV[0]);
		$s->send("x" x 72) for 1 .. $ARGV[1]' "$1" "$2"
}

# row PORT FRAME: its line in words
row() {
	awk -v want="$1" '$1 == want { $1 = $1; print }' <<<"$2"
}

# Without an instance, and what is refused ----------------------------------------------------------

expect "nothing is attached" "$(pg s top --batch --size 80x10 | sed -n 5p)" "  Nothing is attached."
refused() {
	local pattern=$1
	shift
	expect_exit "refused: $*" 2 "$pattern" pg s top "$@"
}
refused "there is no view 'x'" x
refused 'takes WIDTHxHEIGHT' --batch --size 80
refused 'from 0.2 to 60' --interval 0
refused 'go with --batch only' -n 3
refused 'takes one port' --batch --port 1-3
expect_exit "no terminal" 1 'needs a terminal' pg s top </dev/null

# Numbers -------------------------------------------------------------------------------------------

expect_ok "attach" pg s attach pgs0 --mode native
pg s set-timeout udp 600 >/dev/null # the machine may be slow
pg s restore <<RULES
*filter
:INPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p udp -m udp --dport 5301 -j DROP
-A INPUT -p udp -m udp --dport 5302 -m comment --comment never -j DROP
-A INPUT -p udp -m udp --dport 5300 -j ACCEPT
COMMIT
RULES
in_ns s perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Proto => "udp", LocalPort => 5300) or die;
	$0 = "listener"; my $buf; $s->recv($buf, 2000) while 1' &
wait_for "a server" listening s udp 5300
udp 5300 57
udp 5301 31
frame=$(pg s top --batch --total --size 160x30)
expect "accepted datagrams" "$(row 5300/udp "$frame" | awk '{ print $3, $4, $5, $6, $7 }' | sed 's/\[[0-9]*\]/[PID]/')" \
	"listener[PID] 57 0 5700 0"
expect "dropped ones" "$(row 5301/udp "$frame" | awk '{ print $4, $5, $6, $7, $8 }')" "31 0 3100 0 31"
frame=$(pg s top rules --batch --size 120x20)
expect "the rule's count" "$(awk '$1 == 2 { print $4, $5 }' <<<"$frame")" "31 3100"
expect "the rule itself" "$(awk '$1 == 4 { print $6, $7, $8, $9, $10, $11, $12, $13 }' <<<"$frame")" \
	"-p udp -m udp --dport 5300 -j ACCEPT"
frame=$(pg s top drops --batch --size 80x30)
expect "drops by reason" "$(awk '$3 == "rule" { print $2 }' <<<"$frame")" 31
expect "drops by rule" "$(awk '$3 == "INPUT" && $4 == 2 { print $2 }' <<<"$frame")" 31
expect "drops by port" "$(awk '$3 == "5301/udp" { print $2 }' <<<"$frame")" 31
frame=$(pg s top overview --batch --size 100x30)
expect "totals" "$(grep '^Arrived' <<<"$frame")" \
	"Arrived   57 packets passed, 5700 bytes; 31 dropped, 3100 bytes"
frame=$(pg s top flows --batch --total --size 160x30)
expect "the flow" "$(awk '$1 == "udp" { print $2, $4, $5, $6, $7 }' <<<"$frame")" \
	"UNREPLIED 10.77.0.1:5300 5700 0 57"
frame=$(pg s top --batch --total --port 5300/udp --size 160x30)
expect "the port's page" "$(grep -o '57 packets, 5700 bytes' <<<"$frame")" "57 packets, 5700 bytes"

# Rates: a reading may come late, but never early, so what frames say of each second is no more than was sent.
pg s top --batch -n 5 --size 160x30 >"$WORK/frames" &
top=$!
sleep 1.5
udp 5300 200
wait $top
sum=$(awk '$1 == "5300/udp" { sum += $4 } END { print int(sum) }' "$WORK/frames")
[ "$sum" -gt 20 ] && [ "$sum" -le 201 ] && pass "rates" || fail "rates" "$sum of 200 in all frames"

# A screen ------------------------------------------------------------------------------------------

end=s
t() {
	in_ns $end tmux -L "top-$end" -f /dev/null "$@"
}
screen() {
	t capture-pane -p -t 0
}
sees() {
	screen | grep -qE -- "$1"
}
wait_screen() {
	wait_for "on the screen: $1" sees "$1" || screen
}
keys() {
	t send-keys -t 0 "$@"
}
# What a shell's terminal is like: modes, the screen, the cursor, the mouse.
terminal() {
	stty -g <"$(t display -p -t 0 '#{pane_tty}')"
	t display -p -t 0 'alternate #{alternate_on} cursor #{cursor_flag} mouse #{mouse_any_flag}'
}
begin_top() {
	keys "$PORTGUARD --state $STATE top $*; echo ended \$?" Enter
	wait_screen '^ *(portguard  *)?1 Ports .*Overview'
}
top_pid() {
	pgrep -x -t "$(t display -p -t 0 '#{pane_tty}' | sed 's,^/dev/,,')" portguard
}
as_before() {
	wait_screen "^ended $2"
	expect "the terminal after $1" "$(terminal)" "$before"
}

t new-session -d -x 80 -y 24 "env PS1='$ ' bash --norc -i"
wait_screen '^\$'
before=$(terminal)
begin_top
wait_screen '^5300/udp +listener'
expect "another screen" "$(terminal | tail -n 1)" "alternate 1 cursor 0 mouse 1"

keys c
wait_screen '^5300/udp +listener +257 +0 +25700 '
udp 5300 43
wait_screen '^5300/udp +listener +300 +0 +30000 '
keys /5301 Enter
wait_screen 'filter: 5301'
expect "one row is left" "$(screen | grep -c /udp)" 1
keys Escape
wait_screen '^5300/udp'
keys Space
wait_screen FROZEN
udp 5300 1
sleep 1.2
sees '^5300/udp +listener +300 ' && pass "frozen" || fail "frozen" "$(screen)"
keys Space
wait_screen '^5300/udp +listener +301 '
keys '?'
wait_screen 'Keys .*─'
keys Escape
wait_screen '^5300/udp'
click() { # X Y: as screen(1)'s terminals say it, pressed and released
	printf -v at '\\x%x\\x%x' $((33 + $1)) $((33 + $2))
	keys -l "$(printf "\\e[M $at\\e[M#$at")"
}
click 31 0
wait_screen '2 .*31 .*--dport 5301 -j DROP'
click 3 0
wait_screen '^5300/udp'
keys 4
wait_screen '2 .*31 .*--dport 5301 -j DROP'
keys 5
wait_screen 'INPUT 2  -p udp'
keys 6
wait_screen '^pgs0 +native'
keys m
wait_screen 'ends that'
udp 5300 3
cost_seen() { # what runs before the first reading is not known
	udp 5301 1
	sees '^pgs0 +native .* [1-9][0-9]* +0 +0 +0 '
}
wait_for "a cost" cost_seen
keys m
wait_screen 'has it measured'
keys 3
wait_screen 'FROM.TO +CLOSD'
udp 5300 2
keys 2
wait_screen '10.77.0.1:5300'
keys 1 Enter
wait_screen 'Port 5300/udp +listener.* listens'
wait_screen 'in .*306 packets, 30600 bytes'
keys Escape
wait_screen '^PORT'
t resize-window -t 0 -x 130 -y 40
wait_screen '^PORT +SERVICE +PROCESS'
expect "the last line" "$(screen | sed -n 40p | grep -o 'q quit')" "q quit"
t resize-window -t 0 -x 80 -y 24
wait_screen '^PORT +PROCESS'

# What it changes -----------------------------------------------------------------------------------

keys /5300 Enter
wait_screen 'filter: 5300'
keys d
wait_screen 'Deny 5300/udp'
wait_screen 'portguard -[IR] INPUT [0-9]+ .*--dport 5300 -j DROP'
pg s save | grep -v "^#" >"$WORK/saved"
keys n
wait_screen '^5300/udp'
expect "no is no" "$(pg s save | grep -v "^#")" "$(cat "$WORK/saved")"
keys d
wait_screen 'Deny 5300/udp'
keys y
wait_screen 'is denied'
expect "it is denied" "$(pg s save | grep -c 'dport 5300 -j DROP')" 1
expect "for good" "$(pg s status --json | jq .policy.confirm_deadline_s)" null
udp 5300 5
wait_screen '^5300/udp +listener +311 +0 +[0-9]+ +0 +5 '
keys a
wait_screen 'Allow 5300/udp'
keys + t
wait_screen 'comes back in [0-9]+ s: C keeps'
wait_screen 'is allowed for 120 s'
expect "for a while" "$(pg s save | grep -c 'dport 5300 -j ACCEPT')" 1
[ "$(pg s status --json | jq .policy.confirm_deadline_s)" -gt 60 ] && pass "two minutes" || fail "two minutes"
keys R
wait_for "the old policy" eval '[ "$(pg s save | grep -c "dport 5300 -j DROP")" = 1 ]'
keys a
wait_screen 'Allow 5300/udp'
keys t
wait_for "allowed" eval '[ "$(pg s save | grep -c "dport 5300 -j ACCEPT")" = 1 ]'
keys C
wait_for "kept" eval '[ "$(pg s status --json | jq .policy.confirm_deadline_s)" = null ]'
expect "still allowed" "$(pg s save | grep -c 'dport 5300 -j ACCEPT')" 1

# The instance goes and comes -----------------------------------------------------------------------

keys Escape
pg s detach --all >/dev/null
wait_screen 'Nothing is attached'
expect_ok "attach again" pg s attach pgs0 --mode native
udp 5300 9
wait_screen '^5300/udp +listener +9 '

# How it leaves the terminal ------------------------------------------------------------------------

keys q
as_before q 0
for signal in TERM HUP SEGV ABRT VTALRM PWR RTMAX; do
	keys clear Enter
	begin_top
	kill -$signal "$(top_pid)"
	as_before "SIG$signal" $((128 + $(kill -l $signal)))
done
keys clear Enter
begin_top --monochrome --ascii
wait_screen '^5300/udp'
expect "no more than ASCII" "$(screen | LC_ALL=C grep -c '[^ -~]')" 0
keys C-z
wait_screen 'Stopped'
expect "the terminal after Ctrl-Z" "$(terminal)" "$before"
keys 'fg; echo ended $?' Enter
wait_screen '^5300/udp'
expect "it goes on" "$(terminal | tail -n 1)" "alternate 1 cursor 0 mouse 1"
stopped() {
	sees "$1" && grep -q '^State:.*stopped' "/proc/$pid/status"
}
pid=$(top_pid)
kill -STOP "$pid"
wait_for "a stop" stopped Stopped
keys 'echo rub""bish; kill -CONT %1; echo done' Enter
wait_for "it stays behind" stopped 'rubbish'
keys 'fg; echo ended $?' Enter
wait_screen '^PORT .*DROP'
drawn() {
	! sees 'rubbish|Stopped|ended' && sees '^5300/udp' && sees 'q quit'
}
wait_for "all of it is drawn anew" drawn
expect "after SIGSTOP" "$(terminal | tail -n 1)" "alternate 1 cursor 0 mouse 1"
keys 4
wait_screen '^ *portguard|1 Ports'
wait_screen '^CHAIN|INPUT'
keys 1
wait_screen '^5300/udp'
keys q
as_before "that" 0

# Other terminals ------------------------------------------------------------------------------------

coloured() {
	t capture-pane -e -p -t 0 | grep -cE $'\e\\[[0-9;]*(3[0-7]|4[0-7])m'
}
keys clear Enter
begin_top
wait_screen '^5300/udp'
[ "$(coloured)" -gt 0 ] && pass "in colour" || fail "in colour"
keys q
wait_screen '^ended 0'
for env in NO_COLOR=1 TERM=vt100; do
	keys clear Enter
	keys "export $env" Enter
	begin_top
	wait_screen '^5300/udp'
	expect "$env: without colours" "$(coloured)" 0
	keys q
	wait_screen '^ended 0'
	keys "unset NO_COLOR; export TERM=linux" Enter
done
keys clear Enter
begin_top
wait_screen '^5300/udp'
keys q
wait_screen '^ended 0'
keys clear Enter
keys "TERM=dumb $PORTGUARD --state $STATE top; echo ended \$?" Enter
wait_screen "cannot be placed on a terminal of type 'dumb'"
wait_screen '^ended 1'
expect_exit "no JSON" 2 'a screen is no JSON' pg s top --batch --json
t kill-server 2>/dev/null

# From afar -----------------------------------------------------------------------------------------

# A shell on the client, from which ssh runs top on the server, whose port 22 that is.
begin_sshd() {
	ssh-keygen -q -t ed25519 -N '' -f "$WORK/key" && mkdir -p /run/sshd && chmod 755 "$WORK" || return
	cat >"$WORK/sshd_config" <<-CONF
	Port 22
	ListenAddress 10.77.0.1
	HostKey $WORK/key
	AuthorizedKeysFile $WORK/key.pub
	PidFile $WORK/sshd.pid
	StrictModes no
	UsePAM no
	PermitRootLogin yes
	AcceptEnv LC_ALL
	CONF
	in_ns s "$(command -v sshd || echo /usr/sbin/sshd)" -D -f "$WORK/sshd_config" >/dev/null 2>&1 &
	wait_for "sshd" listening s tcp 22
}
end=c
if ! command -v ssh >/dev/null || ! begin_sshd; then
	skip "no ssh, or no sshd"
	summary
	exit 0
fi
pg s -F INPUT
expect_ok "ssh is allowed" pg s -A INPUT -p tcp --dport 22 -j ACCEPT
t new-session -d -x 80 -y 24 "env PS1='$ ' bash --norc -i"
wait_screen '^\$'
before=$(terminal)
keys "ssh -tt -i $WORK/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o SendEnv=LC_ALL" \
	" root@10.77.0.1 '$PORTGUARD --state $STATE top'; echo ended \$?" Enter
wait_screen '^22/tcp +sshd'
t resize-window -t 0 -x 200 -y 60
wait_screen '^PORT +SERVICE +PROCESS'
expect "the last line at 200x60" "$(screen | sed -n 60p | grep -o 'q quit')" "q quit"
t resize-window -t 0 -x 80 -y 24
wait_screen '^PORT +PROCESS'
keys /22/tcp Enter
wait_screen 'filter: 22/tcp'
keys d
wait_screen 'Deny 22/tcp'
keys y
wait_screen 'would drop the SSH connection'
expect "and the end of the message is there" "$(screen | tr -s '\n ' ' ' | grep -c 'applies it all the same')" 1
keys Escape a
wait_screen 'such a rule is there already'
keys Escape
far_pid() {
	for pid in $(ip netns pids "$PREFIX-s"); do
		[ "$(readlink "/proc/$pid/exe")" = "$PORTGUARD" ] && tr '\0' ' ' <"/proc/$pid/cmdline" |
			grep -q " top $" && echo "$pid"
	done
}
kill -TERM "$(far_pid | head -n 1)"
wait_screen '^ended'
expect "the terminal after SIGTERM afar" "$(terminal)" "$before"
t kill-server 2>/dev/null

summary
