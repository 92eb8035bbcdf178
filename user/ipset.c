// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ipset.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "addr.h"
#include "print.h"

#define NAME_MAX_CHARS ((int)sizeof(((struct pg_set_info *)NULL)->name) - 1)
#define SECOND_NS 1000000000ULL
#define HASHSIZE_DEFAULT 1024U
#define HASHSIZE_MIN 64U
#define MAXELEM_DEFAULT 65536U

/* Wrong usage: exit code 2, where ipset adds a hint. */
static int usage(struct pg_err *err, const char *what, const char *which)
{
	return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "%s%s", what, which);
}

static int unsupported(struct pg_err *err, const char *what)
{
	return pg_fail(err, -EOPNOTSUPP, "%s is not supported by portguard", what);
}

/* Words ---------------------------------------------------------------------------------------- */

int pg_ipset_split(char *line, const char **words, size_t *ret_n, struct pg_err *err)
{
	size_t n = 0;
	char *p = line;

	for (;;) {
		const char *ends = " \t\r\n";

		p += strspn(p, ends);
		if (!*p || (!n && *p == '#'))
			break;
		if (n == PG_IPSET_WORDS_MAX)
			return usage(err, "Line is too long", "");
		if (*p == '"') {
			p++;
			ends = "\"";
		}
		words[n++] = p;
		p += strcspn(p, ends);
		if (*ends == '"' && !*p)
			return usage(err, "Closing quotation mark is missing", "");
		if (*p)
			*p++ = '\0';
	}
	*ret_n = n == 1 && !strcmp(words[0], "COMMIT") ? 0 : n;
	return 0;
}

static const struct verb {
	const char *name;
	char letter, alias; /* of -A and of a command of one letter */
	uint8_t needs, takes; /* names or entries after it */
	bool options;
	const char *as; /* for messages */
} verbs[_PG_IPSET_VERB_MAX] = {
	[PG_IPSET_CREATE] = { "create", 'N', 'n', 2, 2, true, "create" },
	[PG_IPSET_ADD] = { "add", 'A', 0, 2, 2, true, "add" },
	[PG_IPSET_DEL] = { "del", 'D', 0, 2, 2, true, "del" },
	[PG_IPSET_TEST] = { "test", 'T', 0, 2, 2, true, "test" },
	[PG_IPSET_DESTROY] = { "destroy", 'X', 'x', 0, 1, false, "destroy" },
	[PG_IPSET_LIST] = { "list", 'L', 0, 0, 1, false, "list" },
	[PG_IPSET_SAVE] = { "save", 'S', 0, 0, 1, false, "save" },
	[PG_IPSET_RESTORE] = { "restore", 'R', 0, 0, 0, false, "restore" },
	[PG_IPSET_FLUSH] = { "flush", 'F', 0, 0, 1, false, "flush" },
	[PG_IPSET_RENAME] = { "rename", 'E', 'e', 2, 2, false, "rename" },
	[PG_IPSET_SWAP] = { "swap", 'W', 'w', 2, 2, false, "swap" },
	[PG_IPSET_HELP] = { "help", 'H', 0, 0, 1, false, "help" },
	[PG_IPSET_VERSION] = { "version", 'V', 0, 0, 0, false, "version" },
};

/* By letter, or by so much of its name that no command before it begins so. */
static int find_verb(const char *word)
{
	size_t len;

	for (int v = 0; v < _PG_IPSET_VERB_MAX; v++) {
		if (word[0] == '-' && word[1] == verbs[v].letter && !word[2])
			return v;
		if (verbs[v].alias && word[0] == verbs[v].alias && !word[1])
			return v;
	}
	if (word[0] == '-' && word[1] == '-')
		word += 2;
	len = strlen(word);
	for (int v = 0; len && v < _PG_IPSET_VERB_MAX; v++)
		if (!strncmp(verbs[v].name, word, len))
			return v;
	return -1;
}

static bool is_option(const char *word, const char *letter, const char *name)
{
	if (!strcmp(word, letter))
		return true;
	return word[0] == '-' && (!strcmp(word + 1, name) ||
				  (word[1] == '-' && !strcmp(word + 2, name)));
}

static int set_output(struct pg_ipset_cmd *cmd, const char *mode, struct pg_err *err)
{
	static const char *const modes[] = {
		[PG_IPSET_PLAIN] = "plain",
		[PG_IPSET_AS_SAVE] = "save",
		[PG_IPSET_XML] = "xml",
	};

	for (size_t i = PG_IPSET_PLAIN; i < ARRAY_SIZE(modes); i++) {
		if (!strcmp(mode, modes[i])) {
			cmd->output = (enum pg_ipset_output)i;
			return 0;
		}
	}
	return pg_fail(err, -EINVAL, "Syntax error: unknown output mode '%s'", mode);
}

