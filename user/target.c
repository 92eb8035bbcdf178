/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter/xt_LOG.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "addr.h"
#include "names.h"
#include "print.h"
#include "target.h"

static int parse_number(const struct pg_target_use *use, const char *target, uint32_t max,
			uint32_t *ret, struct pg_diag *diag)
{
	if (pg_number_parse(use->value, max, ret) < 0)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "%s: bad value for option \"--%s\", or out of range (0-%" PRIu32 ").",
			       target, use->option->name, max);
	return 0;
}

/* How much of a text fits into `max` bytes without cutting a character in two. */
static size_t cut_length(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len <= max)
		return len;
	for (len = max; len && (text[len] & 0xc0) == 0x80;)
		len--;
	return len;
}

/* iptables cuts a prefix that is too long, and does not say so. */
static int parse_prefix(const struct pg_target_use *use, size_t max, char **ret,
			struct pg_diag *diag)
{
	const char *text = use->value;
	size_t size = strlen(text) + 1, len = cut_length(text, max);
	_free_ char *shown = malloc(size);

	if (!*text)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "Argument must have a minimum length of 1 characters");
	if (strchr(text, '\n'))
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "Newlines not allowed in --log-prefix");
	if (!shown)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	/* What does not show as it is would not survive a file, or would harm a log's reader. */
	pg_printable(text, shown, size);
	for (size_t i = 0; i + 1 < size; i++)
		if (shown[i] != text[i] && text[i] != '\t')
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "--%s has control characters or is not UTF-8",
				       use->option->name);
	if (text[len])
		pg_text_add(use->warning, "%s--%s is cut to %zu bytes",
			    use->warning->len ? "; " : "", use->option->name, len);
	*ret = strndup(text, len);
	return *ret ? 0 : pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
}

static bool text_equal(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

static int copy_text(char **ret, const char *text)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

/* DROP ----------------------------------------------------------------------------------------- */

/* portguard's own: iptables' DROP has no options. */
static const struct pg_match_option drop_options[] = { { "kill", 0, false, false }, {} };

static int parse_drop(union pg_target_args *args, const struct pg_target_use *use,
		      struct pg_diag *diag)
{
	(void)use;
	(void)diag;
	args->drop.kill = true;
	return 0;
}

/* What is for iptables-restore or ip6tables-restore must be what those can read. */
static void print_drop(struct pg_text *t, const union pg_target_args *args, unsigned family)
{
	if (args->drop.kill && !family)
		pg_text_add(t, " --kill");
}

static void list_drop(struct pg_text *t, const union pg_target_args *args, unsigned family,
		      bool numeric)
{
	(void)family;
	(void)numeric;
	if (args->drop.kill)
		pg_text_add(t, " kill");
}

static bool drop_equal(const union pg_target_args *a, const union pg_target_args *b)
{
	return a->drop.kill == b->drop.kill;
}

/* REJECT --------------------------------------------------------------------------------------- */

/* In the order in which iptables and ip6tables look for a beginning that fits. */
static const struct {
	const char *name, *alias;
	unsigned families;
	enum pg_reject reject;
} rejects[] = {
	{ "icmp-net-unreachable", "net-unreach", PG_V4, PG_REJECT_NET_UNREACH },
	{ "icmp-host-unreachable", "host-unreach", PG_V4, PG_REJECT_HOST_UNREACH },
	{ "icmp-proto-unreachable", "proto-unreach", PG_V4, PG_REJECT_PROTO_UNREACH },
	{ "icmp-port-unreachable", "port-unreach", PG_V4, PG_REJECT_PORT_UNREACH },
	{ "icmp-net-prohibited", "net-prohib", PG_V4, PG_REJECT_NET_PROHIBITED },
	{ "icmp-host-prohibited", "host-prohib", PG_V4, PG_REJECT_HOST_PROHIBITED },
	{ "tcp-reset", "tcp-rst", PG_V4, PG_REJECT_TCP_RESET },
	{ "icmp-admin-prohibited", "admin-prohib", PG_V4, PG_REJECT_ADMIN_PROHIBITED },
	{ "icmp6-no-route", "no-route", PG_V6, PG_REJECT6_NO_ROUTE },
	{ "icmp6-adm-prohibited", "adm-prohibited", PG_V6, PG_REJECT6_ADM_PROHIBITED },
	{ "icmp6-addr-unreachable", "addr-unreach", PG_V6, PG_REJECT6_ADDR_UNREACH },
	{ "icmp6-port-unreachable", "port-unreach", PG_V6, PG_REJECT6_PORT_UNREACH },
	{ "tcp-reset", "tcp-reset", PG_V6, PG_REJECT_TCP_RESET },
	{ "icmp6-policy-fail", "policy-fail", PG_V6, PG_REJECT6_POLICY_FAIL },
	{ "icmp6-reject-route", "reject-route", PG_V6, PG_REJECT6_REJECT_ROUTE },
};

/* What one of the two tools takes the word for; PG_REJECT_DEFAULT: it does not know it. */
static enum pg_reject find_reject(const char *text, unsigned family)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < ARRAY_SIZE(rejects); i++)
		if (rejects[i].families == family && (!strncasecmp(rejects[i].name, text, len) ||
						      !strncasecmp(rejects[i].alias, text, len)))
			return rejects[i].reject;
	return PG_REJECT_DEFAULT;
}

