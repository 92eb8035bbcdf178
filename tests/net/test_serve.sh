#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# portguard serve: what it gives is what was sent, to whom it gives it, and what it may do.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"
need curl jq promtool prometheus openssl nc
own_bpffs
two_namespaces

# get PATH [CURL OPTIONS]
get() {
	local path=$1
	shift
	in_ns s curl -sS --max-time 20 "$@" "$url$path"
}

code() {
	get "$@" -o /dev/null -w '%{http_code}'
}

# metric NAME{LABELS}: its value; labels in the order in which they are written, without id
metric() {
	get /metrics | sed 's/,id="[0-9]*"//' | want="portguard_$1" awk '{ want = ENVIRON["want"] " " }
		substr($0, 1, length(want)) == want { print $NF }'
}

is() {
	[ "$(metric "$1")" = "$2" ]
}

# Before there is an instance ---------------------------------------------------------------------

start_serve --listen 127.0.0.1:0
expect "no instance: metrics say so" "$(metric instance_present)" 0
expect "no ports" "$(get /api/v1/rules | jq -c .chains)" "$(pg s rules --json | jq -c .chains)"

# Attached while it runs --------------------------------------------------------------------------

cat >"$WORK/policy" <<'RULES'
*filter
:INPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -m comment --comment "no \"resolver\"" -j DROP
COMMIT
RULES
expect_ok "attach" pg s attach pgs0 --mode tc
expect "it is seen" "$(metric instance_present)" 1
expect_ok "a policy" pg s restore "$WORK/policy"
in_ns s nc -lk 443 >/dev/null 2>&1 </dev/null &
wait_for "a server" listening s tcp 443
for _ in 1 2 3; do
	echo hello | in_ns c timeout 5 nc -N 10.77.0.1 443 >/dev/null
done
in_ns c "$TOOLS/net/send" pgc0 udp53 77
in_ns c "$TOOLS/net/send" pgc0 bad-checksum 5
wait_for "what was sent" is 'dropped_packets_total{reason="bad-checksum"}' 5
sleep 0.3 # the last FIN

expect "packets of a port" "$(metric 'port_packets_total{proto="udp",port="53",direction="in"}')" 77
expect "its drops" "$(metric 'port_dropped_packets_total{proto="udp",port="53",direction="in"}')" 77
expect "its bytes" "$(metric 'port_bytes_total{proto="udp",port="53",direction="in"}')" $((77 * 38))
expect "a rule with its comment" \
	"$(metric 'rule_packets_total{table="filter",chain="INPUT",rule="2",comment="no \"resolver\""}')" 77
expect "SYNs" "$(metric 'port_tcp_flag_packets_total{proto="tcp",port="443",flag="syn"}')" 6
expect "changes of state" "$(metric 'tcp_transitions_total{from="SYN_SENT",to="ESTABLISHED"}')" 3
expect "connections by state" "$(metric 'flow_states{state="TIME_WAIT"}')" \
	"$(pg s flows --state TIME_WAIT --json | jq '.flows | length')"
expect "what all ports and reasons are together" "$(get /metrics | awk -F'[ {]' '
	$1 == "portguard_packets_total" { sum += $NF } $1 == "portguard_reason_packets_total" { sum -= $NF }
	END { print sum }')" 0
if get /metrics | promtool check metrics >"$WORK/lint" 2>&1; then
	pass "promtool"
else
	fail "promtool" "$(cat "$WORK/lint")"
fi
for doc in status ports rules reasons states; do
	expect "$doc is the command's" "$(get /api/v1/$doc | jq -cS 'del(.time_ms)')" "$(pg s $doc --json | jq -cS 'del(.time_ms)')"
done
without_time() { # ages go on from one call to the next
	jq -c '.flows | map(del(.age_s, .idle_s, .expires_s)) | sort'
}
expect "flows is the command's" "$(get /api/v1/flows | without_time)" "$(pg s flows --json | without_time)"
expect "who listens, though it is another user" "$(get /api/v1/ports |
	jq -r '.ports[] | select(.port == 443) | .listener.comm')" nc

# Filters and what is refused ---------------------------------------------------------------------

