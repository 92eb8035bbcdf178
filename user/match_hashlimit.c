/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * -m hashlimit: a limit for each address, port, or combination of them.
 *
 * A rate in bytes is kept as the kernel has it, in units of 16 bytes: avg is 2^32 - 1 divided by
 * the rate, rounded down, and burst counts whole rates.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "match_host.h"
#include "match_stateful.h"
#include "match_value.h"

enum {
	OPT_UPTO,
	OPT_ABOVE,
	OPT_BURST,
	OPT_SIZE,
	OPT_MAX,
	OPT_GC_INTERVAL,
	OPT_EXPIRE,
	OPT_MODE,
	OPT_NAME,
	OPT_SRCMASK,
	OPT_DSTMASK,
	OPT_RATE_MATCH,
	OPT_INTERVAL,
};

const struct pg_match_option pg_hashlimit_options[] = {
	{ "hashlimit-upto", OPT_UPTO, true, false },
	{ "hashlimit", OPT_UPTO, true, false },
	{ "hashlimit-above", OPT_ABOVE, true, false },
	{ "hashlimit-burst", OPT_BURST, true, false },
	{ "hashlimit-htable-size", OPT_SIZE, true, false },
	{ "hashlimit-htable-max", OPT_MAX, true, false },
	{ "hashlimit-htable-gcinterval", OPT_GC_INTERVAL, true, false },
	{ "hashlimit-htable-expire", OPT_EXPIRE, true, false },
	{ "hashlimit-mode", OPT_MODE, true, false },
	{ "hashlimit-name", OPT_NAME, true, false },
	{ "hashlimit-srcmask", OPT_SRCMASK, true, false },
	{ "hashlimit-dstmask", OPT_DSTMASK, true, false },
	{ "hashlimit-rate-match", OPT_RATE_MATCH, false, false },
	{ "hashlimit-rate-interval", OPT_INTERVAL, true, false },
	{},
};

#define SCALE 1000000
#define DEFAULT_BURST 5
#define BURST_MAX 1000000
#define BYTE_SHIFT 4
#define BYTES_UNIT_S 15 /* how long an entry of a rate in bytes stays */
#define BYTES_BURST_UNIT_S 60
#define DEFAULT_GC_INTERVAL_MS 1000
#define TABLE_MAX 1048576 /* the kernel takes larger tables down to this */
#define NAME_MAX_LEN 254  /* iptables cuts off the rest */

/* In iptables' order of printing. */
static const struct {
	const char *name;
	uint8_t bit;
} modes[] = {
	{ "srcip", PG_HASHLIMIT_SIP },
	{ "srcport", PG_HASHLIMIT_SPT },
	{ "dstip", PG_HASHLIMIT_DIP },
	{ "dstport", PG_HASHLIMIT_DPT },
};

static const struct {
	const char *name;
	uint32_t bytes;
} units[] = { { "m", 1024 * 1024 }, { "k", 1024 }, { "", 1 } };
#define BYTES (ARRAY_SIZE(units) - 1)

void pg_hashlimit_init(struct pg_match *m)
{
	m->hashlimit = calloc(1, sizeof(*m->hashlimit));
	if (!m->hashlimit)
		return;
	m->hashlimit->burst = DEFAULT_BURST;
	m->hashlimit->srcmask = m->hashlimit->dstmask = PG_PREFIX_WHOLE;
	m->hashlimit->gc_interval_ms = DEFAULT_GC_INTERVAL_MS;
	m->hashlimit->interval_s = 1;
}

/* Bytes a second, and back. Both are the kernel's and its user's arithmetic in every bit. */
static uint64_t cost_of(uint64_t bytes)
{
	return UINT32_MAX / ((uint64_t)(uint32_t)(bytes >> BYTE_SHIFT) + 1);
}

static uint64_t bytes_of(uint64_t cost)
{
	return (UINT32_MAX / cost - 1) << BYTE_SHIFT;
}