static bool is_whole_name(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(rejects); i++)
		if (!strcasecmp(rejects[i].name, text) || !strcasecmp(rejects[i].alias, text))
			return true;
	return false;
}

/* A rule for both families takes what means the same in both, or is of one of them only. */
static int parse_reject(union pg_target_args *args, const struct pg_target_use *use,
			struct pg_diag *diag)
{
	enum pg_reject v4 = PG_REJECT_DEFAULT, v6 = PG_REJECT_DEFAULT;

	if (use->families & PG_V4)
		v4 = find_reject(use->value, PG_V4);
	if (use->families & PG_V6)
		v6 = find_reject(use->value, PG_V6);
	if (!v4 && !v6)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "unknown reject type \"%s\"",
			       use->value);
	if (!v4 || !v6 || v4 == v6)
		args->reject = v4 ? v4 : v6;
	else if (v4 == PG_REJECT_PORT_UNREACH && v6 == PG_REJECT6_PORT_UNREACH)
		args->reject = PG_REJECT_DEFAULT;
	else if (is_whole_name(use->value)) /* of one, and the other one's beginning */
		args->reject = strncasecmp(use->value, "icmp6", 5) ? v4 : v6;
	else
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "reject type \"%s\" is not the same for IPv4 and IPv6", use->value);
	return 0;
}

static unsigned reject_holds(const union pg_target_args *args)
{
	if (args->reject == PG_REJECT_DEFAULT || args->reject == PG_REJECT_TCP_RESET)
		return PG_V46;
	return args->reject < PG_REJECT6_NO_ROUTE ? PG_V4 : PG_V6;
}

static const char *reject_name(const union pg_target_args *args, unsigned family)
{
	enum pg_reject reject = args->reject;

	if (reject == PG_REJECT_DEFAULT && family)
		reject = family == PG_V4 ? PG_REJECT_PORT_UNREACH : PG_REJECT6_PORT_UNREACH;
	for (size_t i = 0; i < ARRAY_SIZE(rejects); i++)
		if (rejects[i].reject == reject)
			return rejects[i].name;
	return NULL;
}

static void print_reject(struct pg_text *t, const union pg_target_args *args, unsigned family)
{
	const char *name = reject_name(args, family);

	if (name)
		pg_text_add(t, " --reject-with %s", name);
}

static void list_reject(struct pg_text *t, const union pg_target_args *args, unsigned family,
			bool numeric)
{
	const char *name = reject_name(args, family);

	(void)numeric;
	/* The word that both of iptables and ip6tables know. */
	pg_text_add(t, " reject-with %s", name ? name : "port-unreach");
}