expect "flows by port" "$(get '/api/v1/flows?port=443&top=2&by=packets' | jq '.flows | length')" 2
expect "flows by state" "$(get '/api/v1/flows?state=ESTABLISHED' | jq -c .flows)" "[]"
expect "ports by number" "$(get '/api/v1/ports?port=53/udp' | jq -c '[.ports[].port]')" "[53]"
expect "ports by packets" "$(get '/api/v1/ports?sort=packets' | jq '.ports[0].port')" 53
expect "states by port" "$(get '/api/v1/states?port=443' | jq -c '[.ports[].port]')" "[443]"
expect "a filter that there is not" "$(get '/api/v1/flows?kill=1')" "there is no filter 'kill' here"
expect "which is a bad request" "$(code '/api/v1/flows?kill=1')" 400
expect "a wrong value" "$(code '/api/v1/flows?port=99999')" 400
expect "too many filters" "$(code "/api/v1/flows?$(printf 'port=1&%.0s' $(seq 200))")" 414
expect "nothing there" "$(code /api/v2)" 404
expect "no way out of the page" "$(code /../etc/passwd --path-as-is)" 404
expect "only reading" "$(code /api/v1/status -X POST -d x)" 405
expect "HEAD" "$(code /metrics -I)" 200
expect "the page" "$(get / | grep -c '<title>portguard')" 1
expect "its licence" "$(get /uPlot-LICENSE.txt | head -n 1)" "The MIT License (MIT)"
expect "nothing inline, from nowhere else" "$(get / -D - -o /dev/null | tr -d '\r' |
	sed -n 's/^Content-Security-Policy: \(.*script-src [^;]*\);.*/\1/p')" "default-src 'none'; script-src 'self'"
expect "a name that was made to point here" "$(code / -H 'Host: evil.example.org')" 403
expect "localhost" "$(code / -H 'Host: localhost:9180')" 200
expect "no Host" "$(printf 'GET / HTTP/1.0\r\n\r\n' | in_ns s nc -q 2 127.0.0.1 "${url##*:}" | head -n 1 |
	tr -d '\r')" "HTTP/1.1 403 Forbidden"

# drip METHOD HEADER: how a body that never ends is answered, and that this ends the connection
drip() {
	# shellcheck disable=SC2016
	in_ns s timeout 30 bash -c 'exec 3<>"/dev/tcp/$1/$2"; trap "" PIPE
		printf "$3 / HTTP/1.1\r\nHost: localhost\r\n$4\r\n\r\n" >&3
		read -r _ code _ <&3 && echo "$code"
		while printf x >&3; do sleep 0.2; done; echo ended' - "${url:7:9}" "${url##*:}" "$@" 2>/dev/null |
		paste -sd' '
}
expect "a POST's body is not waited for" "$(drip POST 'Content-Length: 100000')" "405 ended"
expect "nor a GET's" "$(drip GET 'Content-Length: 100000')" "413 ended"
expect "nor one of unknown length" "$(drip GET 'Transfer-Encoding: chunked')" "413 ended"
expect "GET with an empty one" "$(code / -H 'Content-Length: 0')" 200

# What programs cost: only known while somebody has it measured ------------------------------------

expect "no cost, and it says so" "$(metric program_cost_known)" 0
expect "no series of it" "$(get /metrics | grep -c '^portguard_program_run')" 0
pg s top overview --batch --cost -n 0 --size 160x30 >"$WORK/frames" &
top_pid=$!
cost_is_known() {
	in_ns c "$TOOLS/net/send" pgc0 esp 1
	is program_cost_known 1 && grep -qE '^pgs0 +tc +([^ ]+ +){3}[1-9][0-9]* ' "$WORK/frames"
}
wait_for "a cost" cost_is_known
kill $top_pid $(pgrep -P $top_pid)
wait $top_pid 2>/dev/null
ns=$(get /metrics | awk '/^portguard_program_run_seconds_total{interface="pgs0".*"in"}/ { s = $NF }
	/^portguard_program_runs_total{interface="pgs0".*"in"}/ { n = $NF } END { printf "%d", 1e9 * s / n }')
# An emulated or loaded machine may take its time, but not a millisecond for a packet.
[ "$ns" -ge 10 ] && [ "$ns" -lt 1000000 ] && pass "ns a packet" || fail "ns a packet" "$ns"

# The stream --------------------------------------------------------------------------------------

in_ns s timeout 20 curl -sN "$url/api/v1/stream" 2>/dev/null | grep --line-buffered '^data' | head -n 2 |
	sed 's/^data: //' >"$WORK/stream"
expect "a snapshot a second" "$(jq -s '.[1].time_ms - .[0].time_ms | . > 0 and . < 10000' "$WORK/stream")" true
expect "rules have their time, too" "$(get /api/v1/rules | jq --argjson before "$(head -n 1 "$WORK/stream" | jq .time_ms)" \
	'.time_ms >= $before')" true
expect "with what was counted" "$(head -n 1 "$WORK/stream" |
	jq -c '.ports[] | select(.[1] == 53) | [.[0], .[3], .[5]]')" '["udp",77,77]'
