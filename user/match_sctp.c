/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* --chunk-types of -m sctp: any, all or only the chunks of a list, some with their flags. */
#include <ctype.h>
#include <string.h>

#include "match_stateless.h"
#include "match_value.h"

/* Letters of the eight flags, highest bit first. */
#define NO_FLAGS "--------"

/* Order is iptables', which names types by it where it complains of flags. */
static const struct {
	const char *name;
	uint8_t type;
	const char *flags;
} chunk_names[] = {
	{ "DATA", 0, "----IUBE" },
	{ "INIT", 1, NO_FLAGS },
	{ "INIT_ACK", 2, NO_FLAGS },
	{ "SACK", 3, NO_FLAGS },
	{ "HEARTBEAT", 4, NO_FLAGS },
	{ "HEARTBEAT_ACK", 5, NO_FLAGS },
	{ "ABORT", 6, "-------T" },
	{ "SHUTDOWN", 7, NO_FLAGS },
	{ "SHUTDOWN_ACK", 8, NO_FLAGS },
	{ "ERROR", 9, NO_FLAGS },
	{ "COOKIE_ECHO", 10, NO_FLAGS },
	{ "COOKIE_ACK", 11, NO_FLAGS },
	{ "ECN_ECNE", 12, NO_FLAGS },
	{ "ECN_CWR", 13, NO_FLAGS },
	{ "SHUTDOWN_COMPLETE", 14, "-------T" },
	{ "I_DATA", 64, "----IUBE" },
	{ "RE_CONFIG", 130, NO_FLAGS },
	{ "PAD", 132, NO_FLAGS },
	{ "ASCONF", 193, NO_FLAGS },
	{ "ASCONF_ACK", 128, NO_FLAGS },
	{ "FORWARD_TSN", 192, NO_FLAGS },
	{ "I_FORWARD_TSN", 194, NO_FLAGS },
};

static const char *const op_names[] = {
	[PG_CHUNK_NONE] = "none",
	[PG_CHUNK_ANY] = "any",
	[PG_CHUNK_ALL] = "all",
	[PG_CHUNK_ONLY] = "only",
};

static bool has_type(const struct pg_sctp_chunks *c, unsigned type)
{
	return c->map[type / 8] & 1U << type % 8;
}

/* Where the flags of a type stand; a new place if it has none yet; false: there is no room. */
static bool place_flags(struct pg_sctp_chunks *c, size_t type, unsigned *ret_at)
{
	unsigned i = 0;

	while (i < c->n_flags && c->flag[i].type != type)
		i++;
	if (i == PG_SCTP_FLAGS_MAX)
		return false;
	if (i == c->n_flags) {
		c->flag[i].type = (uint8_t)type;
		c->n_flags++;
	}
	*ret_at = i;
	return true;
}

/*
 * A capital letter asks for the flag, a small one for its absence. iptables files flags under its
 * own number of a name, so those of types above SHUTDOWN_COMPLETE are read and never asked for.
 */
static int parse_chunk_flags(struct pg_sctp_chunks *c, size_t name, const char *text,
			     const struct pg_arg *at, struct pg_diag *diag)
{
	const char *letters = chunk_names[name].flags;

	for (; *text; text++) {
		const char *found = strchr(letters, toupper((unsigned char)*text));
		uint8_t bit;
		unsigned i;

		if (!found)
			return pg_diag(diag, PG_DIAG_PARAM, at, "Invalid flags for chunk type %zu",
				       name);
		if (!place_flags(c, name, &i))
			return pg_diag(
				diag, PG_DIAG_PARAM, at,
				"Number of chunk types with flags exceeds currently allowed "
				"limit. Increasing this limit involves changing "
				"IPT_NUM_SCTP_FLAGS and recompiling both the kernel space and "
				"user space modules");
		bit = (uint8_t)(0x80U >> (found - letters));
		c->flag[i].mask |= bit;
		if (isupper((unsigned char)*text))
			c->flag[i].flag |= bit;
	}
	return 0;
}

static int parse_chunk(struct pg_sctp_chunks *c, char *text, const struct pg_arg *at,
		       struct pg_diag *diag)
{
	char *flags = strchr(text, ':');
	size_t i = 0;

	if (flags)
		*flags++ = '\0';
	while (i < ARRAY_SIZE(chunk_names) && strcasecmp(chunk_names[i].name, text))
		i++;
	if (i == ARRAY_SIZE(chunk_names))
		return pg_diag(diag, PG_DIAG_PARAM, at, "Unknown sctp chunk `%s'", text);
	c->map[chunk_names[i].type / 8] |= (uint8_t)(1U << chunk_names[i].type % 8);
	return flags ? parse_chunk_flags(c, i, flags, at, diag) : 0;
}

