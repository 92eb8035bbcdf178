/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* test: which rule decides a packet that somebody describes. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "addr.h"
#include "capture.h"
#include "edit.h"
#include "export_json.h"
#include "match.h"
#include "options.h"
#include "packet.h"
#include "policy.h"
#include "probe.h"

static int run_test(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_test = {
	.name = "test",
	.args = "[-i IFACE] [-p PROTO] [-s ADDR] [-d ADDR] [--sport PORT] [--dport PORT] "
		"[--syn|--tcp-flags LIST] [--icmp-type TYPE] [--length N] [--ctstate STATE] "
		"[--egress] [--policy FILE] [--frame HEX | --frame-from FILE[:N]] [--explain] [--json]",
	.help = "Say which rule decides a packet, by running it through the program, in private",
	.details =
		"  -i IFACE            that it arrives on; without it, one that no rule names\n"
		"  -p PROTO            tcp unless other options say what it is\n"
		"  -s, -d ADDR         192.0.2.1 or 2001:db8::1, and an address of this host\n"
		"  --sport, --dport    40000 and 80\n"
		"  --syn               the flags of a connection's first segment\n"
		"  --tcp-flags LIST    those that are set: SYN,ACK; ALL; NONE. SYN, or ACK if ESTABLISHED\n"
		"  --icmp-type TYPE    by name or number, with code: echo-request\n"
		"  --length N          of the IP packet in bytes\n"
		"  --ctstate STATE     NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED; without it, what it\n"
		"                      is by the connections that there are now\n"
		"  --egress            it departs, and is OUTPUT's\n"
		"  --policy FILE       in iptables-save's format, instead of the policy in force\n"
		"  --frame HEX         the frame itself, from its Ethernet header on\n"
		"  --frame-from F:N    frame number N of a capture, counted from 1; the first unless given\n"
		"  --explain           every rule that is considered, with the first of its conditions that\n"
		"                      does not hold; what was read of the packet; its flow; limits\n"
		"Named sets, flows, limits, quotas, hashlimit's buckets and lists of recent and connlimit are the\n"
		"instance's, as they are now; nothing of it moves.\n",
	.run = run_test,
};

/* What was given; NULL: not. */
struct options {
	const char *iface, *proto, *src, *dst, *sport, *dport, *flags, *icmp_type, *length, *ctstate;
	const char *policy, *frame, *frame_from;
	bool egress, explain;
	unsigned families; /* that are left */
};

#define USAGE(err, ...) pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, __VA_ARGS__)

/* Options ------------------------------------------------------------------------------------------ */

enum { OPT_SPORT = 0x200, OPT_DPORT, OPT_SYN, OPT_FLAGS, OPT_ICMP, OPT_LENGTH, OPT_CTSTATE, OPT_EGRESS,
       OPT_POLICY, OPT_FRAME, OPT_FRAME_FROM, OPT_EXPLAIN };

static const struct option longs[] = {
	{ "in-interface", required_argument, NULL, 'i' },
	{ "protocol", required_argument, NULL, 'p' },
	{ "proto", required_argument, NULL, 'p' },
	{ "source", required_argument, NULL, 's' },
	{ "src", required_argument, NULL, 's' },
	{ "destination", required_argument, NULL, 'd' },
	{ "dst", required_argument, NULL, 'd' },
	PG_LONG_FAMILY,
	{ "sport", required_argument, NULL, OPT_SPORT },
	{ "source-port", required_argument, NULL, OPT_SPORT },
	{ "dport", required_argument, NULL, OPT_DPORT },
	{ "destination-port", required_argument, NULL, OPT_DPORT },
	{ "syn", no_argument, NULL, OPT_SYN },
	{ "tcp-flags", required_argument, NULL, OPT_FLAGS },
	{ "icmp-type", required_argument, NULL, OPT_ICMP },
	{ "icmpv6-type", required_argument, NULL, OPT_ICMP },
	{ "length", required_argument, NULL, OPT_LENGTH },
	{ "ctstate", required_argument, NULL, OPT_CTSTATE },
	{ "egress", no_argument, NULL, OPT_EGRESS },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "frame", required_argument, NULL, OPT_FRAME },
	{ "frame-from", required_argument, NULL, OPT_FRAME_FROM },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ 0 },
};