expect "and who listens" "$(head -n 1 "$WORK/stream" | jq -r '.ports[] | select(.[1] == 443) | .[11][1]')" nc
expect "its cost" "$(head -n 1 "$WORK/stream" | jq '.ifaces[0] | .[9] > 0 and .[10] >= 10 * .[9]')" true
pg s drops --last 2 --json | jq -cs . >"$WORK/last"
expect "drops, as the command says" "$(get '/api/v1/drops?last=2' | jq -c .drops)" "$(cat "$WORK/last")"
expect "two of them" "$(jq length "$WORK/last")" 2
expect "the last drop" "$(head -n 1 "$WORK/stream" | jq -c '.last_drops[0][2:8]')" \
	'["pgs0","bad-checksum","-","tcp","10.77.0.2:40000","10.77.0.1:80"]'

# The policy changes, the instance goes and comes -------------------------------------------------

generation=$(metric policy_generation)
rule_id() {
	get /metrics | sed -n 's/^portguard_rule_packets_total.*no .*resolver.*,id="\([0-9]*\)".*/\1/p'
}
id=$(rule_id)
expect_ok "another policy" pg s -I INPUT -p tcp --dport 9 -j ACCEPT
expect "is seen" "$(metric policy_generation)" $((generation + 1))
expect "counters went with their rule" \
	"$(metric 'rule_packets_total{table="filter",chain="INPUT",rule="3",comment="no \"resolver\""}')" 77
[ -n "$id" ] && expect "and its id" "$(rule_id)" "$id" || fail "a rule's id"
expect_ok "another target" pg s -P INPUT DROP
expect "what ACCEPT let pass is not dropped" "$(metric 'chain_policy_packets_total{table="filter",chain="INPUT",policy="DROP"}')" 0
expect_ok "detached" pg s detach --all
expect "is seen" "$(metric instance_present)" 0
expect "by all" "$(get /api/v1/status | jq -c .interfaces)" "[]"
expect_ok "attached again" pg s attach pgs0 --mode tc
in_ns c "$TOOLS/net/send" pgc0 udp53 3
wait_for "what the new one counts" is 'port_packets_total{proto="udp",port="53",direction="in"}' 3

# Marks, which a process of their own finds; it takes as long as loading a program does.
expect_ok "a policy that closes" pg s -P INPUT DROP
expect_ok "and opens" pg s -A INPUT -p tcp --dport 8443 -j ACCEPT
in_ns s timeout 60 curl -sN "$url/api/v1/stream" 2>/dev/null | sed -un 's/^data: //p' |
	jq --unbuffered -c '[.ports[] | select(.[12]) | "\(.[1]) \(.[12])"] + [.marks_error | select(. != "")]' |
	grep -m 1 443 >"$WORK/marks"
expect "what is closed and what is unused" "$(cat "$WORK/marks")" '["443 closed","8443 unused"]'
expect_ok "all pass again" pg s -P INPUT ACCEPT

# What it may do ----------------------------------------------------------------------------------

# status_of PID FIELD…
status_of() {
	awk -v want=" ${*:2} " '{ sub(":", "", $1) } index(want, " " $1 " ") { printf "%s%s", sep, $2; sep = " " }
		END { print "" }' "/proc/$1/status"
}
reader=$(pgrep -P "$serve_pid")
expect "the web server has nothing" "$(status_of "$serve_pid" Uid CapPrm CapEff CapBnd NoNewPrivs Seccomp)" \
	"$(id -u nobody) 0000000000000000 0000000000000000 0000000000000000 1 2"