/* How many rates a burst in bytes is: rounded up, but with 32 bits in one place. */
static uint64_t rates_in(uint64_t bytes, uint64_t rate)
{
	return (uint32_t)bytes / rate + (bytes % rate ? 1 : 0);
}

static uint32_t factor(char unit)
{
	return unit == 'm' ? 1024 * 1024 : unit == 'k' ? 1024 : 1;
}

/* "512kb/s"; 0: it is not a rate in bytes. */
static uint64_t parse_bytes(const char *text)
{
	const char *suffix = strstr(text, "b/s");
	uint64_t n = (uint64_t)strtoll(text, NULL, 10);

	if (!suffix || suffix == text || !n)
		return 0;
	return cost_of(n * factor(suffix[-1]));
}

static int parse_rate(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	struct pg_hashlimit *h = m->hashlimit;
	int r;

	h->above = (use->id == OPT_ABOVE) != use->invert;
	h->avg = parse_bytes(use->value);
	h->bytes = h->avg;
	h->unit_s = BYTES_UNIT_S;
	if (h->bytes)
		return 0;
	r = pg_rate_parse(use->value, SCALE, &h->avg, &h->unit_s);
	if (r == -ERANGE)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Rate too fast \"%s\"", use->value);
	if (r < 0)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "hashlimit: Bad value for \"--%s\" option: \"%s\"",
			       pg_option_name(m->kind, use->id), use->value);
	return 0;
}

static int burst_error(const struct pg_arg *at, struct pg_diag *diag)
{
	return pg_diag(diag, PG_DIAG_PARAM, at,
		       "bad value for option \"--hashlimit-burst\", or out of range (1-%u).",
		       BURST_MAX);
}

/* "5", "512kb"; whether it counts packets or bytes is known later. */
static int parse_burst(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	const char *text = use->value;
	uint64_t v;
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (*text == '-' || end == text || errno || !v || (!*end && v > BURST_MAX))
		return burst_error(&use->at, diag);
	m->hashlimit->burst = v * factor(*end);
	return 0;
}

static int parse_mode(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	for (const char *text = use->value; *text;) {
		size_t len = strcspn(text, ","), i;

		for (i = 0; i < ARRAY_SIZE(modes) && len; i++)
			if (strlen(modes[i].name) == len && !strncmp(modes[i].name, text, len))
				break;
		if (i == ARRAY_SIZE(modes))
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "hashlimit: Bad value for \"--hashlimit-mode\" option: "
				       "\"%s\"",
				       use->value);
		if (len)
			m->hashlimit->modes |= modes[i].bit;
		text += len + (text[len] == ',');
	}
	return 0;
}

static int parse_name(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_name_check(m, use, "name", diag);

	if (r < 0)
		return r;
	if (!*use->value)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "Argument must have a minimum length of 1 characters");
	m->hashlimit->name = strndup(use->value, NAME_MAX_LEN);
	if (!m->hashlimit->name)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	return 0;
}

static int parse_mask(struct pg_match *m, const struct pg_match_use *use, uint8_t *ret,
		      struct pg_diag *diag)
{
	uint8_t family = 0;
	int r = pg_prefix_parse(m, use->value, use->families, use, ret, &family, diag);

	if (family)
		m->hashlimit->mask_family = family;
	return r;
}

static int parse_interval(struct pg_match *m, const struct pg_match_use *use,
			  struct pg_diag *diag)
{
	/* As iptables: what follows the number does not matter. */
	long v = strtol(use->value, NULL, 10);

	if (v <= 0 || v > INT32_MAX)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "hashlimit: Bad value for \"--hashlimit-rate-interval\" option: "
			       "\"%s\"",
			       use->value);
	m->hashlimit->interval_s = (uint32_t)v;
	return 0;
}

static int parse_number(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	struct pg_hashlimit *h = m->hashlimit;
	uint32_t *field = use->id == OPT_SIZE	       ? &h->size
			  : use->id == OPT_MAX	       ? &h->max
			  : use->id == OPT_GC_INTERVAL ? &h->gc_interval_ms
						       : &h->expire_ms;

	return pg_value_number(m, use, 0, UINT32_MAX, field, diag);
}