/* Where an option's value goes. */
static const char **value_of(struct options *o, int c)
{
	switch (c) {
	case 'i': return &o->iface;
	case 'p': return &o->proto;
	case 's': return &o->src;
	case 'd': return &o->dst;
	case OPT_SPORT: return &o->sport;
	case OPT_DPORT: return &o->dport;
	case OPT_SYN:
	case OPT_FLAGS: return &o->flags;
	case OPT_ICMP: return &o->icmp_type;
	case OPT_LENGTH: return &o->length;
	case OPT_CTSTATE: return &o->ctstate;
	case OPT_POLICY: return &o->policy;
	case OPT_FRAME: return &o->frame;
	case OPT_FRAME_FROM: return &o->frame_from;
	}
	return NULL;
}

static int take_option(struct options *o, int c, const char *name, struct pg_err *err)
{
	const char **value = value_of(o, c);

	if (c == '4' || c == '6') {
		o->families &= c == '4' ? PG_V4 : PG_V6;
		return o->families ? 0 : USAGE(err, "Cannot use -4 with -6");
	}
	if (c == OPT_EGRESS) {
		o->egress = true;
		return 0;
	}
	if (c == OPT_EXPLAIN) {
		o->explain = true;
		return 0;
	}
	if (c == PG_OPT_HELP)
		return c;
	if (!value)
		return -EINVAL; /* err says what is wrong */
	if (*value)
		return USAGE(err, "option \"%s\" was given before, or what it excludes", name);
	*value = c == OPT_SYN ? "SYN" : optarg;
	return 0;
}

static int check_options(const struct options *o, struct pg_err *err)
{
	if (o->iface && strlen(o->iface) >= IFNAMSIZ)
		return USAGE(err, "interface name `%s' must be shorter than IFNAMSIZ (%d)", o->iface,
			     IFNAMSIZ - 1);
	if (o->frame && o->frame_from)
		return USAGE(err, "--frame and --frame-from exclude each other");
	if ((o->frame || o->frame_from) && (o->proto || o->src || o->dst || o->sport || o->dport || o->flags ||
			 o->icmp_type || o->length || o->families != PG_V46))
		return USAGE(err, "--frame says all of the packet: only -i, --ctstate, --egress, --policy "
				  "and --explain go with it");
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_test, argc, argv, ":i:p:s:d:46", longs, err)) != -1)
		r = take_option(o, c, argv[optind - 1], err);
	if (!r && optind < argc)
		return USAGE(err, "test takes no '%s'", argv[optind]);
	return r ? r : check_options(o, err);
}

static int parse_state(const char *text, unsigned *ret, struct pg_err *err)
{
	for (unsigned bit = 1; bit <= PG_CT_UNTRACKED; bit <<= 1) {
		if (strcasecmp(text, pg_ct_state_name(bit)))
			continue;
		*ret = bit;
		return 0;
	}
	return USAGE(err, "Bad ctstate \"%s\"", text);
}

/* The packet -------------------------------------------------------------------------------------- */

/* One address, without a mask or with that of the whole. */
static int parse_addr(const char *text, struct options *o, uint8_t *ret, struct pg_err *err)
{
	struct pg_diag diag;
	struct pg_addr addr;
	uint8_t all[16];
	int r = pg_addr_parse(text, PG_V46, NULL, &addr, &diag);

	if (r < 0)
		return pg_diag_report(&diag, r, err);
	memset(all, 255, sizeof(all));
	if (memcmp(addr.mask, all, addr.family == PG_V4 ? 4 : 16))
		return USAGE(err, "`%s' is not one address", text);
	if (!(o->families & addr.family))
		return USAGE(err, "`%s' is not of the family that -4, -6, -p or the other address asks for",
			     text);
	o->families = addr.family;
	memcpy(ret, addr.addr, sizeof(addr.addr));
	return 0;
}

/* What it is where -p does not say: options tell. */
static int find_proto(struct options *o, unsigned state, struct pg_packet *p, struct pg_err *err)
{
	bool icmp = o->icmp_type || state == PG_CT_RELATED; /* nothing else is RELATED */

	p->proto = IPPROTO_TCP;
	if (o->proto && (pg_proto_parse(o->proto, &p->proto) < 0 || !p->proto))
		return USAGE(err, "unknown protocol \"%s\" specified", o->proto);
	if (!o->proto && icmp && !o->sport && !o->dport && !o->flags)
		p->proto = o->families == PG_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6) {
		o->families &= p->proto == IPPROTO_ICMP ? PG_V4 : PG_V6;
		if (!o->families)
			return USAGE(err, "-p icmp is IPv4's, -p ipv6-icmp IPv6's");
	}
	p->family = o->families & PG_V4 ? PG_FAMILY_V4 : PG_FAMILY_V6;
	return 0;
}