# CAP_DAC_OVERRIDE and CAP_SYS_PTRACE
expect "the reader nearly nothing" "$(status_of "$reader" Uid CapPrm CapEff CapBnd NoNewPrivs Seccomp)" \
	"$(id -u nobody) 0000000000080002 0000000000080002 0000000000000000 1 2"
# and CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF
marker=$(pgrep -P "$reader")
expect "who finds marks what loads a program" \
	"$(status_of "$marker" Uid CapPrm CapEff CapBnd NoNewPrivs Seccomp)" \
	"$(id -u nobody) 000000c000081002 000000c000081002 0000000000000000 1 2"
expect "maps are mapped for reading" "$(grep -c 'bpf-map.*' "/proc/$reader/maps")" \
	"$(grep 'bpf-map' "/proc/$reader/maps" | grep -c ' r--s ')"

# Somebody whose request never ends: it is ended.
in_ns s timeout 60 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0; trap "" PIPE
	printf "GET / HTTP/1.1\r\nX: " >&3
	while printf x >&3; do sleep 0.5; done' "${url##*:}" 2>/dev/null &
drip_pid=$!

# Prometheus itself -------------------------------------------------------------------------------

cp "$ROOT/packaging/prometheus/portguard.rules.yml" "$WORK"
sed "s/127.0.0.1:9180/${url#http://}/; s/15s/1s/" "$ROOT/packaging/prometheus/prometheus.yml" >"$WORK/prometheus.yml"
expect_ok "alert rules" promtool check rules "$WORK/portguard.rules.yml"
names() {
	grep -oE 'portguard_[a-z_]+' "$@" | sort -u
}
expect "alerts and dashboard ask for what there is" "$(comm -13 <(get /metrics | names) \
	<(cat "$ROOT"/packaging/{grafana/portguard.json,prometheus/portguard.rules.yml} | names) |
	grep -v '^portguard_program_' | paste -sd' ')" ""
in_ns s prometheus --config.file="$WORK/prometheus.yml" --storage.tsdb.path="$WORK/tsdb" \
	--web.listen-address=127.0.0.1:9090 >"$WORK/prometheus.log" 2>&1 &
prometheus_pid=$!
query() {
	in_ns s curl -sS --max-time 5 --data-urlencode "query=$1" http://127.0.0.1:9090/api/v1/query |
		jq -r '.data.result[0].value[1]'
}
asked() {
	[ "$(query "$1")" = "$2" ]
}
for _ in 1 2 3; do # it takes its time where the machine is slow
	wait_for "Prometheus" asked 'up{job="portguard"}' 1 >/dev/null && break
done
expect "Prometheus scrapes it" "$(query 'up{job="portguard"}')" 1
expect "and has the number" "$(query 'portguard_port_packets_total{proto="udp",port="53",direction="in"}')" 3
expect "and the alerts" "$(in_ns s curl -sS http://127.0.0.1:9090/api/v1/rules |
	jq '[.data.groups[].rules[] | select(.health != "err")] | length')" 7
kill $prometheus_pid
wait $prometheus_pid 2>/dev/null

wait $drip_pid
expect "a request that drips in is ended by the server" "$(($? != 124))" 1
stop_serve
expect "ends" $? 0
expect "with nothing to say" "$(cat "$WORK/serve.err")" ""
wait_for "the reader to end" eval '! kill -0 '"$reader"

# To whom -----------------------------------------------------------------------------------------

refused() {
	local code=$1 pattern=$2
	shift 2
	expect_exit "refused: $*" "$code" "$pattern" timeout 10 nsenter --net="/run/netns/$PREFIX-s" \
		"$PORTGUARD" --state "$STATE" serve "$@"
}
echo 0123456789abcdef-secret >"$WORK/token"
echo short >"$WORK/short"
chmod 600 "$WORK/token" "$WORK/short"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=fw.example.org \
	-addext subjectAltName=DNS:fw.example.org -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null