/* An option that may stand anywhere. Returns how many words it takes, 0: it is none. */
static int take_option(struct pg_ipset_cmd *cmd, const char **words, size_t n, struct pg_err *err)
{
	const char *word = words[0], *value = n > 1 ? words[1] : NULL;
	bool output = is_option(word, "-o", "output");

	if (is_option(word, "-!", "exist"))
		cmd->exist = true;
	else if (is_option(word, "-q", "quiet"))
		cmd->quiet = true;
	else if (is_option(word, "-s", "sorted"))
		cmd->sorted = true;
	else if (is_option(word, "-n", "name"))
		cmd->names = true;
	else if (is_option(word, "-t", "terse"))
		cmd->terse = true;
	else if (!strcmp(word, "--skip-unsupported"))
		cmd->skip_unsupported = true;
	else if (is_option(word, "-r", "resolve"))
		return unsupported(err, "-resolve");
	else if (output || is_option(word, "-f", "file")) {
		if (!value)
			return usage(err, "Missing mandatory argument to option ", word);
		if (!output)
			cmd->file = value;
		else if (set_output(cmd, value, err) < 0)
			return -EINVAL;
		return 2;
	} else if (is_option(word, "-w", "wait")) {
		bool number = value && *value && !value[strspn(value, "0123456789")];

		cmd->wait_set = true;
		cmd->wait = number ? value : NULL;
		return number ? 2 : 1;
	} else {
		return 0;
	}
	return 1;
}

/*
 * ipset takes any name; one with blanks or quotes could not be read back from `save`, and one with what
 * pg_printable() leaves out would harm the terminal that shows it.
 */
static int check_name(const char *name, struct pg_err *err)
{
	char shown[NAME_MAX_CHARS + 1];
	bool ok = *name;

	if (strlen(name) > (size_t)NAME_MAX_CHARS)
		return pg_fail(err, -EINVAL, "Syntax error: setname '%s' is longer than %d characters",
			       name, NAME_MAX_CHARS);
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == '\x7f' || *p == '"')
			ok = false;
	if (!ok || *name == '#' || strcmp(pg_printable(name, shown, sizeof(shown)), name))
		return pg_fail(err, -EINVAL, "Syntax error: setname '%s' is not a word", name);
	return 0;
}

static int take_operands(struct pg_ipset_cmd *cmd, const char **words, size_t n,
			 struct pg_err *err)
{
	const struct verb *v = &verbs[cmd->verb];

	if (n < v->needs)
		return usage(err,
			     n ? "Missing second mandatory argument to command " :
				 "Missing mandatory argument to command ",
			     v->as);
	if (n > 0 && v->takes > 0)
		cmd->name = words[0];
	if (n > 1 && v->takes > 1)
		cmd->second = words[1];
	if (n > v->takes && !v->options)
		return usage(err, "Unknown argument ", words[v->takes]);
	cmd->option = words + v->takes;
	cmd->n_options = n > v->takes ? n - v->takes : 0;
	if (cmd->name && cmd->verb != PG_IPSET_HELP && check_name(cmd->name, err) < 0)
		return -EINVAL;
	if (cmd->verb == PG_IPSET_RENAME || cmd->verb == PG_IPSET_SWAP)
		return check_name(cmd->second, err);
	return 0;
}

int pg_ipset_command(const char **words, size_t n, struct pg_ipset_cmd *ret, struct pg_err *err)
{
	struct pg_ipset_cmd cmd = {};
	const char *verb = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < n;) {
		/* What follows `comment` is whatever somebody wrote. */
		bool text = kept && !strcmp(words[kept - 1], "comment");
		int taken = text ? 0 : take_option(&cmd, words + i, n - i, err);

		if (taken < 0)
			return taken;
		if (!taken && !verb)
			verb = words[i];
		else if (!taken)
			words[kept++] = words[i];
		i += taken ? (size_t)taken : 1;
	}
	if (!verb)
		return usage(err, "No command specified.", "");
	cmd.verb = (enum pg_ipset_verb)find_verb(verb);
	if ((int)cmd.verb < 0)
		return usage(err, "No command specified: unknown argument ", verb);
	if (take_operands(&cmd, words, kept, err) < 0)
		return -EINVAL;
	*ret = cmd;
	return 0;
}

/* Values --------------------------------------------------------------------------------------- */

static int number(const char *text, uint64_t min, uint64_t max, uint32_t *ret, struct pg_err *err)
{
	bool negative = *text == '-';
	uint32_t v;
	int r = pg_number_parse(text + negative, (uint32_t)max, &v);

	if (r == -EINVAL)
		return pg_fail(err, r, "Syntax error: '%s' is invalid as number", text);
	if (r < 0 || negative || v < min)
		return pg_fail(err, -ERANGE,
			       "Syntax error: '%s' is out of range %llu-%llu", text,
			       (unsigned long long)min, (unsigned long long)max);
	*ret = v;
	return 0;
}

static bool is_v4(const struct pg_set_info *info)
{
	return info->family == PG_FAMILY_V4;
}

static unsigned whole(const struct pg_set_info *info)
{
	return is_v4(info) ? 32 : 128;
}

const char *pg_ipset_family(const struct pg_set_info *info)
{
	return is_v4(info) ? "inet" : "inet6";
}

/* n bytes of a text, which may stand in brackets, as a text of its own. */
static bool copy(const char *text, size_t n, char *buf, size_t size)
{
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= size)
		return false;
	memcpy(buf, text, n);
	buf[n] = '\0';
	return true;
}

/* As getaddrinfo() reads addresses, but without asking a name server. */
static int address(const char *text, size_t n, const struct pg_set_info *info, __be32 *ret,
		   struct pg_err *err)
{
	char buf[64];
	bool ok = copy(text, n, buf, sizeof(buf)) && buf[0];