static bool reject_equal(const union pg_target_args *a, const union pg_target_args *b)
{
	return a->reject == b->reject;
}

/* LOG ------------------------------------------------------------------------------------------ */

enum { LOG_LEVEL, LOG_PREFIX, LOG_FLAGS };
#define LOG_LEVEL_DEFAULT 4

static const struct pg_match_option log_options[] = {
	{ "log-level", LOG_LEVEL, true, false },
	{ "log-prefix", LOG_PREFIX, true, false },
	{ "log-tcp-sequence", LOG_FLAGS, false, false },
	{ "log-tcp-options", LOG_FLAGS + 1, false, false },
	{ "log-ip-options", LOG_FLAGS + 2, false, false },
	{ "log-uid", LOG_FLAGS + 3, false, false },
	{ "log-macdecode", LOG_FLAGS + 4, false, false },
	{}
};
static const uint8_t log_flags[] = { XT_LOG_TCPSEQ, XT_LOG_TCPOPT, XT_LOG_IPOPT, XT_LOG_UID,
				     XT_LOG_MACDECODE };

static const struct {
	const char *name;
	uint8_t level;
} log_levels[] = {
	{ "alert", 1 },	 { "crit", 2 }, { "debug", 7 }, { "emerg", 0 },	  { "error", 3 },
	{ "info", 6 },	 { "notice", 5 }, { "panic", 0 }, { "warning", 4 },
};

static void init_log(union pg_target_args *args)
{
	args->log.level = LOG_LEVEL_DEFAULT;
}

static int parse_log_level(union pg_target_args *args, const struct pg_target_use *use,
			   struct pg_diag *diag)
{
	uint32_t level;

	if (!pg_number_parse(use->value, 7, &level)) {
		args->log.level = (uint8_t)level;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(log_levels); i++) {
		if (!strcmp(log_levels[i].name, use->value)) {
			args->log.level = log_levels[i].level;
			return 0;
		}
	}
	return pg_diag(diag, PG_DIAG_PARAM, &use->at, "log level \"%s\" unknown", use->value);
}

static int parse_log(union pg_target_args *args, const struct pg_target_use *use,
		     struct pg_diag *diag)
{
	if (use->option->id == LOG_LEVEL)
		return parse_log_level(args, use, diag);
	if (use->option->id == LOG_PREFIX)
		return parse_prefix(use, PG_LOG_PREFIX_MAX, &args->log.prefix, diag);
	args->log.flags |= log_flags[use->option->id - LOG_FLAGS];
	return 0;
}

static void print_log(struct pg_text *t, const union pg_target_args *args, unsigned family)
{
	(void)family;
	if (args->log.prefix) {
		pg_text_add(t, " --log-prefix ");
		pg_quoted_print(t, args->log.prefix);
	}
	if (args->log.level != LOG_LEVEL_DEFAULT)
		pg_text_add(t, " --log-level %u", args->log.level);
	for (size_t i = 0; i < ARRAY_SIZE(log_flags); i++)
		if (args->log.flags & log_flags[i])
			pg_text_add(t, " --%s", log_options[LOG_FLAGS + i].name);
}

static void list_log(struct pg_text *t, const union pg_target_args *args, unsigned family,
		     bool numeric)
{
	static const char *const levels[] = { "emerg", "alert",	 "crit", "err",
					      "warn",  "notice", "info", "debug" };
	char shown[PG_LOG_PREFIX_MAX + 1];

	(void)family;
	if (numeric) {
		pg_text_add(t, " LOG flags %u level %u", args->log.flags, args->log.level);
	} else {
		pg_text_add(t, " LOG level %s", levels[args->log.level & 7]);
		for (size_t i = 0; i < ARRAY_SIZE(log_flags); i++)
			if (args->log.flags & log_flags[i])
				pg_text_add(t, " %s", log_options[LOG_FLAGS + i].name + 4);
	}
	if (args->log.prefix)
		pg_text_add(t, " prefix \"%s\"",
			    pg_printable(args->log.prefix, shown, sizeof(shown)));
}