refused 2 'others reach 0.0.0.0:9180' --listen 0.0.0.0:9180
refused 2 'others reach \[fd77::1\]:9180' --listen '[fd77::1]:9180'
refused 2 'takes an address and a port' --listen example.org:80
refused 2 'go together' --tls-cert "$WORK/cert.pem"
refused 2 'Bad argument' x
refused 1 'needs 16 characters' --token "$WORK/short"
refused 1 'cannot open' --token "$WORK/nothing"
refused 1 'do not fit' --tls-cert "$WORK/token" --tls-key "$WORK/key.pem"
refused 1 "no user 'nobody-at-all'" --user nobody-at-all
chmod 644 "$WORK/token"
refused 1 'everybody can read it' --token "$WORK/token"
chmod 600 "$WORK/token"

start_serve --listen 10.77.0.1:0 --token "$WORK/token"
expect "a token is needed" "$(code /)" 401
expect "for all of it" "$(code /api/v1/stream)" 401
expect "not another one" "$(code /metrics -H 'Authorization: Bearer 0123456789abcdef-secreT')" 401
expect "as a bearer" "$(code /metrics -H 'Authorization: Bearer 0123456789abcdef-secret')" 200
expect "as a password" "$(code /metrics -u x:0123456789abcdef-secret)" 200
expect "without one a body is not waited for" "$(drip POST 'Content-Length: 100000')" "401 ended"
grep -q 'without TLS' "$WORK/serve.err" && pass "a warning" || fail "a warning" "$(cat "$WORK/serve.err")"
refused 1 'cannot listen on' --listen "${url#http://}" --token "$WORK/token"
stop_serve

# The same by portguard.conf, of which an option takes the place.
cat >"$WORK/conf" <<-CONF
	serve {
		listen = "10.77.0.1:1"
		tls-cert = "$WORK/cert.pem"
		tls-key = "$WORK/key.pem"
		host = { "other", "fw.example.org" }
		max-ports = 1
	}
CONF
export PORTGUARD_CONFIG=$WORK/conf
start_serve --listen 10.77.0.1:0
export PORTGUARD_CONFIG=
port=${url##*:}
expect "TLS, by its name" "$(in_ns c curl -sS --max-time 20 --cacert "$WORK/cert.pem" -o /dev/null \
	-w '%{http_code}' --resolve "fw.example.org:$port:10.77.0.1" "https://fw.example.org:$port/")" 200
expect "no more series than are asked for" "$(get /metrics -k |
	grep '^portguard_port_packets_total{.*direction="in"' | grep -vc other)" 1
expect "the stream over TLS" "$(in_ns c timeout 5 curl -skN "$url/api/v1/stream" | grep -c '^data' |
	sed 's/^[1-9][0-9]*$/some/')" some
kill -9 "$(pgrep -P "$serve_pid")"
wait "$serve_pid"
expect "without its reader it ends" $? 1
expect "and says so" "$(cat "$WORK/serve.err")" "portguard: the reading process has ended"

cp "$PORTGUARD" "$WORK/portguard" && chmod 755 "$WORK" "$WORK/portguard"
expect_exit "without privileges" 4 'you must be root' setpriv --reuid=65534 --regid=65534 --clear-groups \
	timeout 10 "$WORK/portguard" --state "$STATE" serve --listen 127.0.0.1:0

# With what its unit leaves it, it marks a port all the same.
caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$ROOT/packaging/systemd/portguard-serve.service.in" | tr '\n' ' ')
cat >"$WORK/limited" <<-RUN
	#!/bin/sh
	exec setpriv --bounding-set=-all$(printf ',+%s' ${caps//CAP_/} | tr '[:upper:]' '[:lower:]') --no-new-privs "$PORTGUARD" "\$@"
RUN
chmod 755 "$WORK/limited"
PORTGUARD=$WORK/limited
expect_ok "a port that nobody uses" pg s -A INPUT -p tcp --dport 81 -j ACCEPT
expect_ok "where the rest is closed" pg s -P INPUT DROP
expect_ok "but lo's" pg s -I INPUT -i lo -j ACCEPT
start_serve --listen 127.0.0.1:0
expect "in its unit it marks ports" "$(in_ns s timeout 60 curl -sN "$url/api/v1/stream" | sed -un 's/^data: //p' |
	jq -n 'first(inputs | select(.marks_error != "" or any(.ports[]?; .[1] == 81 and .[12] == "unused"))) |
		.marks_error')" '""'
stop_serve
summary
