// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Committing a policy: fill the idle generation, flip, and wait until nobody runs the old one. */
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "dp_impl.h"

/*
 * The text stored beside a generation's tables, in a map of its own that is as large as it needs
 * to be: pinned as policy_0 or policy_1. `number` is the generation's, so that a reader who meets
 * a commit in progress notices.
 */
struct stored_text {
	__u32 number;
	__u32 unused;
	__u64 len;
	char text[];
};

/*
 * Wait until no CPU runs a program that began before now. Programs run inside RCU read-side
 * sections, and MEMBARRIER_CMD_GLOBAL is a grace period (kernel/sched/membarrier.c); kernels with
 * nohz_full don't offer it, and there no program takes anywhere near a tenth of a second.
 */
static void wait_for_programs(void)
{
	const struct timespec tenth = { 0, 100000000 };

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&tenth, NULL);
}

/* Make the text's map and write it. Returns its fd. */
static int store_text(__u32 number, const void *text, size_t n)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t size = sizeof(struct stored_text) + n, page = sysconf(_SC_PAGESIZE), bytes;
	struct stored_text *s;
	int fd, r;

	/* Elements of a page, because a single element can't be larger than 4 MB on older kernels. */
	bytes = (size + page - 1) / page * page;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pg_policy", 4, page, bytes / page, &opts);
	if (fd < 0)
		return -errno;
	s = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED) {
		r = -errno;
		close(fd);
		return r;
	}
	s->number = number;
	s->len = n;
	memcpy(s->text, text, n);
	munmap(s, bytes);
	return fd;
}

/* Where the text of a generation is put away: the last PAST of those that drops are kept of. */
#define PAST 8
static int past_path(const struct pg_dp *dp, __u32 number, char *buf, size_t size)
{
	return pg_dp_pin_path(dp, buf, size, "past_%u", number % PAST);
}

void pg_dp_past_remove(const struct pg_dp *dp)
{
	char path[512];

	for (__u32 i = 0; i < PAST; i++)
		if (!past_path(dp, i, path, sizeof(path)))
			unlink(path);
}

/*
 * `was` is the number of the generation that gives its place away. All that can fail comes before the text there is
 * replaced, in one step, so that there is still a way back to it.
 */
static int keep_text(struct pg_dp *dp, __u32 generation, __u32 was, __u32 number, const void *text,
		     size_t n)
{
	char path[512], next[512], past[512];
	_close_ int fd = -1;
	int r;

	if (dp->skel) { /* private */
		void *copy = malloc(n + 1);

		if (!copy)
			return -ENOMEM;
		memcpy(copy, text, n);
		free(dp->private_text);
		dp->private_text = copy;
		dp->private_text_len = n;
		return 0;
	}
	fd = store_text(number, text, n);
	if (fd < 0)
		return fd;
	r = pg_dp_pin_path(dp, path, sizeof(path), "policy_%u", generation);
	if (!r)
		r = pg_dp_pin_path(dp, next, sizeof(next), "policy_next");
	if (r)
		return r;
	unlink(next); /* of a command that was killed here */
	if (bpf_obj_pin(fd, next))
		return -errno;
	if (was && pg_dp_drops_have(dp, was) && !past_path(dp, was, past, sizeof(past))) {
		unlink(past);
		(void)!link(path, past); /* where it can't be, drops of that generation are told without their rules */
	}
	if (!rename(next, path))
		return 0;
	r = -errno;
	unlink(next);
	return r;
}

/* The text of the generation that gave way becomes a past one's, as if another generation had followed it. */
int pg_dp_keep_previous(struct pg_dp *dp, const void *text, size_t n, struct pg_err *err)
{
	__u32 g = !pg_dp_active(dp), number = pg_dp_ctl(dp)->gen[g].number;
	char path[512];
	int r = keep_text(dp, g, number, number, text, n);

	/* Without one, there is nothing to go back to. */
	if (!r && !n && !pg_dp_pin_path(dp, path, sizeof(path), "policy_%u", g))
		unlink(path);
	return r ? pg_dp_fail(err, r, "cannot store the previous policy") : 0;
}

static __u32 rebase(__u32 entry, __u32 node_base, __u32 row_base)
{
	return entry & PG_LEAF ? entry + row_base : entry + node_base;
}

static void rebase_all(__u32 *entry, size_t n, __u32 node_base, __u32 row_base)
{
	for (size_t i = 0; i < n; i++)
		entry[i] = rebase(entry[i], node_base, row_base);
}