/* What IPv6 has before the transport header can be given by --frame. */
static int check_proto(const struct pg_packet *p, struct pg_err *err)
{
	static const uint8_t ext[] = { IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_FRAGMENT,
				       IPPROTO_AH, IPPROTO_DSTOPTS, IPPROTO_MH };

	if (p->family == PG_FAMILY_V6 && memchr(ext, p->proto, sizeof(ext)))
		return USAGE(err, "protocol %u is an extension header of IPv6: use --frame", p->proto);
	return 0;
}

static int parse_port(const char *text, const struct pg_packet *p, uint16_t *ret, struct pg_err *err)
{
	struct pg_diag diag;
	int r = pg_port_parse(text, pg_service_proto(p->proto), 10, NULL, ret, &diag);

	return r < 0 ? pg_diag_report(&diag, r, err) : 0;
}

static int set_ports(const struct options *o, struct pg_packet *p, struct pg_err *err)
{
	int r = 0;

	if ((o->sport || o->dport) && !pg_proto_has_ports(p->proto))
		return USAGE(err, "--sport and --dport need -p tcp, udp, udplite, sctp or dccp");
	p->sport = 40000;
	p->dport = 80;
	if (o->sport)
		r = parse_port(o->sport, p, &p->sport, err);
	if (!r && o->dport)
		r = parse_port(o->dport, p, &p->dport, err);
	return r;
}

static int add_flag(const char *name, uint8_t *flags, struct pg_err *err)
{
	static const char *const names[] = { "FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(name, names[i]))
			continue;
		*flags |= (uint8_t)(1U << i);
		return 0;
	}
	if (!strcasecmp(name, "ALL"))
		*flags |= 0x3f; /* iptables' ALL */
	else if (strcasecmp(name, "NONE"))
		return USAGE(err, "Unknown TCP flag `%s'", name);
	return 0;
}

static int set_flags(const struct options *o, unsigned state, struct pg_packet *p, struct pg_err *err)
{
	_free_ char *copy = strdup(o->flags ? o->flags : state == PG_CT_ESTABLISHED ? "ACK" : "SYN");
	char *rest = copy, *one;
	int r = 0;

	if (!copy)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (o->flags && p->proto != IPPROTO_TCP)
		return USAGE(err, "--syn and --tcp-flags need -p tcp");
	while (!r && (one = strsep(&rest, ",")))
		r = add_flag(one, &p->flags, err);
	return r;
}

static int set_icmp(const struct options *o, unsigned state, struct pg_packet *p, struct pg_err *err)
{
	bool v4 = p->family == PG_FAMILY_V4, icmp = p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6;
	const char *text = o->icmp_type ? o->icmp_type :
			   state == PG_CT_RELATED ? "port-unreachable" : "echo-request";
	struct pg_match m = { .kind = v4 ? PG_MATCH_ICMP : PG_MATCH_ICMP6 };
	const struct pg_match_use use = { .value = text };
	struct pg_diag diag;
	int r;

	if (o->icmp_type && !icmp)
		return USAGE(err, "--icmp-type needs -p icmp or ipv6-icmp");
	r = pg_icmp_parse(&m, &use, &diag);
	if (r < 0)
		return pg_diag_report(&diag, r, err);
	if (m.icmp.any)
		return USAGE(err, "--icmp-type any is no type that a packet could have");
	p->type = m.icmp.type;
	p->code = m.icmp.code_lo;
	return 0;
}

static int set_length(const struct options *o, struct pg_packet *p, struct pg_err *err)
{
	size_t min = pg_packet_min(p), max = pg_packet_max(p);
	uint32_t length;

	if (!o->length)
		return 0;
	if (pg_parse_u32(o->length, 0, UINT32_MAX, &length) < 0 || length < min || length > max)
		return USAGE(err, "--length: a packet like this has %zu to %zu bytes, headers included",
			     min, max);
	p->length = length;
	return 0;
}

/* Addresses --------------------------------------------------------------------------------------- */

/* How good an address of the host is as the packet's destination; 0: not at all. */
static int rank(const struct ifaddrs *ifa, const char *iface, int family)
{
	const struct sockaddr_in6 *sin6 = (const void *)ifa->ifa_addr;
	bool wanted = iface && !strcmp(ifa->ifa_name, iface);

	if (!ifa->ifa_addr || ifa->ifa_addr->sa_family != family)
		return 0;
	if (ifa->ifa_flags & IFF_LOOPBACK && !wanted)
		return 0;
	if (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&sin6->sin6_addr))
		return wanted ? 2 : 0;
	return wanted ? 3 : 1;
}