static void clear_log(union pg_target_args *args)
{
	free(args->log.prefix);
}

static int copy_log(union pg_target_args *ret, const union pg_target_args *args)
{
	return copy_text(&ret->log.prefix, args->log.prefix);
}

static bool log_equal(const union pg_target_args *a, const union pg_target_args *b)
{
	return a->log.level == b->log.level && a->log.flags == b->log.flags &&
	       text_equal(a->log.prefix, b->log.prefix);
}

/* NFLOG ---------------------------------------------------------------------------------------- */

enum { NFLOG_GROUP, NFLOG_PREFIX, NFLOG_RANGE, NFLOG_SIZE, NFLOG_THRESHOLD };

static const struct pg_match_option nflog_options[] = {
	{ "nflog-group", NFLOG_GROUP, true, false },
	{ "nflog-prefix", NFLOG_PREFIX, true, false },
	{ "nflog-range", NFLOG_RANGE, true, false },
	{ "nflog-size", NFLOG_SIZE, true, false },
	{ "nflog-threshold", NFLOG_THRESHOLD, true, false },
	{}
};

static int parse_nflog(union pg_target_args *args, const struct pg_target_use *use,
		       struct pg_diag *diag)
{
	bool is_short = use->option->id == NFLOG_GROUP || use->option->id == NFLOG_THRESHOLD;
	uint32_t v = 0;
	int r;

	if (use->option->id == NFLOG_PREFIX)
		return parse_prefix(use, PG_NFLOG_PREFIX_MAX, &args->nflog.prefix, diag);
	r = parse_number(use, "NFLOG", is_short ? UINT16_MAX : UINT32_MAX, &v, diag);
	if (r < 0)
		return r;
	switch (use->option->id) {
	case NFLOG_GROUP:
		args->nflog.group = (uint16_t)v;
		break;
	case NFLOG_THRESHOLD:
		args->nflog.threshold = (uint16_t)v;
		break;
	case NFLOG_SIZE:
		args->nflog.size = v;
		args->nflog.size_set = true;
		break;
	case NFLOG_RANGE:
		pg_text_add(use->warning,
			    "%s--nflog-range has never worked and is no longer supported, please "
			    "use --nflog-size instead", use->warning->len ? "; " : "");
		args->nflog.size = v;
		args->nflog.range_set = v; /* iptables keeps 0 as if it had not been given */
		break;
	}
	return 0;
}

static int check_nflog(uint32_t seen, const struct pg_arg *at, struct pg_diag *diag)
{
	if (seen & 1U << NFLOG_RANGE && seen & 1U << NFLOG_SIZE)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "NFLOG: option \"--nflog-range\" cannot be used together with "
			       "\"--nflog-size\".");
	return 0;
}

/* -L prints the options as iptables-save does, without their dashes. */
static void add_nflog(struct pg_text *t, const union pg_target_args *args, const char *dashes)
{
	if (args->nflog.prefix) {
		pg_text_add(t, " %snflog-prefix ", dashes);
		pg_quoted_print(t, args->nflog.prefix);
	}
	if (args->nflog.group)
		pg_text_add(t, " %snflog-group %u", dashes, args->nflog.group);
	if (args->nflog.size_set)
		pg_text_add(t, " %snflog-size %" PRIu32, dashes, args->nflog.size);
	else if (args->nflog.range_set)
		pg_text_add(t, " %snflog-range %" PRIu32, dashes, args->nflog.size);
	if (args->nflog.threshold)
		pg_text_add(t, " %snflog-threshold %u", dashes, args->nflog.threshold);
}

static void print_nflog(struct pg_text *t, const union pg_target_args *args, unsigned family)
{
	(void)family;
	add_nflog(t, args, "--");
}

static void list_nflog(struct pg_text *t, const union pg_target_args *args, unsigned family,
		       bool numeric)
{
	(void)family;
	(void)numeric;
	add_nflog(t, args, "");
}