	memset(ret, 0, 4 * sizeof(*ret));
	if (ok && is_v4(info))
		ok = !buf[strspn(buf, "0123456789.")] && inet_aton(buf, (struct in_addr *)ret);
	else if (ok)
		ok = inet_pton(AF_INET6, buf, ret) == 1;
	if (ok)
		return 0;
	return pg_fail(err, -EINVAL,
		       "Syntax error: cannot parse %.*s: resolving to %s address failed", (int)n,
		       text, is_v4(info) ? "IPv4" : "IPv6");
}

/* create --------------------------------------------------------------------------------------- */

enum create_kind { FAMILY, FAMILY4, FAMILY6, HASHSIZE, MAXELEM, TIMEOUT, NETMASK, IGNORED, REFUSED };

static const struct create_option {
	const char *name;
	enum create_kind kind;
	bool has_value;
	uint8_t types; /* 1 << enum pg_set_type; 0: all */
} create_options[] = {
	{ "family", FAMILY, true, 0 },
	{ "-4", FAMILY4, false, 0 },
	{ "-6", FAMILY6, false, 0 },
	{ "hashsize", HASHSIZE, true, 0 },
	{ "maxelem", MAXELEM, true, 0 },
	{ "timeout", TIMEOUT, true, 0 },
	{ "netmask", NETMASK, true, 1 << PG_SET_HASH_IP },
	/* What says how the kernel's hash is built, now or in former times. */
	{ "bucketsize", IGNORED, true, 0 },
	{ "initval", IGNORED, true, 0 },
	{ "probes", IGNORED, true, 0 },
	{ "resize", IGNORED, true, 0 },
	{ "gc", IGNORED, true, 0 },
	{ "counters", REFUSED, false, 0 },
	{ "comment", REFUSED, false, 0 },
	{ "skbinfo", REFUSED, false, 0 },
	{ "forceadd", REFUSED, false, 0 },
	{ "netmask", REFUSED, true, 1 << PG_SET_HASH_IP_PORT },
	{ "bitmask", REFUSED, true, 1 << PG_SET_HASH_IP | 1 << PG_SET_HASH_IP_PORT },
};

static int find_type(const char *name, struct pg_set_info *ret, struct pg_err *err)
{
	static const struct {
		const char *name;
		enum pg_set_type type;
	} types[] = {
		{ "hash:ip", PG_SET_HASH_IP },		 { "iphash", PG_SET_HASH_IP },
		{ "hash:net", PG_SET_HASH_NET },	 { "nethash", PG_SET_HASH_NET },
		{ "hash:ip,port", PG_SET_HASH_IP_PORT }, { "ipporthash", PG_SET_HASH_IP_PORT },
	};
	static const char *const others[] = {
		"bitmap:ip", "bitmap:ip,mac", "bitmap:port", "hash:mac", "hash:ip,mac",
		"hash:net,net", "hash:net,port", "hash:ip,port,ip", "hash:ip,port,net",
		"hash:ip,mark", "hash:net,port,net", "hash:net,iface", "list:set", "ipmap",
		"macipmap", "portmap", "ipportiphash", "ipportnethash", "setlist",
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(types[i].name, name)) {
			ret->type = (__u8)types[i].type;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (!strcmp(others[i], name))
			return pg_fail(err, -EOPNOTSUPP,
				       "Set type %s is not supported by portguard", name);
	return pg_fail(err, -EINVAL, "Syntax error: typename '%s' is unknown", name);
}

static int set_family(struct pg_set_info *info, const char *text, struct pg_err *err)
{
	if (!strcmp(text, "inet") || !strcmp(text, "ipv4") || !strcmp(text, "-4"))
		info->family = PG_FAMILY_V4;
	else if (!strcmp(text, "inet6") || !strcmp(text, "ipv6") || !strcmp(text, "-6"))
		info->family = PG_FAMILY_V6;
	else
		return pg_fail(err, -EINVAL, "Syntax error: unknown inet family %s", text);
	return 0;
}

/* A netmask waits until the family is known. */
static int set_create_option(struct pg_set_info *info, enum create_kind kind, const char *value,
			     const char **ret_netmask, struct pg_err *err)
{
	switch (kind) {
	case FAMILY:
		return set_family(info, value, err);
	case FAMILY4:
		info->family = PG_FAMILY_V4;
		return 0;
	case FAMILY6:
		info->family = PG_FAMILY_V6;
		return 0;
	case HASHSIZE:
		return number(value, 0, UINT32_MAX, &info->hashsize, err);
	case MAXELEM:
		return number(value, 0, UINT32_MAX, &info->maxelem, err);
	case TIMEOUT:
		info->has_timeout = true;
		return number(value, 0, PG_SET_TIMEOUT_MAX, &info->timeout, err);
	case NETMASK:
		*ret_netmask = value;
		return 0;
	case IGNORED:
	case REFUSED:
		break;
	}
	return 0;
}

static const struct create_option *find_create_option(const char *word, unsigned type)
{
	for (size_t i = 0; i < ARRAY_SIZE(create_options); i++)
		if (!strcmp(create_options[i].name, word) &&
		    (!create_options[i].types || create_options[i].types & 1U << type))
			return &create_options[i];
	return NULL;
}

static int unknown_argument(const char *word, struct pg_err *err)
{
	return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "Unknown argument: `%s'", word);
}

static int missing_value(const char *word, struct pg_err *err)
{
	return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
			    "Missing mandatory argument of option `%s'", word);
}