int pg_hashlimit_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 1U << OPT_UPTO | 1U << OPT_ABOVE, diag);

	if (r < 0)
		return r;
	if (!m->hashlimit)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	switch (use->id) {
	case OPT_UPTO:
	case OPT_ABOVE:
		return parse_rate(m, use, diag);
	case OPT_BURST:
		return parse_burst(m, use, diag);
	case OPT_MODE:
		return parse_mode(m, use, diag);
	case OPT_NAME:
		return parse_name(m, use, diag);
	case OPT_SRCMASK:
		return parse_mask(m, use, &m->hashlimit->srcmask, diag);
	case OPT_DSTMASK:
		return parse_mask(m, use, &m->hashlimit->dstmask, diag);
	case OPT_INTERVAL:
		return parse_interval(m, use, diag);
	case OPT_RATE_MATCH:
		m->hashlimit->rate_match = true;
		return 0;
	}
	return parse_number(m, use, diag);
}

/* A burst in bytes is kept as so many rates. */
static int settle_bytes(struct pg_hashlimit *h, uint32_t seen, const struct pg_arg *at,
			struct pg_diag *diag)
{
	uint64_t rate = bytes_of(h->avg);

	if (!(seen & 1U << OPT_BURST)) {
		h->burst = 0;
		return 0;
	}
	/* iptables divides by it. */
	if (!rate)
		return burst_error(at, diag);
	if (h->burst < rate)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "burst cannot be smaller than %" PRIu64 "b", rate);
	h->unit_s = BYTES_BURST_UNIT_S;
	h->burst = rates_in(h->burst, rate);
	return 0;
}

/* The numbers as the kernel gets them, once all options are there. */
static int settle_numbers(struct pg_hashlimit *h, uint32_t seen, const struct pg_arg *at,
			  struct pg_diag *diag)
{
	if (h->bytes) {
		int r = settle_bytes(h, seen, at, diag);

		if (r < 0)
			return r;
	} else if (h->burst > BURST_MAX) {
		return burst_error(at, diag);
	}
	if (!(seen & 1U << OPT_EXPIRE))
		h->expire_ms = h->unit_s * 1000;
	/* --hashlimit-rate-match takes the rate as so many in an interval, by default its unit. */
	if (!h->rate_match) {
		h->interval_s = 1;
	} else if (!h->bytes) {
		h->avg /= h->unit_s;
		if (!(seen & 1U << OPT_INTERVAL))
			h->interval_s = h->unit_s;
	}
	if (h->size > TABLE_MAX)
		h->size = TABLE_MAX;
	if (h->max > TABLE_MAX)
		h->max = TABLE_MAX;
	return 0;
}

/* What the kernel refuses: numbers without effect, or that overflow where it counts with them. */
static int check_kernel(const struct pg_hashlimit *h, const struct pg_arg *at,
			struct pg_diag *diag)
{
	/* Credits for a unit of time, in 64 bits that overflow; the same for all usual HZ. */
	const uint64_t credits = 137438953;

	if (!h->gc_interval_ms || !h->expire_ms)
		return pg_diag(diag, PG_DIAG_FAILED, at,
			       "hashlimit: --hashlimit-htable-%s cannot be 0",
			       h->expire_ms ? "gcinterval" : "expire");
	if (!pg_name_is_file(h->name))
		return pg_diag(diag, PG_DIAG_FAILED, at,
			       "hashlimit: no table can have the name `%s'", h->name);
	if (!h->rate_match && h->bytes && h->avg == 1)
		return pg_diag(diag, PG_DIAG_FAILED, at, "hashlimit: rate too high");
	if (h->rate_match ? !h->avg || h->avg > UINT32_MAX
			  : !h->bytes && h->avg * h->burst * credits < h->avg * credits)
		return pg_diag(diag, PG_DIAG_FAILED, at, "Numerical result out of range.");
	return 0;
}