static void clear_nflog(union pg_target_args *args)
{
	free(args->nflog.prefix);
}

static int copy_nflog(union pg_target_args *ret, const union pg_target_args *args)
{
	return copy_text(&ret->nflog.prefix, args->nflog.prefix);
}

static bool nflog_equal(const union pg_target_args *a, const union pg_target_args *b)
{
	return a->nflog.group == b->nflog.group && a->nflog.threshold == b->nflog.threshold &&
	       a->nflog.size == b->nflog.size && a->nflog.size_set == b->nflog.size_set &&
	       a->nflog.range_set == b->nflog.range_set &&
	       text_equal(a->nflog.prefix, b->nflog.prefix);
}

/* MARK ----------------------------------------------------------------------------------------- */

/* In the order in which iptables names two that exclude each other. */
enum { MARK_SET_X, MARK_SET, MARK_AND, MARK_OR, MARK_XOR };

static const struct pg_match_option mark_options[] = {
	{ "set-xmark", MARK_SET_X, true, false },
	{ "set-mark", MARK_SET, true, false },
	{ "and-mark", MARK_AND, true, false },
	{ "or-mark", MARK_OR, true, false },
	{ "xor-mark", MARK_XOR, true, false },
	{}
};

/* "VALUE" or "VALUE/MASK" */
static int parse_mark_mask(const struct pg_target_use *use, uint32_t *ret_mark, uint32_t *ret_mask,
			   struct pg_diag *diag)
{
	_free_ char *copy = strdup(use->value);
	char *slash = copy ? strchr(copy, '/') : NULL;
	uint32_t mark, mask = UINT32_MAX;

	if (!copy)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (slash)
		*slash++ = '\0';
	if (pg_number_parse(copy, UINT32_MAX, &mark) < 0 ||
	    (slash && pg_number_parse(slash, UINT32_MAX, &mask) < 0))
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "MARK: bad integer value for option \"--%s\", or out of range.",
			       use->option->name);
	*ret_mark = mark;
	*ret_mask = mask;
	return 0;
}

static int parse_mark(union pg_target_args *args, const struct pg_target_use *use,
		      struct pg_diag *diag)
{
	uint32_t mark = 0, mask = 0;
	int r;

	if (use->option->id == MARK_SET || use->option->id == MARK_SET_X)
		r = parse_mark_mask(use, &mark, &mask, diag);
	else
		r = parse_number(use, "MARK", UINT32_MAX, &mark, diag);
	if (r < 0)
		return r;
	switch (use->option->id) {
	case MARK_SET: /* the bits of the value are set, whatever the mask leaves out */
		mask |= mark;
		break;
	case MARK_AND:
		mask = ~mark;
		mark = 0;
		break;
	case MARK_OR:
		mask = mark;
		break;
	}
	args->mark.mark = mark;
	args->mark.mask = mask;
	return 0;
}

static int check_mark(uint32_t seen, const struct pg_arg *at, struct pg_diag *diag)
{
	const char *first = NULL;

	for (size_t i = 0; mark_options[i].name; i++) {
		if (!(seen & 1U << mark_options[i].id))
			continue;
		if (first)
			return pg_diag(diag, PG_DIAG_PARAM, at,
				       "MARK: option \"--%s\" cannot be used together with "
				       "\"--%s\".", first, mark_options[i].name);
		first = mark_options[i].name;
	}
	if (!first)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is "
			       "required");
	return 0;
}

static void print_mark(struct pg_text *t, const union pg_target_args *args, unsigned family)
{
	(void)family;
	pg_text_add(t, " --set-xmark 0x%" PRIx32 "/0x%" PRIx32, args->mark.mark, args->mark.mask);
}