/* The option is left out, or its set refused. */
static int refuse(const struct pg_ipset_cmd *cmd, const char *what, char *skipped, size_t size,
		  struct pg_err *err)
{
	size_t len = strlen(skipped);

	if (!cmd->skip_unsupported)
		return pg_fail(err, -EOPNOTSUPP,
			       "Option `%s' of sets is not supported by portguard", what);
	snprintf(skipped + len, size - len, "%s%s", len ? ", " : "", what);
	return 0;
}

static int read_create_options(const struct pg_ipset_cmd *cmd, struct pg_set_info *info,
			       const char **ret_netmask, char *skipped, size_t size,
			       struct pg_err *err)
{
	uint32_t seen = 0;
	int r = 0;

	for (size_t i = 0; !r && i < cmd->n_options; i++) {
		const char *word = cmd->option[i];
		const struct create_option *o = find_create_option(word, info->type);

		if (!o)
			return unknown_argument(word, err);
		if (o->has_value && i + 1 == cmd->n_options)
			return missing_value(word, err);
		if (o->has_value && seen & 1U << (o - create_options))
			return pg_fail(err, -EINVAL, "Syntax error: %s already specified", word);
		seen |= 1U << (o - create_options);
		i += o->has_value;
		if (o->kind == REFUSED)
			r = refuse(cmd, word, skipped, size, err);
		else
			r = set_create_option(info, o->kind, cmd->option[i], ret_netmask, err);
	}
	return r;
}

int pg_ipset_create(const struct pg_ipset_cmd *cmd, struct pg_set_info *ret, char *ret_skipped,
		    size_t size, struct pg_err *err)
{
	struct pg_set_info info = { .hashsize = HASHSIZE_DEFAULT, .maxelem = MAXELEM_DEFAULT };
	const char *netmask = NULL;
	uint32_t bits = 0, p = HASHSIZE_MIN;
	int r = find_type(cmd->second, &info, err);

	_Static_assert(ARRAY_SIZE(create_options) <= 32, "a bit for each");
	ret_skipped[0] = '\0';
	if (!r)
		r = read_create_options(cmd, &info, &netmask, ret_skipped, size, err);
	if (!r && netmask)
		r = number(netmask, 1, whole(&info), &bits, err);
	if (r < 0)
		return r;
	snprintf(info.name, sizeof(info.name), "%s", cmd->name);
	info.netmask = (__u8)bits;
	info.net = info.type == PG_SET_HASH_NET || bits;
	while (p < info.hashsize && p < 1U << 31)
		p *= 2;
	info.hashsize = p;
	*ret = info;
	return 0;
}

/* Entries: addresses --------------------------------------------------------------------------- */

static bool is_zero(const __be32 *addr)
{
	return !(addr[0] | addr[1] | addr[2] | addr[3]);
}

static int not_in_test(const struct pg_set_info *info, const char *what, struct pg_err *err)
{
	return pg_fail(err, -EINVAL,
		       "%s range is not allowed in command test with set type %s and family %s",
		       what, pg_set_type_name(info->type), pg_ipset_family(info));
}

/* What the text holds beside one address: "/24" or "-1.2.3.9", or nothing. */
struct extent {
	const char *text;
	size_t n;	  /* of the first address */
	const char *cidr; /* NULL: none */
	const char *to;	  /* NULL: none */
	size_t to_n;
};

static struct extent split_address(const char *text, size_t n)
{
	/* A dash in brackets belongs to a name. */
	const char *after = n && text[0] == '[' ? memchr(text, ']', n) : text;
	const char *dash = after ? memchr(after, '-', n - (size_t)(after - text)) : NULL;
	const char *slash = memchr(text, '/', n);
	struct extent x = { .text = text, .n = n };

	if (slash) {
		x.n = (size_t)(slash - text);
		x.cidr = slash + 1;
	} else if (dash && dash > text && dash + 1 < text + n) {
		x.n = (size_t)(dash - text);
		x.to = dash + 1;
		x.to_n = n - x.n - 1;
	}
	return x;
}

static int bad_cidr(struct pg_err *err)
{
	return pg_fail(err, -EINVAL, "The value of the CIDR parameter of the IP address is invalid");
}

/* "24" of "10.0.0.0/24" or of "10.0.0.0/24,80". */
static int read_cidr(const struct extent *x, const char *end, const struct pg_set_info *info,
		     uint32_t *ret, struct pg_err *err)
{
	char buf[32];

	if (!x->cidr) {
		*ret = whole(info);
		return 0;
	}
	if (x->cidr == end || !copy(x->cidr, (size_t)(end - x->cidr), buf, sizeof(buf)))
		return pg_fail(err, -EINVAL,
			       "Syntax error: cannot parse %.*s: resolving to %s address failed",
			       (int)(end - x->text), x->text, is_v4(info) ? "IPv4" : "IPv6");
	if (number(buf, 0, whole(info), ret, err) < 0)
		return -EINVAL;
	return *ret ? 0 : bad_cidr(err);
}

static int read_v6(const struct pg_set_info *info, const struct extent *x, const char *end,
		   struct pg_ipset_range *ret, struct pg_err *err)
{
	bool nets = info->type == PG_SET_HASH_NET;
	uint32_t bits;
	int r;