int pg_hashlimit_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		       const struct pg_arg *at, struct pg_diag *diag)
{
	int r;

	(void)rule;
	if (!m->hashlimit)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (!(seen & (1U << OPT_UPTO | 1U << OPT_ABOVE)))
		return pg_diag(diag, PG_DIAG_PARAM, at, "You have to specify --hashlimit");
	r = settle_numbers(m->hashlimit, seen, at, diag);
	if (!r)
		r = pg_option_exclude(m, OPT_UPTO, OPT_ABOVE, seen, at, diag);
	if (!r)
		r = pg_option_need(m, OPT_NAME, seen, at, diag);
	return r ?: check_kernel(m->hashlimit, at, diag);
}

unsigned pg_hashlimit_holds(const struct pg_match *m)
{
	unsigned families = m->hashlimit->mask_family ? m->hashlimit->mask_family : PG_V46;

	return families & pg_prefix_families(m->hashlimit->srcmask) &
	       pg_prefix_families(m->hashlimit->dstmask);
}

void pg_hashlimit_settle(struct pg_match *m, struct pg_rule *rule)
{
	struct pg_hashlimit *h = m->hashlimit;
	unsigned families = pg_rule_families(rule), whole = families == PG_V4 ? 32 : 128;

	if (h->mask_family)
		rule->narrowed &= h->mask_family;
	h->mask_family = 0;
	if (families == PG_V46)
		return;
	if (h->srcmask == whole)
		h->srcmask = PG_PREFIX_WHOLE;
	if (h->dstmask == whole)
		h->dstmask = PG_PREFIX_WHOLE;
}

/*
 * In the largest unit, as iptables prints it, that reads back as the same number of rates. Bytes
 * do, but for those that 32 bits don't hold.
 */
static void print_bytes_burst(struct pg_text *t, const struct pg_hashlimit *h, uint64_t rate)
{
	uint64_t bytes = h->burst * rate;

	for (size_t i = 0; i < BYTES; i++) {
		uint64_t whole = bytes / units[i].bytes * units[i].bytes;

		if (whole < rate || rates_in(whole, rate) != h->burst)
			continue;
		pg_text_add(t, " %" PRIu64 "%sb", whole / units[i].bytes, units[i].name);
		return;
	}
	if (rates_in(bytes, rate) != h->burst)
		bytes = h->burst > 1 ? (h->burst - 1) * rate + 1 : rate + 1;
	pg_text_add(t, " %" PRIu64 "b", bytes);
}

/* " 512kb/s": in the largest unit that reads back as the same. */
static void print_bytes(struct pg_text *t, const struct pg_hashlimit *h)
{
	uint64_t rate = bytes_of(h->avg);
	size_t i;

	for (i = 0; i < BYTES; i++)
		if (rate >= units[i].bytes &&
		    cost_of(rate & (uint32_t) ~(units[i].bytes - 1)) == h->avg)
			break;
	/* iptables prints 0b/s, and cannot read it. */
	pg_text_add(t, " %" PRIu64 "%sb/s", rate ? rate / units[i].bytes : 1, units[i].name);
}

/* Rate and burst; how long an entry stays by default. */
static uint32_t print_rate(struct pg_text *t, const struct pg_hashlimit *h, uint64_t avg,
			   const char *dashes)
{
	uint32_t unit_s;

	if (!h->bytes) {
		unit_s = pg_rate_print(t, avg, SCALE);
		pg_text_add(t, " %sburst %" PRIu64, dashes, h->burst);
		return unit_s;
	}
	print_bytes(t, h);
	if (!h->burst)
		return BYTES_UNIT_S;
	pg_text_add(t, " %sburst", dashes);
	print_bytes_burst(t, h, bytes_of(h->avg));
	return BYTES_BURST_UNIT_S;
}