/* The first one, of its interface if it has any. */
static void host_addr(enum pg_family family, const char *iface, uint8_t *ret)
{
	int af = family == PG_FAMILY_V4 ? AF_INET : AF_INET6, best = 0;
	struct ifaddrs *all = NULL;

	inet_pton(af, family == PG_FAMILY_V4 ? "192.0.2.2" : "2001:db8::2", ret);
	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *ifa = all; ifa; ifa = ifa->ifa_next) {
		int r = rank(ifa, iface, af);

		if (r <= best)
			continue;
		best = r;
		if (af == AF_INET)
			memcpy(ret, &((const struct sockaddr_in *)(const void *)ifa->ifa_addr)->sin_addr,
			       4);
		else
			memcpy(ret,
			       &((const struct sockaddr_in6 *)(const void *)ifa->ifa_addr)->sin6_addr,
			       16);
	}
	freeifaddrs(all);
}

/* Who arrives is from elsewhere, who departs is from here. */
static void default_addrs(const struct options *o, struct pg_packet *p)
{
	bool v4 = p->family == PG_FAMILY_V4;
	uint8_t *here = o->egress ? p->src : p->dst, *there = o->egress ? p->dst : p->src;
	const char *here_given = o->egress ? o->src : o->dst, *there_given = o->egress ? o->dst : o->src;

	if (!there_given)
		inet_pton(v4 ? AF_INET : AF_INET6, v4 ? "192.0.2.1" : "2001:db8::1", there);
	if (!here_given)
		host_addr(p->family, o->iface, here);
}

static int describe(struct options *o, unsigned state, struct pg_packet *p, struct pg_err *err)
{
	int r = 0;

	if (o->src)
		r = parse_addr(o->src, o, p->src, err);
	if (!r && o->dst)
		r = parse_addr(o->dst, o, p->dst, err);
	if (!r)
		r = find_proto(o, state, p, err);
	if (!r)
		r = check_proto(p, err);
	if (!r)
		r = set_ports(o, p, err);
	if (!r)
		r = set_flags(o, state, p, err);
	if (!r)
		r = set_icmp(o, state, p, err);
	if (!r)
		r = set_length(o, p, err);
	if (r)
		return r;
	default_addrs(o, p);
	p->bad_length = state == PG_CT_INVALID;
	return 0;
}

/* Hexadecimal digits, in which blanks and colons may stand between bytes. */
static int parse_frame(const char *text, uint8_t *frame, size_t *ret_len, struct pg_err *err)
{
	size_t n = 0;

	for (; *text; text++) {
		unsigned byte;

		if (isspace((unsigned char)*text) || *text == ':')
			continue;
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
		    sscanf(text, "%2x", &byte) != 1)
			return USAGE(err, "--frame: bytes are two hexadecimal digits each");
		if (n == PG_PACKET_MAX)
			return USAGE(err, "--frame: longer than %u bytes", PG_PACKET_MAX);
		frame[n++] = (uint8_t)byte;
		text++;
	}
	if (n < ETH_HLEN)
		return USAGE(err, "--frame: shorter than an Ethernet header");
	*ret_len = n;
	return 0;
}

/* FILE:N, or FILE. As it was on the wire: what the capture has cut off is zeros. */
static int read_frame(const char *text, uint8_t *frame, size_t *ret_len, struct pg_err *err)
{
	_cleanup_(pg_capture_closep) struct pg_capture *capture = NULL;
	const char *colon = strrchr(text, ':');
	_free_ char *path = strdup(text);
	struct pg_frame one = { 0 };
	uint32_t number = 1, at = 0;
	int r;

	if (!path)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (colon && !pg_parse_u32(colon + 1, 0, UINT32_MAX, &number))
		path[colon - text] = '\0';
	if (!number)
		return USAGE(err, "--frame-from: frames are counted from 1");
	r = pg_capture_open(path, &capture, err);
	while (!r && at < number) {
		r = pg_capture_next(capture, &one, err);
		if (!r)
			return pg_fail(err, -ENOENT, "%s: has %u frames, not %u", path, at, number);
		r = r < 0 ? r : 0;
		at++;
	}
	if (r)
		return r;
	if (one.wire_len < ETH_HLEN || one.wire_len > PG_PACKET_MAX)
		return pg_fail(err, -EINVAL, "%s: frame %u has %zu bytes, not %d to %u", path, number,
			       one.wire_len, ETH_HLEN, PG_PACKET_MAX);
	memset(frame, 0, one.wire_len);
	memcpy(frame, one.data, one.len < one.wire_len ? one.len : one.wire_len);
	*ret_len = one.wire_len;
	return 0;
}