	if (x->to && nets)
		return pg_fail(err, -EINVAL,
			       "Syntax error: IP address or IP/cidr must be specified: %.*s",
			       (int)(end - x->text), x->text);
	r = x->to ? 0 : read_cidr(x, end, info, &bits, err);
	if (r < 0)
		return r;
	if (x->to || (!nets && bits != 128))
		return pg_fail(err, -EINVAL, "Syntax error: plain IP address must be supplied: %.*s",
			       (int)(end - x->text), x->text);
	r = address(x->text, x->n, info, ret->entry.key.addr, err);
	if (r < 0)
		return r;
	if (info->net) {
		ret->entry.prefix = info->netmask ? info->netmask : (uint8_t)bits;
		pg_set_cut(ret->entry.key.addr, ret->entry.prefix);
	}
	return 0;
}

/* From the first to the last address, in steps of what the set makes no difference between. */
static int read_v4_span(const struct pg_ipset_cmd *cmd, const struct pg_set_info *info,
			const struct extent *x, const char *end, struct pg_ipset_range *ret,
			uint32_t *ret_bits, struct pg_err *err)
{
	__be32 from[4], to[4];
	int r = read_cidr(x, end, info, ret_bits, err);

	if (!r)
		r = address(x->text, x->n, info, from, err);
	if (!r && x->to)
		r = address(x->to, x->to_n, info, to, err);
	if (r < 0)
		return r;
	ret->ip = ntohl(from[0]);
	ret->ip_last = x->to ? ntohl(to[0]) : ret->ip;
	if (ret->ip > ret->ip_last) {
		uint64_t tmp = ret->ip;

		ret->ip = ret->ip_last;
		ret->ip_last = tmp;
	}
	if (x->cidr) {
		uint64_t size = 1ULL << (32 - *ret_bits);

		ret->ip &= ~(size - 1);
		ret->ip_last = ret->ip + size - 1;
	}
	if (cmd->verb == PG_IPSET_TEST && info->type == PG_SET_HASH_IP)
		ret->ip_last = ret->ip;
	return 0;
}

static int read_v4(const struct pg_ipset_cmd *cmd, const struct pg_set_info *info,
		   const struct extent *x, const char *end, struct pg_ipset_range *ret,
		   struct pg_err *err)
{
	bool test = cmd->verb == PG_IPSET_TEST, nets = info->type == PG_SET_HASH_NET;
	uint32_t bits;
	int r = read_v4_span(cmd, info, x, end, ret, &bits, err);

	if (r < 0)
		return r;
	if (test && x->to && info->type != PG_SET_HASH_IP)
		return not_in_test(info, "FROM-TO IP", err);
	if (test && bits != 32 && info->type == PG_SET_HASH_IP_PORT)
		return not_in_test(info, "IP/CIDR", err);
	ret->many = true;
	ret->ip_step = 1;
	if (nets) {
		ret->as_nets = true;
		if (!ret->ip && ret->ip_last == UINT32_MAX)
			return pg_fail(err, -ERANGE,
				       "Invalid range, covers the whole address space");
	} else if (info->netmask) {
		ret->ip_step = 1ULL << (32 - info->netmask);
		ret->ip &= ~(ret->ip_step - 1);
		ret->entry.prefix = info->netmask;
	}
	return 0;
}

/* Entries: protocols and ports ----------------------------------------------------------------- */