/* In the HUGE form rows hold offsets of blocks; t->block_row says where they are. */
static void rebase_blocks(__u64 *rows, const struct pg_tables *t, __u32 row_base)
{
	for (size_t i = 0; i < t->n_block_rows; i++) {
		__u32 *offset = (__u32 *)(rows + t->block_row[i] + 1);

		for (__u32 k = 0; k < t->gen.blocks; k++)
			offset[k] += row_base;
	}
}

static void rebase_own_rows(__u64 *rows, const struct pg_tables *t, __u32 row_base)
{
	for (size_t i = 0; i < t->n_own_rows; i++)
		((struct pg_few *)(rows + t->own_row[i]))->slot += row_base;
}

/* Write the tables into half `g`; nothing reads it yet. */
static void fill(struct pg_dp *dp, __u32 g, const struct pg_tables *t, __u32 number)
{
	struct pg_tables_map *map = dp->map[PG_MAP_TABLES].mem;
	__u32 node_base = g * (PG_NODES / 2) * 1024, row_base = g * (PG_ROW_WORDS / 2) * 8;
	/* In the TINY form leaves are sets, not offsets. */
	__u32 leaf_base = t->gen.form == PG_FORM_TINY ? 0 : row_base;
	__u32 *nodes = map->nodes + node_base / 4;
	__u64 *rows = map->rows + row_base / 8;
	struct pg_gen gen = t->gen;

	for (size_t i = 0; i < t->n_nodes * 256; i++)
		nodes[i] = rebase(t->nodes[i], node_base, leaf_base);
	if (t->n_row_words)
		memcpy(rows, t->rows, t->n_row_words * sizeof(*rows));
	if (gen.terms)
		memcpy(map->term[g], t->records, gen.terms * sizeof(*t->records));
	for (__u32 i = 0; i < gen.terms; i++)
		map->brief[g][i] = pg_brief(&t->records[i]);
	if (t->n_spans)
		memcpy(map->chain[g], t->spans, t->n_spans * sizeof(*t->spans));
	if (t->n_checks)
		memcpy(map->check[g], t->checks, t->n_checks * sizeof(*t->checks));
	if (gen.form == PG_FORM_HUGE)
		rebase_blocks(rows, t, row_base);
	rebase_own_rows(rows, t, row_base);
	rebase_all(gen.saddr, _PG_FAMILY_MAX, node_base, leaf_base);
	rebase_all(gen.daddr, _PG_FAMILY_MAX, node_base, leaf_base);
	for (int f = 0; f < _PG_FAMILY_MAX; f++)
		rebase_all(gen.proto[f], _PG_L4_MAX, node_base, leaf_base);
	rebase_all(gen.sport, _PG_SPACE_MAX, node_base, leaf_base);
	rebase_all(gen.dport, _PG_SPACE_MAX, node_base, leaf_base);
	rebase_all(gen.detail, _PG_SPACE_MAX, node_base, leaf_base);
	rebase_all(gen.iface, PG_MAX_IFACES, node_base, leaf_base);
	rebase_all(gen.iface_out, PG_MAX_IFACES, node_base, leaf_base);
	rebase_all(gen.whole[0], _PG_FAMILY_MAX * _PG_PORT_PROTO_MAX, node_base, leaf_base);
	rebase_all(gen.saddr_base, _PG_FAMILY_MAX, node_base, leaf_base);
	rebase_all(gen.daddr_base, _PG_FAMILY_MAX, node_base, leaf_base);
	rebase_all(gen.sport_base, _PG_SPACE_MAX, node_base, leaf_base);
	rebase_all(gen.dport_base, _PG_SPACE_MAX, node_base, leaf_base);
	memcpy(map->link[g], t->links, sizeof(map->link[g]));
	memcpy(map->through[g], t->through, sizeof(map->through[g]));
	rebase_all(map->through[g], ARRAY_SIZE(map->through[g]), node_base, leaf_base);
	gen.any = rebase(gen.any, node_base, leaf_base);
	gen.none = rebase(gen.none, node_base, leaf_base);
	gen.few_none = rebase(gen.few_none, node_base, leaf_base);
	gen.number = number;
	map->ctl.gen[g] = gen;
}

/* By the clock that the programs go by. */
static __u64 now_ns(void)
{
	return pg_clock_ns(CLOCK_MONOTONIC_COARSE);
}

/* The generation that packets meet now. */
__u32 pg_dp_active(const struct pg_dp *dp)
{
	return pg_choice_generation(__atomic_load_n(&pg_dp_ctl(dp)->choice, __ATOMIC_ACQUIRE),
				    now_ns());
}