static void list_mark(struct pg_text *t, const union pg_target_args *args, unsigned family,
		      bool numeric)
{
	uint32_t mark = args->mark.mark, mask = args->mark.mask;

	(void)family;
	(void)numeric;
	pg_text_add(t, " MARK ");
	if (!mark)
		pg_text_add(t, "and 0x%" PRIx32, ~mask);
	else if (mark == mask)
		pg_text_add(t, "or 0x%" PRIx32, mark);
	else if (!mask)
		pg_text_add(t, "xor 0x%" PRIx32, mark);
	else if (mask == UINT32_MAX)
		pg_text_add(t, "set 0x%" PRIx32, mark);
	else
		pg_text_add(t, "xset 0x%" PRIx32 "/0x%" PRIx32, mark, mask);
}

static bool mark_equal(const union pg_target_args *a, const union pg_target_args *b)
{
	return a->mark.mark == b->mark.mark && a->mark.mask == b->mark.mask;
}

/* CT ------------------------------------------------------------------------------------------- */

static const struct pg_match_option ct_options[] = {
	{ "notrack", 0, false, false },	  { "helper", 1, true, true },
	{ "ctevents", 2, true, true },	  { "expevents", 3, true, true },
	{ "zone", 4, true, true },	  { "zone-orig", 5, true, true },
	{ "zone-reply", 6, true, true },  { "timeout", 7, true, true },
	{}
};

static int parse_ct(union pg_target_args *args, const struct pg_target_use *use,
		    struct pg_diag *diag)
{
	(void)use;
	(void)diag;
	args->ct.notrack = true;
	return 0;
}

static void print_ct(struct pg_text *t, const union pg_target_args *args, unsigned family)
{
	(void)family;
	if (args->ct.notrack && !args->ct.old)
		pg_text_add(t, " --notrack");
}

static void list_ct(struct pg_text *t, const union pg_target_args *args, unsigned family,
		    bool numeric)
{
	(void)family;
	(void)numeric;
	if (args->ct.old)
		pg_text_add(t, " NOTRACK");
	else
		pg_text_add(t, " CT%s", args->ct.notrack ? " notrack" : "");
}

static bool ct_equal(const union pg_target_args *a, const union pg_target_args *b)
{
	return a->ct.notrack == b->ct.notrack && a->ct.old == b->ct.old;
}

/* The whole ------------------------------------------------------------------------------------ */

enum pg_target pg_target_find(const char *name, union pg_target_args *ret_args)
{
	union pg_target_args args = {};

	if (!strcmp(name, "NOTRACK")) {
		args.ct.notrack = args.ct.old = true;
		*ret_args = args;
		return PG_TARGET_CT;
	}
	for (int i = 0; i < _PG_TARGET_MAX; i++) {
		const struct pg_target_row *row = &pg_target_rows[i];

		if (!row->name || strcmp(row->name, name))
			continue;
		if (row->init)
			row->init(&args);
		*ret_args = args;
		return (enum pg_target)i;
	}
	return PG_TARGET_NONE;
}

bool pg_target_known(const char *name)
{
	static const char *const known[] = {
		"AUDIT",    "CHECKSUM",	 "CLASSIFY", "CLUSTERIP", "CONNMARK",	"CONNSECMARK",
		"DNAT",	    "DNPT",	 "DSCP",     "ECN",	  "HL",		"HMARK",
		"IDLETIMER", "LED",	 "MASQUERADE", "NETMAP",  "NFQUEUE",	"QUEUE",
		"RATEEST",  "REDIRECT",	 "SECMARK",  "SET",	  "SNAT",	"SNPT",
		"SYNPROXY", "TCPMSS",	 "TCPOPTSTRIP", "TEE",	  "TOS",	"TPROXY",
		"TRACE",    "TTL",	 "ULOG",
	};
	union pg_target_args args;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i], name))
			return true;
	return pg_target_find(name, &args) != PG_TARGET_NONE;
}