static int parse_chunks(struct pg_sctp_chunks *c, const struct pg_arg *at, struct pg_diag *diag)
{
	_free_ char *copy = strdup(at->text);
	char *rest = NULL;
	unsigned kept = 0;

	if (!copy)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (!strcasecmp(copy, "ALL"))
		memset(c->map, 0xff, sizeof(c->map));
	if (!strcasecmp(copy, "ALL") || !strcasecmp(copy, "NONE"))
		return 0;
	for (char *one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
		int r = parse_chunk(c, one, at, diag);

		if (r < 0)
			return r;
	}
	for (unsigned i = 0; i < c->n_flags; i++)
		if (has_type(c, c->flag[i].type))
			c->flag[kept++] = c->flag[i];
	c->n_flags = kept;
	return 0;
}

int pg_chunks_parse(struct pg_match *m, const struct pg_match_use *use, bool again,
		    struct pg_diag *diag)
{
	const struct pg_arg *list = use->rest;
	struct pg_sctp_chunks *c;

	if (again)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Only one `--chunk-types' allowed");
	if (!use->n_rest || list->text[0] == '-' || list->text[0] == '!')
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "--chunk-types requires two args");
	c = calloc(1, sizeof(*c));
	if (!c)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	m->ports.chunks = c;
	c->invert = use->invert;
	for (enum pg_chunk_op op = PG_CHUNK_ANY; op <= PG_CHUNK_ONLY; op++)
		if (!strcasecmp(op_names[op], use->value))
			c->op = op;
	if (c->op == PG_CHUNK_NONE)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "Match type has to be one of \"ALL\", \"ANY\" or \"ONLY\"");
	*use->ret_taken = 1;
	return parse_chunks(c, list, diag);
}

/* A list makes no type without a name, so every one has its place. */
static size_t name_of(unsigned type)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(chunk_names) && chunk_names[i].type != type)
		i++;
	return i;
}

static void add_chunk(struct pg_text *t, const struct pg_sctp_chunks *c, unsigned type,
		      bool numeric)
{
	size_t name = name_of(type);

	if (numeric)
		pg_text_add(t, "0x%04X", type);
	else
		pg_text_add(t, "%s", chunk_names[name].name);
	for (unsigned i = 0; i < c->n_flags; i++) {
		if (c->flag[i].type != type)
			continue;
		pg_text_add(t, ":");
		for (unsigned bit = 0; bit < 8; bit++) {
			char letter = chunk_names[name].flags[bit];

			if (!(c->flag[i].mask & 0x80U >> bit))
				continue;
			if (!(c->flag[i].flag & 0x80U >> bit))
				letter = (char)tolower((unsigned char)letter);
			pg_text_addn(t, &letter, 1);
		}
	}
}

static void add_chunks(struct pg_text *t, const struct pg_sctp_chunks *c, bool numeric)
{
	const char *comma = "";
	unsigned n = 0;

	for (unsigned type = 0; type < 256; type++)
		n += has_type(c, type);
	if (!n || n == 256) {
		pg_text_add(t, n ? "ALL" : "NONE");
		return;
	}
	for (unsigned type = 0; type < 256; type++) {
		if (!has_type(c, type))
			continue;
		pg_text_add(t, "%s", comma);
		add_chunk(t, c, type, numeric);
		comma = ",";
	}
}

void pg_chunks_print(struct pg_text *t, const struct pg_sctp_chunks *chunks)
{
	pg_text_add(t, "%s --chunk-types %s ", chunks->invert ? " !" : "", op_names[chunks->op]);
	add_chunks(t, chunks, false);
}

void pg_chunks_list(struct pg_text *t, const struct pg_sctp_chunks *chunks, bool numeric)
{
	pg_text_add(t, "%s %s ", chunks->invert ? " !" : "", op_names[chunks->op]);
	add_chunks(t, chunks, numeric);
}

bool pg_chunks_equal(const struct pg_sctp_chunks *a, const struct pg_sctp_chunks *b)
{
	if (!a || !b)
		return a == b;
	if (a->op != b->op || a->invert != b->invert || a->n_flags != b->n_flags ||
	    memcmp(a->map, b->map, sizeof(a->map)))
		return false;
	for (unsigned i = 0; i < a->n_flags; i++)
		if (a->flag[i].type != b->flag[i].type || a->flag[i].flag != b->flag[i].flag ||
		    a->flag[i].mask != b->flag[i].mask)
			return false;
	return true;
}