void pg_dp_settle(struct pg_dp *dp)
{
	struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u32 number = ctl->gen[pg_dp_active(dp)].number;

	if (ctl->settled == number)
		return;
	wait_for_programs();
	__atomic_store_n(&ctl->settled, number, __ATOMIC_RELEASE);
}

/* The numbers go on behind a generation that was taken back, too: its text has that number. */
__u32 pg_dp_last_number(const struct pg_dp *dp)
{
	const struct pg_ctl *ctl = pg_dp_ctl(dp);

	return ctl->gen[0].number > ctl->gen[1].number ? ctl->gen[0].number : ctl->gen[1].number;
}

/* PG_NEED_STATE is what programs go by: a rule asks for it, the option does, or it is lent. */
static void set_tracking(const struct pg_dp *dp, struct pg_gen *gen)
{
	__u32 needs = gen->needs & ~PG_NEED_STATE;

	if (needs & PG_NEED_RULE_STATE || gen->lent & PG_NEED_STATE ||
	    pg_dp_flow_options(dp) & PG_FLOW_OPT_TRACK)
		needs |= PG_NEED_STATE;
	__atomic_store_n(&gen->needs, needs, __ATOMIC_RELAXED);
}

int pg_dp_prepare(struct pg_dp *dp, const struct pg_tables *tables, const void *text, size_t n,
		  struct pg_err *err)
{
	struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u32 idle = !pg_dp_active(dp), number = pg_dp_last_number(dp) + 1, was = ctl->gen[idle].number;
	_cleanup_(pg_list_names_free) struct pg_list_names lists = { 0 };
	int r = pg_dp_refuse_pending(dp, err);

	if (r)
		return r;
	/* What can fail comes first: what is idle is what a rollback leads to. */
	r = pg_dp_lists_new(dp, !idle, tables, &lists) ?: keep_text(dp, idle, was, number, text, n);
	if (r)
		return pg_dp_fail(err, r, "cannot store the policy");
	pg_dp_settle(dp); /* or some CPU may still be in `idle` */
	fill(dp, idle, tables, number);
	if (ctl->gen[idle].needs & PG_NEED_STATE)
		ctl->gen[idle].needs |= PG_NEED_RULE_STATE;
	set_tracking(dp, &ctl->gen[idle]);
	pg_dp_lists_empty(dp, &lists);
	return 0;
}

void pg_dp_flip(struct pg_dp *dp, __u32 confirm_s)
{
	struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u32 idle = !pg_dp_active(dp);
	__u64 deadline = 0;

	if (confirm_s) {
		struct pg_gen *gen = &ctl->gen[idle];

		/* The old policy may come back, and then must know the connections made meanwhile. */
		gen->lent = ctl->gen[!idle].needs & PG_NEED_STATE & ~gen->needs;
		gen->needs |= gen->lent;
		deadline = now_ns() + confirm_s * 1000000000ULL;
	}
	__atomic_store_n(&ctl->choice, (deadline & PG_CHOICE_DEADLINE) | idle, __ATOMIC_RELEASE);
	pg_dp_settle(dp);
	pg_dp_marks_close(dp);
}

int pg_dp_commit(struct pg_dp *dp, const struct pg_tables *tables, const void *text, size_t n,
		 struct pg_err *err)
{
	int r = pg_dp_prepare(dp, tables, text, n, err);

	if (!r)
		pg_dp_flip(dp, 0);
	return r;
}

/* Confirmation --------------------------------------------------------------------------------- */

/* Seconds, rounded up, until the programs go back by themselves; 0: they will not. */
static __u32 seconds_left(__u64 choice)
{
	__u64 deadline = choice & PG_CHOICE_DEADLINE, now = now_ns();

	return deadline > now ? (deadline - now + 999999999) / 1000000000 : 0;
}

static bool is_expired(__u64 choice)
{
	return choice & PG_CHOICE_DEADLINE && !seconds_left(choice);
}

static __u64 read_choice(const struct pg_dp *dp)
{
	return __atomic_load_n(&pg_dp_ctl(dp)->choice, __ATOMIC_ACQUIRE);
}

/* Back to the generation that was in force before the one that `choice` names. */
static void take_back(struct pg_dp *dp)
{
	struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u64 old = !(ctl->choice & 1);

	ctl->taken_back = ctl->gen[!old].number;
	__atomic_store_n(&ctl->choice, old, __ATOMIC_RELEASE);
	pg_dp_settle(dp);
	pg_dp_marks_close(dp);
}