static const struct icmp_name {
	uint8_t proto, type, code;
	const char *name;
} icmp_names[] = { /* the first of a type and code is printed */
	{ IPPROTO_ICMP, 0, 0, "echo-reply" },
	{ IPPROTO_ICMP, 0, 0, "pong" },
	{ IPPROTO_ICMP, 3, 0, "network-unreachable" },
	{ IPPROTO_ICMP, 3, 1, "host-unreachable" },
	{ IPPROTO_ICMP, 3, 2, "protocol-unreachable" },
	{ IPPROTO_ICMP, 3, 3, "port-unreachable" },
	{ IPPROTO_ICMP, 3, 4, "fragmentation-needed" },
	{ IPPROTO_ICMP, 3, 5, "source-route-failed" },
	{ IPPROTO_ICMP, 3, 6, "network-unknown" },
	{ IPPROTO_ICMP, 3, 7, "host-unknown" },
	{ IPPROTO_ICMP, 3, 9, "network-prohibited" },
	{ IPPROTO_ICMP, 3, 10, "host-prohibited" },
	{ IPPROTO_ICMP, 3, 11, "TOS-network-unreachable" },
	{ IPPROTO_ICMP, 3, 12, "TOS-host-unreachable" },
	{ IPPROTO_ICMP, 3, 13, "communication-prohibited" },
	{ IPPROTO_ICMP, 3, 14, "host-precedence-violation" },
	{ IPPROTO_ICMP, 3, 15, "precedence-cutoff" },
	{ IPPROTO_ICMP, 4, 0, "source-quench" },
	{ IPPROTO_ICMP, 5, 0, "network-redirect" },
	{ IPPROTO_ICMP, 5, 1, "host-redirect" },
	{ IPPROTO_ICMP, 5, 2, "TOS-network-redirect" },
	{ IPPROTO_ICMP, 5, 3, "TOS-host-redirect" },
	{ IPPROTO_ICMP, 8, 0, "echo-request" },
	{ IPPROTO_ICMP, 8, 0, "ping" },
	{ IPPROTO_ICMP, 9, 0, "router-advertisement" },
	{ IPPROTO_ICMP, 10, 0, "router-solicitation" },
	{ IPPROTO_ICMP, 11, 0, "ttl-zero-during-transit" },
	{ IPPROTO_ICMP, 11, 1, "ttl-zero-during-reassembly" },
	{ IPPROTO_ICMP, 12, 0, "ip-header-bad" },
	{ IPPROTO_ICMP, 12, 1, "required-option-missing" },
	{ IPPROTO_ICMP, 13, 0, "timestamp-request" },
	{ IPPROTO_ICMP, 14, 0, "timestamp-reply" },
	{ IPPROTO_ICMP, 17, 0, "address-mask-request" },
	{ IPPROTO_ICMP, 18, 0, "address-mask-reply" },
	{ IPPROTO_ICMPV6, 1, 0, "no-route" },
	{ IPPROTO_ICMPV6, 1, 1, "communication-prohibited" },
	{ IPPROTO_ICMPV6, 1, 3, "address-unreachable" },
	{ IPPROTO_ICMPV6, 1, 4, "port-unreachable" },
	{ IPPROTO_ICMPV6, 2, 0, "packet-too-big" },
	{ IPPROTO_ICMPV6, 3, 0, "ttl-zero-during-transit" },
	{ IPPROTO_ICMPV6, 3, 1, "ttl-zero-during-reassembly" },
	{ IPPROTO_ICMPV6, 4, 0, "bad-header" },
	{ IPPROTO_ICMPV6, 4, 1, "unknown-header-type" },
	{ IPPROTO_ICMPV6, 4, 2, "unknown-option" },
	{ IPPROTO_ICMPV6, 128, 0, "echo-request" },
	{ IPPROTO_ICMPV6, 128, 0, "ping" },
	{ IPPROTO_ICMPV6, 129, 0, "echo-reply" },
	{ IPPROTO_ICMPV6, 129, 0, "pong" },
	{ IPPROTO_ICMPV6, 133, 0, "router-solicitation" },
	{ IPPROTO_ICMPV6, 134, 0, "router-advertisement" },
	{ IPPROTO_ICMPV6, 135, 0, "neighbour-solicitation" },
	{ IPPROTO_ICMPV6, 135, 0, "neigbour-solicitation" }, /* ipset's own spelling */
	{ IPPROTO_ICMPV6, 136, 0, "neighbour-advertisement" },
	{ IPPROTO_ICMPV6, 136, 0, "neigbour-advertisement" },
	{ IPPROTO_ICMPV6, 137, 0, "redirect" },
};

static int read_icmp(const char *text, const struct pg_set_info *info, struct pg_ipset_range *ret,
		     struct pg_err *err)
{
	bool v6 = ret->entry.key.proto == IPPROTO_ICMPV6;
	const char *what = v6 ? "ICMPv6" : "ICMP", *slash = strchr(text, '/');
	uint32_t type, code;
	char buf[32];

	if (v6 == is_v4(info))
		return pg_fail(err, -EINVAL, "Syntax error: Protocol %s can be used with family %s only",
			       what, v6 ? "inet6" : "inet");
	for (size_t i = 0; i < ARRAY_SIZE(icmp_names); i++) {
		if (icmp_names[i].proto == ret->entry.key.proto &&
		    !strcasecmp(icmp_names[i].name, text)) {
			ret->port = icmp_names[i].type << 8 | icmp_names[i].code;
			return 0;
		}
	}
	if (!slash || !copy(text, (size_t)(slash - text), buf, sizeof(buf)))
		return pg_fail(err, -EINVAL, "Cannot parse %s as an %s type/code.", text, what);
	if (number(buf, 0, 255, &type, err) < 0 || number(slash + 1, 0, 255, &code, err) < 0)
		return -EINVAL;
	ret->port = type << 8 | code;
	return 0;
}

static int one_port(const char *text, size_t n, const char *proto, uint32_t *ret,
		    struct pg_err *err)
{
	struct servent *entry;
	char buf[64];

	if (copy(text, n, buf, sizeof(buf)) && buf[0]) {
		if (!pg_number_parse(buf, UINT16_MAX, ret))
			return 0;
		entry = getservbyname(buf, proto);
		if (entry) {
			*ret = ntohs((uint16_t)entry->s_port);
			return 0;
		}
	}
	return pg_fail(err, -EINVAL, "Syntax error: cannot parse '%.*s' as a %s port", (int)n, text,
		       proto);
}

/* "80", "80-90", "[ftp-data]-[ssh]" */
static int read_ports(const char *text, const char *proto, struct pg_ipset_range *ret,
		      struct pg_err *err)
{
	const char *after = text[0] == '[' ? strchr(text, ']') : text;
	const char *dash = after ? strchr(after, '-') : NULL;
	size_t n = dash ? (size_t)(dash - text) : strlen(text);
	uint32_t first, last;

	if (one_port(text, n, proto, &first, err) < 0)
		return -EINVAL;
	last = first;
	if (dash && one_port(dash + 1, strlen(dash + 1), proto, &last, err) < 0)
		return -EINVAL;
	ret->port = first < last ? first : last;
	ret->port_last = first < last ? last : first;
	return 0;
}