int pg_target_check_place(const struct pg_rule *rule, enum pg_table_id table,
			  const struct pg_arg *at, struct pg_diag *diag)
{
	const struct pg_target_row *row = &pg_target_rows[rule->target];

	if (row->only_table && row->only != table)
		return pg_diag(diag, PG_DIAG_FAILED, at,
			       "%s target: only valid in %s table, not %s", row->name,
			       pg_table_name(row->only), pg_table_name(table));
	if (rule->target == PG_TARGET_REJECT && rule->args.reject == PG_REJECT_TCP_RESET &&
	    (rule->proto != IPPROTO_TCP || rule->proto_invert))
		return pg_diag(diag, PG_DIAG_FAILED, at, "REJECT with tcp-reset needs `-p tcp'");
	return 0;
}

void pg_target_settle(struct pg_rule *rule)
{
	unsigned families = pg_rule_families(rule);

	if (rule->target != PG_TARGET_REJECT || rule->args.reject != PG_REJECT_DEFAULT)
		return;
	if (families == PG_V4)
		rule->args.reject = PG_REJECT_PORT_UNREACH;
	else if (families == PG_V6)
		rule->args.reject = PG_REJECT6_PORT_UNREACH;
}

void pg_target_clear(struct pg_rule *rule)
{
	const struct pg_target_row *row = &pg_target_rows[rule->target];

	if (row->clear)
		row->clear(&rule->args);
	rule->target = PG_TARGET_NONE;
	rule->args = (union pg_target_args){};
}

int pg_target_copy(struct pg_rule *ret, const struct pg_rule *rule)
{
	const struct pg_target_row *row = &pg_target_rows[rule->target];

	ret->target = rule->target;
	ret->is_goto = rule->is_goto;
	memcpy(ret->chain, rule->chain, sizeof(ret->chain));
	ret->args = rule->args;
	return row->copy ? row->copy(&ret->args, &rule->args) : 0;
}

bool pg_target_equal(const struct pg_rule *a, const struct pg_rule *b)
{
	const struct pg_target_row *row = &pg_target_rows[a->target];

	if (a->target != b->target)
		return false;
	if (a->target == PG_TARGET_CHAIN)
		return a->is_goto == b->is_goto && !strcmp(a->chain, b->chain);
	return !row->equal || row->equal(&a->args, &b->args);
}

unsigned pg_target_families(const struct pg_rule *rule)
{
	const struct pg_target_row *row = &pg_target_rows[rule->target];

	return row->holds ? row->holds(&rule->args) : PG_V46;
}

static const struct pg_match_option reject_options[] = { { "reject-with", 0, true, false }, {} };

const struct pg_target_row pg_target_rows[_PG_TARGET_MAX] = {
	[PG_TARGET_ACCEPT] = { .name = "ACCEPT" },
	[PG_TARGET_DROP] = { .name = "DROP", .option = drop_options, .parse = parse_drop,
			     .print = print_drop, .list = list_drop, .equal = drop_equal },
	[PG_TARGET_RETURN] = { .name = "RETURN" },
	[PG_TARGET_REJECT] = { .name = "REJECT", .option = reject_options, .only_table = true,
			       .only = PG_TABLE_FILTER, .parse = parse_reject,
			       .holds = reject_holds, .print = print_reject, .list = list_reject,
			       .equal = reject_equal },
	[PG_TARGET_LOG] = { .name = "LOG", .option = log_options, .init = init_log,
			    .parse = parse_log, .print = print_log, .list = list_log,
			    .clear = clear_log, .copy = copy_log, .equal = log_equal },
	[PG_TARGET_NFLOG] = { .name = "NFLOG", .option = nflog_options, .parse = parse_nflog,
			      .check = check_nflog, .print = print_nflog, .list = list_nflog,
			      .clear = clear_nflog, .copy = copy_nflog, .equal = nflog_equal },
	[PG_TARGET_MARK] = { .name = "MARK", .option = mark_options, .parse = parse_mark,
			     .check = check_mark, .print = print_mark, .list = list_mark,
			     .equal = mark_equal },
	[PG_TARGET_CT] = { .name = "CT", .option = ct_options, .only_table = true,
			   .only = PG_TABLE_RAW, .parse = parse_ct, .print = print_ct,
			   .list = list_ct, .equal = ct_equal },
};