__u32 pg_dp_needs(const struct pg_dp *dp)
{
	const struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u32 active = pg_dp_active(dp);

	return ctl->gen[active].needs | (seconds_left(read_choice(dp)) ? ctl->gen[!active].needs : 0);
}

void pg_dp_recover(struct pg_dp *dp)
{
	if (is_expired(read_choice(dp)))
		take_back(dp);
}

int pg_dp_refuse_pending(struct pg_dp *dp, struct pg_err *err)
{
	__u32 left = seconds_left(read_choice(dp));

	if (!left)
		return 0;
	return pg_fail(err, -EBUSY,
		       "a policy is waiting for 'portguard confirm' (%u s left); confirm or rollback "
		       "first",
		       left);
}

int pg_dp_confirm(struct pg_dp *dp, struct pg_err *err)
{
	struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u64 choice = read_choice(dp);
	struct pg_gen *gen = &ctl->gen[choice & 1];

	if (!seconds_left(choice) && ctl->taken_back > ctl->gen[pg_dp_active(dp)].number)
		return pg_fail(err, -ENOENT,
			       "no policy is waiting for confirmation: generation %u was taken back, "
			       "%u is in force",
			       ctl->taken_back, ctl->gen[pg_dp_active(dp)].number);
	if (!seconds_left(choice))
		return pg_fail(err, -ENOENT, "no policy is waiting for confirmation");
	__atomic_store_n(&ctl->choice, choice & 1, __ATOMIC_RELEASE);
	/* Nobody goes back to the one that needed this. */
	gen->lent = 0;
	set_tracking(dp, gen);
	pg_dp_marks_close(dp);
	return 0;
}

bool pg_dp_take_back(struct pg_dp *dp)
{
	if (!seconds_left(read_choice(dp)))
		return false;
	take_back(dp);
	return true;
}

/* Reading -------------------------------------------------------------------------------------- */

/* The length is read once: another command may have the map in its hands. */
int pg_dp_text_copy(const void *mem, size_t bytes, __u32 number, void **ret_text, size_t *ret_n)
{
	const struct stored_text *s = mem;
	void *copy;
	__u64 len;

	if (bytes < sizeof(*s))
		return -EBADMSG;
	len = __atomic_load_n(&s->len, __ATOMIC_RELAXED);
	if (s->number != number)
		return -ESTALE;
	if (len > bytes - sizeof(*s))
		return -EBADMSG;
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, s->text, len);
	*ret_n = len;
	*ret_text = copy;
	return 0;
}

int pg_dp_text_read(int fd, __u32 number, void **ret_text, size_t *ret_n)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	size_t bytes;
	void *mem;
	int r;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	bytes = (size_t)info.value_size * info.max_entries;
	mem = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return -errno;
	r = pg_dp_text_copy(mem, bytes, number, ret_text, ret_n);
	munmap(mem, bytes);
	return r;
}

static int private_text(struct pg_dp *dp, void **ret_text, size_t *ret_n)
{
	if (!dp->private_text)
		return -ENODATA;
	*ret_text = malloc(dp->private_text_len + 1);
	if (!*ret_text)
		return -ENOMEM;
	memcpy(*ret_text, dp->private_text, dp->private_text_len);
	*ret_n = dp->private_text_len;
	return 0;
}

int pg_dp_text_open(const struct pg_dp *dp, __u32 generation)
{
	char path[512];
	int r = pg_dp_pin_path(dp, path, sizeof(path), "policy_%u", generation);
	int fd = r ? r : bpf_obj_get(path);

	return fd < 0 && !r ? -errno : fd;
}

/* The text of half `g`. -ESTALE: what is stored there is another generation's. */
static int text_of(struct pg_dp *dp, __u32 g, void **ret_text, size_t *ret_n)
{
	_close_ int fd = pg_dp_text_open(dp, g);

	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	return pg_dp_text_read(fd, pg_dp_ctl(dp)->gen[g].number, ret_text, ret_n);
}

int pg_dp_previous_text(struct pg_dp *dp, void **ret_text, size_t *ret_n, struct pg_err *err)
{
	const struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u32 g = pg_dp_active(dp), before = ctl->gen[!g].number;
	int r = before && before < ctl->gen[g].number ? 0 : -ESTALE;

	if (!r)
		r = text_of(dp, !g, ret_text, ret_n);
	if (r == -ESTALE)
		return pg_fail(err, -ENOENT, "there is no previous policy to go back to");
	return r ? pg_dp_fail(err, r, "cannot read the previous policy") : 0;
}