static int read_proto(const char *text, uint8_t *ret, struct pg_err *err)
{
	bool numeric = isdigit((unsigned char)text[0]);

	if (pg_proto_parse(text, ret) < 0 || (!*ret && !numeric))
		return pg_fail(err, -EINVAL, "Syntax error: cannot parse '%s' as a protocol", text);
	if (!*ret)
		return pg_fail(err, -EINVAL, "Invalid protocol specified");
	return 0;
}

/* "80", "udp:53", "icmp:echo-request", "gre:0" */
static int read_proto_port(const char *text, const struct pg_set_info *info,
			   struct pg_ipset_range *ret, struct pg_err *err)
{
	const char *colon = strchr(text, ':'), *port = colon ? colon + 1 : text;
	char name[32] = "tcp";
	uint8_t *proto = &ret->entry.key.proto;
	uint32_t zero;
	int r = 0;

	if (colon && !copy(text, (size_t)(colon - text), name, sizeof(name)))
		return pg_fail(err, -EINVAL, "Syntax error: cannot parse '%.*s' as a protocol",
			       (int)(colon - text), text);
	r = read_proto(name, proto, err);
	if (r < 0)
		return r;
	switch (*proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
		r = read_ports(port, pg_proto_name(*proto), ret, err);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		r = read_icmp(port, info, ret, err);
		ret->port_last = ret->port;
		break;
	default:
		if (pg_number_parse(port, 0, &zero) < 0)
			return pg_fail(err, -EINVAL,
				       "Syntax error: Protocol %s can be used with pseudo port value 0 only.",
				       name);
		ret->port = ret->port_last = 0;
	}
	ret->port_first = ret->port;
	return r;
}

/* Entries: as a whole -------------------------------------------------------------------------- */

/* Where the address ends and, in ret_port, what comes after it (NULL: nothing does). */
static int split_elem(const char *elem, const struct pg_set_info *info, const char **ret_end,
		      const char **ret_port, struct pg_err *err)
{
	const char *comma = strchr(elem, ',');

	*ret_end = elem + strlen(elem);
	*ret_port = NULL;
	if (info->type != PG_SET_HASH_IP_PORT) {
		if (comma)
			return pg_fail(err, -EINVAL,
				       "Syntax error: Elem separator in %s, but settype %s supports none.",
				       elem, pg_set_type_name(info->type));
		return 0;
	}
	if (!comma || comma == elem || !comma[1])
		return pg_fail(err, -EINVAL, "Syntax error: Second element is missing from %s.",
			       elem);
	if (strchr(comma + 1, ','))
		return pg_fail(err, -EINVAL,
			       "Syntax error: Two elem separators in %s, but settype %s supports one.",
			       elem, pg_set_type_name(info->type));
	*ret_end = comma;
	*ret_port = comma + 1;
	return 0;
}

static int read_elem(const struct pg_ipset_cmd *cmd, const struct pg_set_info *info,
		     struct pg_ipset_range *ret, struct pg_err *err)
{
	const char *end, *port;
	struct extent x;
	int r = split_elem(cmd->second, info, &end, &port, err);

	if (r < 0)
		return r;
	x = split_address(cmd->second, (size_t)(end - cmd->second));
	r = is_v4(info) ? read_v4(cmd, info, &x, end, ret, err) :
			  read_v6(info, &x, end, ret, err);
	if (!r && port)
		r = read_proto_port(port, info, ret, err);
	if (r < 0)
		return r;
	if (port && cmd->verb == PG_IPSET_TEST && ret->port != ret->port_last)
		return not_in_test(info, "FROM-TO port", err);
	if (info->type != PG_SET_HASH_NET && cmd->verb != PG_IPSET_TEST &&
	    (ret->many ? !ret->ip : is_zero(ret->entry.key.addr)))
		return pg_fail(err, -EINVAL,
			       "Null-valued element, cannot be stored in a hash type of set");
	return 0;
}

enum add_kind { ADD_TIMEOUT, ADD_NOMATCH, ADD_COUNTER, ADD_COMMENT, ADD_SKB };

static const struct add_option {
	const char *name;
	enum add_kind kind;
	bool has_value;
	const char *without; /* of a set without it */
} add_options[] = {
	{ "timeout", ADD_TIMEOUT, true,
	  "Timeout cannot be used: set was created without timeout support" },
	{ "nomatch", ADD_NOMATCH, false, NULL },
	{ "packets", ADD_COUNTER, true,
	  "Packet/byte counters cannot be used: set was created without counter support" },
	{ "bytes", ADD_COUNTER, true,
	  "Packet/byte counters cannot be used: set was created without counter support" },
	{ "comment", ADD_COMMENT, true,
	  "Comment cannot be used: set was created without comment support" },
	{ "skbmark", ADD_SKB, true,
	  "Skbinfo mapping cannot be used: set was created without skbinfo support" },
	{ "skbprio", ADD_SKB, true,
	  "Skbinfo mapping cannot be used: set was created without skbinfo support" },
	{ "skbqueue", ADD_SKB, true,
	  "Skbinfo mapping cannot be used: set was created without skbinfo support" },
};

/* Which options a verb and a type take. */
static const struct add_option *find_add_option(const char *word, enum pg_ipset_verb verb,
						unsigned type)
{
	for (size_t i = 0; i < ARRAY_SIZE(add_options); i++) {
		bool nomatch = add_options[i].kind == ADD_NOMATCH;

		if (strcmp(add_options[i].name, word) != 0)
			continue;
		if (nomatch ? type == PG_SET_HASH_NET && verb != PG_IPSET_DEL : verb == PG_IPSET_ADD)
			return &add_options[i];
	}
	return NULL;
}

