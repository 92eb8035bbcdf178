. ./lib.sh
own_bpffs; two_namespaces
export LC_ALL=C.UTF-8 TMUX_TMPDIR=$WORK SHELL=/bin/sh
pg s attach pgs0 --mode native >/dev/null
pg s track on >/dev/null; pg s set-timeout udp 3600 >/dev/null
in_ns c perl -MSocket -e 'for my $k (1..11) { socket(my $s, PF_INET, SOCK_DGRAM, 17); for my $p (1..10000) { send($s, "x" x 20, 0, sockaddr_in($p, inet_aton("10.77.0.1"))); select(undef,undef,undef,0.001) unless $p % 100 } }'
pg s status | grep Flows
pg s ports --json | jq '.ports|length'
t() { in_ns s tmux -L top -f /dev/null "$@"; }
in_ns c perl -MSocket -e 'socket(my $s, PF_INET, SOCK_DGRAM, 17); while (1) { for my $p (1..10000) { send($s, "x" x 20, 0, sockaddr_in($p, inet_aton("10.77.0.1"))); select(undef,undef,undef,0.01) unless $p % 100 } }' 2>/dev/null &
for view in ports flows states; do
t new-session -d -x ${W:-200} -y ${H:-60} "exec $PORTGUARD --state $STATE top $view"
sleep 4
pid=$(t display -p -t 0 '#{pane_pid}'); cat /proc/$pid/comm
a=$(awk '{print $14+$15}' /proc/$pid/stat); c0=$(awk '{print $1/1e6}' /proc/$pid/schedstat); sleep 20; c1=$(awk '{print $1/1e6}' /proc/$pid/schedstat)
echo "$view: $c0 -> $c1 ms in 20 s = $(awk "BEGIN{print ($c1-$c0)/200}") %"
t capture-pane -p -t 0 | head -6 | cut -c1-120
command -v perf >/dev/null && perf record -q -o $WORK/p -p $pid -- sleep 5 >/dev/null 2>&1 && perf report -i $WORK/p --stdio 2>/dev/null | grep -v "^#" | head -15
t kill-session
done