int pg_dp_policy_text(struct pg_dp *dp, void **ret_text, size_t *ret_n, struct pg_err *err)
{
	struct pg_ctl *ctl = pg_dp_ctl(dp);
	int r = -ESTALE;

	if (dp->skel)
		return private_text(dp, ret_text, ret_n);
	/* Readers take no lock: should commits overtake us, look again. */
	for (int tries = 0; tries < 100 && r == -ESTALE; tries++) {
		__u32 g = pg_dp_active(dp);

		if (!ctl->gen[g].number)
			return -ENODATA;
		r = text_of(dp, g, ret_text, ret_n);
	}
	return r ? pg_dp_fail(err, r, "cannot read the policy in force") : 0;
}

static int past_text(struct pg_dp *dp, __u32 number, void **ret_text, size_t *ret_n)
{
	char path[512];
	_close_ int fd = past_path(dp, number, path, sizeof(path)) ? -1 : bpf_obj_get(path);

	return fd < 0 ? -ESTALE : pg_dp_text_read(fd, number, ret_text, ret_n);
}

int pg_dp_policy_text_of(struct pg_dp *dp, __u32 number, void **ret_text, size_t *ret_n)
{
	const struct pg_ctl *ctl = pg_dp_ctl(dp);

	int r = dp->skel ? -ESTALE : past_text(dp, number, ret_text, ret_n);

	/* What is in a generation's place may be the text of one before: see pg_dp_keep_previous(). */
	for (__u32 g = 0; r == -ESTALE && g < 2; g++) {
		if (ctl->gen[g].number != number)
			continue;
		if (dp->skel)
			return g == pg_dp_active(dp) ? private_text(dp, ret_text, ret_n) : -ESTALE;
		return text_of(dp, g, ret_text, ret_n);
	}
	return r;
}

void pg_dp_policy_numbers(const struct pg_dp *dp, __u32 ret[2])
{
	const struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u32 g = pg_dp_active(dp);

	ret[0] = ctl->gen[g].number;
	ret[1] = ctl->gen[!g].number;
}

void pg_dp_policy_info(struct pg_dp *dp, struct pg_dp_policy_info *ret)
{
	const struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u64 choice = read_choice(dp);
	const struct pg_gen *gen = &ctl->gen[pg_dp_active(dp)];
	__u32 comparing = __atomic_load_n(&ctl->comparing, __ATOMIC_RELAXED);

	*ret = (struct pg_dp_policy_info){
		.generation = gen->number,
		.terms = gen->terms,
		.rows = gen->rows,
		.nodes = gen->nodes,
		.form = gen->form,
		.verify = gen->verify,
		.confirm_s = seconds_left(choice),
		.expired = is_expired(choice),
		.shadow = comparing ? PG_SHADOW_ON : PG_SHADOW_NONE,
		.shadow_stopped = comparing && comparing != gen->number + 1,
	};
	if (ret->confirm_s)
		ret->other = ctl->gen[!(choice & 1)].number;
	else if (ret->expired)
		ret->other = ctl->gen[choice & 1].number;
	else if (ctl->taken_back > gen->number)
		ret->other = ctl->taken_back;
	if (gen->terms)
		ret->memory_bytes = (__u64)gen->nodes * 1024 + (__u64)gen->row_words * 8 +
				    gen->terms * sizeof(struct pg_term_record);
}

enum pg_fragments pg_dp_fragments(const struct pg_dp *dp)
{
	__u32 setting = dp ? __atomic_load_n(&pg_dp_ctl(dp)->fragments, __ATOMIC_RELAXED) : 0;

	return setting < _PG_FRAGMENTS_MAX ? (enum pg_fragments)setting : PG_FRAGMENTS_AUTO;
}

void pg_dp_set_fragments(struct pg_dp *dp, enum pg_fragments setting)
{
	__atomic_store_n(&pg_dp_ctl(dp)->fragments, setting, __ATOMIC_RELAXED);
}

bool pg_dp_policy_tracks(const struct pg_dp *dp)
{
	const struct pg_ctl *ctl = pg_dp_ctl(dp);

	return ctl->gen[pg_dp_active(dp)].needs & PG_NEED_STATE;
}

void pg_dp_policy_track(struct pg_dp *dp)
{
	for (int i = 0; i < 2; i++)
		set_tracking(dp, &pg_dp_ctl(dp)->gen[i]);
}