static void print_modes(struct pg_text *t, const struct pg_hashlimit *h, const char *dashes,
			const char *separator)
{
	const char *sep = " ";

	if (!h->modes)
		return;
	pg_text_add(t, " %smode", dashes);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!(h->modes & modes[i].bit))
			continue;
		pg_text_add(t, "%s%s", sep, modes[i].name);
		sep = separator;
	}
}

/* What follows the name; -S and -L differ in the dashes alone. */
static void print_rest(struct pg_text *t, const struct pg_hashlimit *h, const char *dashes,
		       uint32_t default_s)
{
	if (h->size)
		pg_text_add(t, " %shtable-size %u", dashes, h->size);
	if (h->max)
		pg_text_add(t, " %shtable-max %u", dashes, h->max);
	if (h->gc_interval_ms != DEFAULT_GC_INTERVAL_MS)
		pg_text_add(t, " %shtable-gcinterval %u", dashes, h->gc_interval_ms);
	if (h->expire_ms != default_s * 1000)
		pg_text_add(t, " %shtable-expire %u", dashes, h->expire_ms);
	if (h->srcmask != PG_PREFIX_WHOLE)
		pg_text_add(t, " %ssrcmask %u", dashes, h->srcmask);
	if (h->dstmask != PG_PREFIX_WHOLE)
		pg_text_add(t, " %sdstmask %u", dashes, h->dstmask);
	if (h->rate_match)
		pg_text_add(t, " %srate-match", dashes);
	if (h->interval_s != 1)
		pg_text_add(t, " %srate-interval %u", dashes, h->interval_s);
}

void pg_hashlimit_print(struct pg_text *t, const struct pg_match *m)
{
	static const char dashes[] = "--hashlimit-";
	uint32_t default_s;

	pg_text_add(t, " %s%s", dashes, m->hashlimit->above ? "above" : "upto");
	default_s = print_rate(t, m->hashlimit, m->hashlimit->avg, dashes);
	print_modes(t, m->hashlimit, dashes, ",");
	pg_text_add(t, " %sname ", dashes);
	pg_name_print(t, m->hashlimit->name);
	print_rest(t, m->hashlimit, dashes, default_s);
}

/* iptables lists the rate of the interval. */
void pg_hashlimit_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		       bool numeric)
{
	const struct pg_hashlimit *h = m->hashlimit;
	uint32_t default_s;

	(void)rule;
	(void)numeric;
	pg_text_add(t, " limit: %s", h->above ? "above" : "up to");
	default_s = print_rate(t, h, h->avg * h->interval_s, "");
	print_modes(t, h, "", "-");
	print_rest(t, h, "", default_s);
}

void pg_hashlimit_clear(struct pg_match *m)
{
	if (m->hashlimit)
		free(m->hashlimit->name);
	free(m->hashlimit);
	m->hashlimit = NULL;
}

int pg_hashlimit_copy(struct pg_match *ret, const struct pg_match *m)
{
	ret->hashlimit = malloc(sizeof(*ret->hashlimit));
	if (!ret->hashlimit)
		return -ENOMEM;
	*ret->hashlimit = *m->hashlimit;
	ret->hashlimit->name = strdup(m->hashlimit->name);
	if (ret->hashlimit->name)
		return 0;
	pg_hashlimit_clear(ret);
	return -ENOMEM;
}

bool pg_hashlimit_equal(const struct pg_match *a, const struct pg_match *b)
{
	const struct pg_hashlimit *x = a->hashlimit, *y = b->hashlimit;

	return x->avg == y->avg && x->burst == y->burst && x->modes == y->modes &&
	       x->above == y->above && x->bytes == y->bytes && x->rate_match == y->rate_match &&
	       x->srcmask == y->srcmask && x->dstmask == y->dstmask && x->size == y->size &&
	       x->max == y->max && x->gc_interval_ms == y->gc_interval_ms &&
	       x->expire_ms == y->expire_ms && x->interval_s == y->interval_s &&
	       !strcmp(x->name, y->name);
}
