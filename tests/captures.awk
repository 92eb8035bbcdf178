# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Compares what portguard read in each frame of a capture (`replay --verdicts`, second file) with
# what tshark read (first file). Both are tab-separated, a header line first.
#
# tshark's columns: no cap len ethertype vlans l3 src dst proto frag l4 sport|type dport|code
# tcpflags malformed; empty where there is none. Ours are named in the header.
#
# Every frame must have a verdict and a reason. A frame that tshark marks malformed ("M") has
# nothing else to keep. In all others, all that tshark shows must be shown alike:
#   ethertype, vlans, l3    always; "-" where tshark has nothing
#   src, dst, proto         always. Where tshark has none although the frame is IP, it gave up in
#                           the IP header: so must we have, and dropped the frame. (Not if the
#                           capture cut the frame short: tshark stops there, we go on in the zeros
#                           that stand for the rest.)
#   frag                    tshark: offset in units of 8 bytes and "+" for more. Atomic fragments
#                           (IPv6) are none to tshark.
#   sport, dport            of TCP, UDP, ICMP and ICMPv6. tshark's list has none for SCTP and DCCP:
#                           there ours must be numbers. Every other protocol has none, and no
#                           later fragment has.
#   flags                   of TCP, the eight bits that are counted; tshark shows twelve
# A transport header that is cut off ("-trunc") has no flags; it may have ports if those are there.

BEGIN {
	FS = "\t"
	ip_errors = " bad-version bad-ihl bad-length truncated short-header "
}

function fail(what, want, got)
{
	if (failed++ < 5)
		printf "    frame %s: %s is '%s', tshark has '%s'\n", no, what, got, want
}

function same(what, want, got)
{
	if (want != got)
		fail(what, want, got)
}

function or_dash(text)
{
	return text == "" ? "-" : text
}

# The low eight bits of "0x0018" as "18".
function flag_bits(text)
{
	return tolower(substr(text, length(text) - 1))
}

function frag_name(text, offset)
{
	if (text == "-")
		return "-"
	offset = text + 0
	return offset > 0 ? "later" : "first"
}

function is_number(text)
{
	return text ~ /^[0-9]+$/
}

function compare_l4(l4, proto, frag)
{
	if (l4 == "tcp" || l4 == "udp" || l4 == "icmp" || l4 == "icmpv6") {
		same("sport", t_sport, o_sport)
		same("dport", t_dport, o_dport)
		same("flags", l4 == "tcp" ? flag_bits(t_flags) : "-", o_flags)
		return
	}
	same("flags", "-", o_flags)
	if (frag != "later" && (proto == 132 || proto == 33)) {
		if (!is_number(o_sport) || !is_number(o_dport))
			fail("ports", "two numbers", o_sport " " o_dport)
	} else if (l4 ~ /-trunc$/ && is_number(o_sport)) {
		if (!is_number(o_dport))
			fail("dport", "a number", o_dport)
	} else {
		same("sport", "-", o_sport)
		same("dport", "-", o_dport)
	}
}

function compare_l3()
{
	if (cut && t_src == "")
		return
	same("src", or_dash(t_src), o_src)
	same("dst", or_dash(t_dst), o_dst)
	same("proto", or_dash(t_proto), o_proto)
	if (t_proto != "") {
		same("frag", frag_name(t_frag), o_frag == "atomic" ? "-" : o_frag)
		compare_l4(t_l4, t_proto, frag_name(t_frag))
	} else if (o_verdict != "drop" || !index(ip_errors, " " o_reason " ")) {
		fail("reason", "no address: an error in the IP header", o_verdict ", " o_reason)
	}
}

FNR == 1 {
	file++
	if (file == 2)
		for (i = 1; i <= NF; i++)
			column[$i] = i
	next
}

file == 1 {
	tshark[$1] = $0
	frames++
	next
}

{
	no = $column["frame"]
	seen++
	if (!(no in tshark) || no != seen) {
		fail("number", seen, no)
		next
	}
	o_verdict = $column["verdict"]; o_reason = $column["reason"]
	o_ethertype = $column["ethertype"]; o_vlans = $column["vlans"]; o_l3 = $column["l3"]
	o_src = $column["src"]; o_dst = $column["dst"]; o_proto = $column["proto"]
	o_frag = $column["frag"]; o_sport = $column["sport"]; o_dport = $column["dport"]
	o_flags = $column["flags"]
	split(tshark[no], t, "\t")
	cut = t[2] < t[3]
	t_src = t[7]; t_dst = t[8]; t_proto = t[9]; t_frag = t[10]; t_l4 = t[11]
	t_sport = t[12]; t_dport = t[13]; t_flags = t[14]

	if ((o_verdict != "accept" && o_verdict != "drop") || o_reason !~ /^[a-z0-9-]*[a-z]$/)
		fail("verdict", "one, under a reason", o_verdict ", " o_reason)
	if (t[15] ~ /M/) {
		marked++
		next
	}
	same("ethertype", or_dash(t[4]), o_ethertype)
	same("vlans", or_dash(t[5]), o_vlans)
	same("l3", or_dash(t[6]), o_l3)
	if (t[6] == "ip" || t[6] == "ipv6")
		compare_l3()
	compared++
}

END {
	if (seen != frames) {
		printf "    %d frames, tshark has %d\n", seen, frames
		failed++
	}
	printf "    %d frames compared, %d marked malformed, %d differences\n", compared, marked, failed
	exit failed > 0
}