static int read_add_options(const struct pg_ipset_cmd *cmd, const struct pg_set_info *info,
			    struct pg_set_entry *e, uint32_t *timeout, struct pg_err *err)
{
	for (size_t i = 0; i < cmd->n_options; i++) {
		const char *word = cmd->option[i];
		const struct add_option *o = find_add_option(word, cmd->verb, info->type);

		if (!o)
			return unknown_argument(word, err);
		if (o->has_value && i + 1 == cmd->n_options)
			return missing_value(word, err);
		i += o->has_value;
		if (o->kind == ADD_NOMATCH)
			e->nomatch = true;
		else if (o->kind == ADD_TIMEOUT && info->has_timeout) {
			if (number(cmd->option[i], 0, PG_SET_TIMEOUT_MAX, timeout, err) < 0)
				return -EINVAL;
		} else if (o->kind == ADD_TIMEOUT || !cmd->skip_unsupported)
			return pg_fail(err, -EINVAL, "%s", o->without);
	}
	return 0;
}

int pg_ipset_entry(const struct pg_ipset_cmd *cmd, const struct pg_set_info *info, uint64_t now_ns,
		   struct pg_ipset_range *ret, struct pg_err *err)
{
	struct pg_ipset_range range = { .entry.key.family = info->family };
	uint32_t timeout = info->has_timeout ? info->timeout : 0;
	int r = read_elem(cmd, info, &range, err);

	if (!r)
		r = read_add_options(cmd, info, &range.entry, &timeout, err);
	if (r < 0)
		return r;
	if (timeout)
		range.entry.expires_ns = now_ns + timeout * SECOND_NS;
	*ret = range;
	return 0;
}

/* The largest block that begins at ip and does not go beyond last. */
static unsigned block_bits(uint64_t ip, uint64_t last)
{
	unsigned bits = 32;

	while (bits > 1) {
		uint64_t size = 1ULL << (33 - bits);

		if (ip & (size - 1) || ip + size - 1 > last)
			break;
		bits--;
	}
	return bits;
}

bool pg_ipset_next(struct pg_ipset_range *range, struct pg_set_entry *ret)
{
	uint64_t step = range->ip_step;

	if (range->ip > range->ip_last)
		return false;
	*ret = range->entry;
	if (range->many) {
		ret->key.addr[0] = htonl((uint32_t)range->ip);
		if (range->as_nets) {
			ret->prefix = (uint8_t)block_bits(range->ip, range->ip_last);
			step = 1ULL << (32 - ret->prefix);
		}
	}
	ret->key.port = (__u16)range->port;
	if (range->port++ < range->port_last)
		return true;
	range->port = range->port_first;
	range->ip += range->many ? step : 1; /* 0..0 where there is but one */
	return true;
}

/* Text ----------------------------------------------------------------------------------------- */

static void add_port(char *buf, size_t size, const struct pg_set_key *key)
{
	const char *proto = pg_proto_name(key->proto);
	size_t len = strlen(buf);

	if (proto)
		len += (size_t)snprintf(buf + len, size - len, ",%s:", proto);
	else
		len += (size_t)snprintf(buf + len, size - len, ",%u:", key->proto);
	if (key->proto != IPPROTO_ICMP && key->proto != IPPROTO_ICMPV6) {
		snprintf(buf + len, size - len, "%u", key->port);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(icmp_names); i++) {
		const struct icmp_name *n = &icmp_names[i];

		if (n->proto == key->proto && (n->type << 8 | n->code) == key->port) {
			snprintf(buf + len, size - len, "%s", n->name);
			return;
		}
	}
	snprintf(buf + len, size - len, "%u/%u", key->port >> 8, key->port & 0xff);
}

const char *pg_ipset_elem(char *buf, const struct pg_set_info *info,
			  const struct pg_set_entry *entry)
{
	size_t len;

	inet_ntop(is_v4(info) ? AF_INET : AF_INET6, entry->key.addr, buf, PG_IPSET_ELEM_MAX);
	len = strlen(buf);
	if (info->type == PG_SET_HASH_NET && entry->prefix < whole(info))
		snprintf(buf + len, PG_IPSET_ELEM_MAX - len, "/%u", entry->prefix);
	else if (info->type == PG_SET_HASH_IP_PORT)
		add_port(buf, PG_IPSET_ELEM_MAX, &entry->key);
	return buf;
}

void pg_ipset_header(struct pg_text *t, const struct pg_set_info *info)
{
	pg_text_add(t, "family %s hashsize %u maxelem %u", pg_ipset_family(info), info->hashsize,
		    info->maxelem);
	if (info->netmask)
		pg_text_add(t, " netmask %u", info->netmask);
	if (info->has_timeout)
		pg_text_add(t, " timeout %u", info->timeout);
}

int pg_ipset_compare(const void *a, const void *b)
{
	const struct pg_set_entry *x = a, *y = b;
	int r = memcmp(x->key.addr, y->key.addr, sizeof(x->key.addr));

	if (!r)
		r = x->prefix - y->prefix;
	if (!r)
		r = x->key.proto - y->key.proto;
	return r ? r : x->key.port - y->key.port;
}
