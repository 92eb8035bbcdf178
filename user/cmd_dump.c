// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets as pcapng, each with what became of it as its comment. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/utsname.h>

#include "drops.h"
#include "filter.h"
#include "options.h"
#include "pcapng.h"

static int run_dump(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_dump = {
	.name = "dump",
	.args = "[-w FILE] [-i IFACE]… [-s BYTES] [-c COUNT] [--passed | --any] [--rate N] "
		"[--sample N] [EXPRESSION]",
	.help = "Write dropped packets as pcapng, with the rule and the reason as comments",
	.details =
		"Without -w, and with -w -, it goes to standard output: portguard dump | tcpdump -r -\n"
		"  -w, --write FILE    write there; until Ctrl-C\n"
		"  -i, --iface IFACE   only on this interface; may be repeated; --interface is the same\n"
		"  -s, --snap BYTES    no more of each packet than that; 0: all that is kept (9216)\n"
		"  -c, --count COUNT   end after so many packets\n"
		"  --passed            packets that are accepted instead\n"
		"  --any               both\n"
		"  --rate N            of each rule, on each CPU, N packets a second at most (1000); 0: all\n"
		"  --sample N          every N-th packet only\n"
		"EXPRESSION is tcpdump's: `tcp port 443 and net 192.0.2.0/24'. What --rate or a full buffer\n"
		"left out before it was asked is counted and told at the end.\n",
	.run = run_dump,
};

#define USAGE(err, ...) pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, __VA_ARGS__)
#define RATE_DEFAULT 1000
#define TAG_BYTES 4
#define MACS_BYTES 12

struct options {
	struct pg_dp_watch_opts watch;
	const char *path; /* NULL: standard output */
	const char *iface[PG_MAX_IFACES];
	size_t n_ifaces;
	uint64_t most; /* packets; 0: no end */
	bool passed, any;
};

/* An interface block that was written. */
struct block {
	uint32_t slot, ifindex;
	uint64_t written;
};

struct writer {
	FILE *f;
	const struct options *opts;
	struct pg_filter *filter;
	struct pg_fates *fates;
	struct block *block;
	size_t n_blocks;
	uint64_t written, filtered;
	bool finishing; /* what is there yet */
	uint8_t frame[PG_WATCH_SNAP + TAG_BYTES];
	struct pg_err *err;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* Writing -------------------------------------------------------------------------------------- */

static uint64_t wall_ns(uint64_t monotonic_ns)
{
	const struct timespec when = pg_wall_time(monotonic_ns);

	return (uint64_t)when.tv_sec * 1000000000 + (uint64_t)when.tv_nsec;
}

/* The number of the interface's block, or a negative errno. */
static int block_of(struct writer *w, const struct pg_watched *packet, const char *name)
{
	struct block *more;
	char shown[IFNAMSIZ];

	for (size_t i = 0; i < w->n_blocks; i++)
		if (w->block[i].slot == packet->iface && w->block[i].ifindex == packet->ifindex)
			return (int)i;
	more = reallocarray(w->block, w->n_blocks + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	w->block = more;
	w->block[w->n_blocks] = (struct block){ packet->iface, packet->ifindex, 0 };
	pg_pcapng_iface(w->f, pg_printable(name, shown, sizeof(shown)), packet->no_l2 ? PG_LINK_RAW_IP : PG_LINK_ETHERNET,
			w->opts->watch.snap ?: PG_WATCH_SNAP);
	return (int)w->n_blocks++;
}

/* The packet as it was on the wire: a tag that the kernel keeps beside it goes back in. */
static uint32_t rebuild(struct writer *w, const struct pg_watched *packet, uint32_t n)
{
	const uint8_t tag[TAG_BYTES] = { (uint8_t)(packet->vlan_proto >> 8),
					 (uint8_t)packet->vlan_proto,
					 (uint8_t)(packet->vlan_tci >> 8),
					 (uint8_t)packet->vlan_tci };

	if (!packet->vlan_proto || packet->no_l2 || n < MACS_BYTES) {
		memcpy(w->frame, packet->data, n);
		return n;
	}
	memcpy(w->frame, packet->data, MACS_BYTES);
	memcpy(w->frame + MACS_BYTES, tag, TAG_BYTES);
	memcpy(w->frame + MACS_BYTES + TAG_BYTES, packet->data + MACS_BYTES, n - MACS_BYTES);
	return n + TAG_BYTES;
}

static int write_packet(void *arg, const struct pg_watched *packet, size_t n)
{
	_cleanup_(pg_text_free) struct pg_text comment = { 0 };
	struct writer *w = arg;
	uint32_t len = rebuild(w, packet, (uint32_t)n), wire_len = packet->len + len - (uint32_t)n;
	struct pg_pcapng_packet out = { .data = w->frame, .len = len, .wire_len = wire_len };
	struct pg_fate fate;
	int block;

	if (!pg_filter_wants(w->filter, packet->no_l2, w->frame, len, wire_len)) {
		w->filtered++;
		return 0;
	}
	pg_fates_find(w->fates, packet->slot, packet->number, packet->fate, packet->iface,
		      packet->ifindex, &fate);
	pg_fate_text(&comment, &fate);
	block = block_of(w, packet, fate.iface);
	if (block < 0 || comment.oom)
		return pg_fail(w->err, -ENOMEM, "out of memory");
	out.iface = (uint32_t)block;
	out.time_ns = wall_ns(packet->time_ns);
	out.out = fate.out;
	out.comment = comment.buf;
	pg_pcapng_packet(w->f, &out);
	w->block[block].written++;
	w->written++;
	return w->written == w->opts->most || (stopped && !w->finishing) ? -ECANCELED : 0;
}

static void count_text(struct pg_text *t, const struct writer *w,
		       const struct pg_dp_watch_sums *sums)
{
	pg_text_add(t, "%" PRIu64 " packet%s", w->written, w->written == 1 ? "" : "s");
	if (w->filtered)
		pg_text_add(t, ", %" PRIu64 " others did not match", w->filtered);
	if (sums->limited)
		pg_text_add(t, ", %" PRIu64 " left out (more than %u a second of a rule)",
			    (uint64_t)sums->limited, w->opts->watch.rate);
	if (sums->lost)
		pg_text_add(t, ", %" PRIu64 " lost for want of room", (uint64_t)sums->lost);
}

/* What there was, in the file and for who waited. */
static void write_end(struct writer *w, struct pg_dp_watch *watch)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	struct pg_dp_watch_sums sums;
	uint64_t now_ns;

	pg_dp_watch_sums(watch, &sums);
	count_text(&t, w, &sums);
	if (t.oom)
		return;
	now_ns = pg_clock_ns(CLOCK_REALTIME);
	for (size_t i = 0; i < w->n_blocks; i++)
		pg_pcapng_stats(w->f, (uint32_t)i, now_ns, w->block[i].written, t.buf);
	fprintf(stderr, "portguard: %s\n", t.buf);
}

static int flush(struct writer *w)
{
	if (fflush(w->f) || ferror(w->f))
		return pg_fail(w->err, -EIO, "cannot write: %s", strerror(errno));
	return 0;
}

/* A signal ends the waiting, not the command's success. */
static int watch_packets(struct writer *w, struct pg_dp *dp, struct pg_dp_watch *watch)
{
	const struct sigaction action = { .sa_handler = stop };
	bool gone = false;
	int r = flush(w), end;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (!stopped && !gone && r >= 0) {
		gone = !pg_dp_is_pinned(dp);
		r = pg_dp_watch_read(watch, gone ? 0 : 500, w->err);
		if (r == -EINTR)
			r = 0;
		if (r >= 0)
			r = flush(w);
	}
	w->finishing = true;
	if (r >= 0 || w->written != w->opts->most)
		r = r < 0 && r != -ECANCELED ? r : pg_dp_watch_finish(watch, w->err);
	if (r < 0 && r != -ECANCELED)
		return r;
	write_end(w, watch);
	end = flush(w);
	if (!end && gone)
		end = pg_fail(w->err, -ESTALE, "the instance was removed: nothing more will come");
	return end;
}

/* Options -------------------------------------------------------------------------------------- */

enum { OPT_PASSED = 0x200, OPT_ANY, OPT_RATE, OPT_SAMPLE };

static int set_number(const char *option, uint32_t min, uint32_t max, __u32 *ret, struct pg_err *err)
{
	if (pg_parse_u32(optarg, min, max, ret))
		return USAGE(err, "%s takes a number from %u to %u, not '%s'", option, min, max, optarg);
	return 0;
}

static int take_option(struct options *o, int c, struct pg_err *err)
{
	switch (c) {
	case PG_OPT_HELP:
		return c;
	case 'w':
		o->path = strcmp(optarg, "-") ? optarg : NULL;
		return 0;
	case 'i':
		if (o->n_ifaces == ARRAY_SIZE(o->iface))
			return USAGE(err, "too many interfaces");
		o->iface[o->n_ifaces++] = optarg;
		return 0;
	case 's':
		return set_number("-s", 0, PG_WATCH_SNAP, &o->watch.snap, err);
	case 'c':
		if (pg_parse_u64(optarg, 1, UINT64_MAX, &o->most))
			return USAGE(err, "-c takes a number of packets, not '%s'", optarg);
		return 0;
	case OPT_PASSED:
		o->passed = true;
		return 0;
	case OPT_ANY:
		o->any = true;
		return 0;
	case OPT_RATE:
		return set_number("--rate", 0, 1000000000, &o->watch.rate, err);
	case OPT_SAMPLE:
		return set_number("--sample", 1, UINT32_MAX, &o->watch.sample, err);
	default:
		return -EINVAL; /* err says what is wrong */
	}
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "write", required_argument, NULL, 'w' },
		{ "iface", required_argument, NULL, 'i' },
		{ "interface", required_argument, NULL, 'i' },
		{ "snap", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'c' },
		{ "passed", no_argument, NULL, OPT_PASSED },
		{ "any", no_argument, NULL, OPT_ANY },
		{ "rate", required_argument, NULL, OPT_RATE },
		{ "sample", required_argument, NULL, OPT_SAMPLE },
		{ 0 },
	};
	const unsigned passed = 1U << PG_VERDICT_ACCEPT,
		       dropped = 1U << PG_VERDICT_DROP | 1U << PG_VERDICT_REJECT;
	int c, r = 0;

	o->watch.rate = RATE_DEFAULT;
	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_dump, argc, argv, ":w:i:s:c:", longs, err)) != -1)
		r = take_option(o, c, err);
	if (r)
		return r;
	if (o->passed && o->any)
		return USAGE(err, "--passed and --any do not go together");
	o->watch.verdicts = o->any ? passed | dropped : o->passed ? passed : dropped;
	return 0;
}