/* Running it -------------------------------------------------------------------------------------- */

static int load_policy(struct pg_dp *live, const char *path, struct pg_ruleset **ret_set,
		       struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *old = NULL;
	_cleanup_(pg_text_free) struct pg_text text = { 0 };
	struct pg_rulefile_opts opts = { .name = path && strcmp(path, "-") ? path : NULL };
	int r;

	if (!path)
		return pg_policy_read(live, ret_set, err);
	r = pg_rulefile_slurp(path, &text, err);
	if (r >= 0)
		r = pg_edit_parse(&text, &opts, ret_set, err);
	if (r >= 0)
		r = pg_policy_read(live, &old, err);
	/* Rules that would stay would keep their limits, too. */
	if (r >= 0)
		pg_policy_inherit(*ret_set, old);
	return r;
}

static int show(const struct pg_ctx *ctx, const struct pg_probe *probe, const struct options *o,
		struct pg_err *err)
{
	const struct pg_explained explained = {
		.explain = &probe->explain,
		.remembered = probe->remembered,
		.left = probe->left,
		.n_left = probe->n_left,
		.now_ns = probe->now_ns,
		.flow = probe->has_flow ? &probe->flow : NULL,
	};
	_cleanup_(pg_text_free) struct pg_text t = { 0 };

	if (ctx->json)
		return pg_json_answer(stdout, &probe->answer, o->iface,
				      o->explain ? &explained : NULL, err);
	pg_view_answer(&t, &probe->answer, o->iface);
	if (o->explain)
		pg_view_explained(&t, &probe->answer, &explained);
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t.buf, 1, t.len, stdout);
	return 0;
}

/* The answer holds for packets that meet the policy. */
static void warn_of_iface(struct pg_dp *live, const char *name)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	struct pg_err ignored;
	char shown[IFNAMSIZ];

	if (!live || !name || !iface || pg_dp_ifaces(live, iface, &ignored))
		return;
	for (int slot = 0; slot < PG_MAX_IFACES; slot++)
		if (iface[slot].abi.netns && !strncmp(iface[slot].abi.name, name, IFNAMSIZ))
			return;
	fprintf(stderr, "portguard: not attached to '%s': packets there are not filtered\n",
		pg_printable(name, shown, sizeof(shown)));
}

static int probe_frame(struct pg_ctx *ctx, const struct options *o, unsigned state,
		       const uint8_t *frame, size_t len, struct pg_err *err)
{
	const struct pg_dp_opts open = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_dp_closep) struct pg_dp *live = NULL;
	_cleanup_(pg_probe_clear) struct pg_probe probe = { 0 };
	struct pg_probe_opts opts = {
		.iface = o->iface,
		.dir = o->egress ? PG_DIR_OUT : PG_DIR_IN,
		.ct_state = state,
		.explain = o->explain,
	};
	int r = pg_dp_open(&open, &live, err);

	if (r < 0 && r != -ENOENT)
		return r;
	r = load_policy(live, o->policy, &set, err);
	if (r < 0)
		return r;
	opts.live = live;
	if (!o->policy)
		warn_of_iface(live, o->iface);
	r = pg_probe_run(&probe, set, &opts, frame, len, err);
	return r < 0 ? r : show(ctx, &probe, o, err);
}

static int run_test(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_free_ uint8_t *frame = malloc(PG_PACKET_MAX);
	struct options o = { .families = PG_V46 };
	struct pg_packet packet = { 0 };
	unsigned state = 0;
	size_t len = 0;
	bool given;
	int r;

	if (!frame)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = parse_options(argc, argv, &o, err);
	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	if (o.ctstate)
		r = parse_state(o.ctstate, &state, err);
	given = o.frame || o.frame_from;
	if (!r && given && state == PG_CT_RELATED)
		r = USAGE(err, "--ctstate RELATED needs a packet that is described, not --frame");
	if (!r && o.frame)
		r = parse_frame(o.frame, frame, &len, err);
	else if (!r && given)
		r = read_frame(o.frame_from, frame, &len, err);
	else if (!r)
		r = describe(&o, state, &packet, err);
	if (r < 0)
		return r;
	if (!given)
		len = pg_packet_build(&packet, frame);
	return probe_frame(ctx, &o, state, frame, len, err);
}