/* Slots of the interfaces that are asked for. */
static int find_ifaces(struct pg_dp *dp, struct options *o, struct pg_err *err)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	char shown[64];

	if (!iface)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (pg_dp_ifaces(dp, iface, err))
		return -EIO;
	for (size_t i = 0; i < o->n_ifaces; i++) {
		__u64 before = o->watch.ifaces;

		for (int slot = 0; slot < PG_MAX_IFACES; slot++)
			if (iface[slot].abi.netns && !strcmp(iface[slot].abi.name, o->iface[i]))
				o->watch.ifaces |= 1ULL << slot;
		if (o->watch.ifaces == before)
			return pg_fail(err, -ENODEV, "not attached to '%s'",
				       pg_printable(o->iface[i], shown, sizeof(shown)));
	}
	return 0;
}

static int open_file(struct writer *w, const char *path, struct pg_err *err)
{
	struct utsname uts;
	char os[160] = "Linux";

	if (!path && isatty(STDOUT_FILENO))
		return USAGE(err, "pcapng is not for a terminal: say -w FILE, or | tcpdump -r -; for "
				  "lines there is `portguard drops --follow'");
	w->f = path ? fopen(path, "we") : stdout;
	if (!w->f)
		return pg_fail(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	if (!uname(&uts))
		snprintf(os, sizeof(os), "%s %s", uts.sysname, uts.release);
	pg_pcapng_begin(w->f, "portguard v" PG_VERSION, os);
	return 0;
}

static int dump(struct pg_dp *dp, struct options *o, struct writer *w, struct pg_err *err)
{
	_cleanup_(pg_dp_watch_closep) struct pg_dp_watch *watch = NULL;
	int r = find_ifaces(dp, o, err);

	if (r)
		return r;
	w->fates = pg_fates_open(dp);
	if (!w->fates)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_dp_watch_open(dp, &o->watch, write_packet, w, &watch, err);
	if (!r) /* not before it is clear that there will be something to write */
		r = open_file(w, o->path, err);
	return r ? r : watch_packets(w, dp, watch);
}

static int run_dump(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_filter_freep) struct pg_filter *filter = NULL;
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	_free_ struct writer *w = calloc(1, sizeof(*w));
	struct options o = { 0 };
	int r = parse_options(argc, argv, &o, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	if (!w)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_filter_compile(argv + optind, (size_t)(argc - optind), &filter, err);
	if (r)
		return r;
	r = pg_open_following(ctx, PG_DP_WATCH, "there are no packets", &dp, err);
	if (r)
		return r;
	w->opts = &o;
	w->filter = filter;
	w->err = err;
	r = dump(dp, &o, w, err);
	pg_fates_close(w->fates);
	free(w->block);
	if (w->f && w->f != stdout && fclose(w->f) && !r)
		r = pg_fail(err, -errno, "cannot write '%s': %s", o.path, strerror(errno));
	return r;
}
