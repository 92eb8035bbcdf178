// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "policy.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "checks.h"
#include "names.h"
#include "rulefile.h"

/*
 * What is stored with the tables: which counter each chain's policy and each rule has, in the
 * order of the text, then the policy as text.
 */
struct stored {
	uint32_t n_chains; /* with STORED_UNHIT, if that is there */
	uint32_t n_rules;
	uint32_t slot[]; /* chains, then rules and their states, then their unhit, then the text */
};
#define STORED_UNHIT (1U << 31)
struct stored_unhit {
	uint64_t packets;
	int64_t since;
};

static size_t count_rules(const struct pg_ruleset *set)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n_chains; i++)
		n += set->chain[i].n_rules;
	return n;
}

/* Reading -------------------------------------------------------------------------------------- */

static void read_counter(struct pg_dp *dp, uint32_t slot, uint64_t *packets, uint64_t *bytes)
{
	struct pg_count c = {};

	if (slot != PG_NO_SLOT) /* a user-defined chain has no policy to count */
		pg_dp_slot_read(dp, slot, &c);
	*packets = c.packets;
	*bytes = c.bytes;
}

static bool slots_exist(const uint32_t *slot, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slot[i] != PG_NO_SLOT && slot[i] >= PG_COUNTER_SLOTS)
			return false;
	return true;
}

/* What was stored of its counter; read_stored() compares that with what it is now. */
static void take_unhit(struct pg_rule *rule, const struct stored_unhit *stored)
{
	struct stored_unhit was;

	memcpy(&was, stored, sizeof(was)); /* it need not be aligned */
	rule->unhit_since = was.since;
	rule->unhit_packets = was.packets;
}

/* `unhit` NULL: an earlier version has stored it. */
static void take_slots(struct pg_ruleset *set, const uint32_t *slot, const struct stored_unhit *unhit)
{
	for (size_t i = 0; i < set->n_chains; i++)
		set->chain[i].slot = *slot++;
	for (size_t i = 0; i < set->n_chains; i++) {
		for (size_t k = 0; k < set->chain[i].n_rules; k++) {
			struct pg_rule *rule = &set->chain[i].rule[k];

			rule->slot = *slot++;
			rule->state = *slot++;
			rule->pos.line = 0; /* of the stored text, which nobody sees */
			if (unhit)
				take_unhit(rule, unhit++);
		}
	}
}

int pg_policy_decode(const void *data, size_t n, struct pg_ruleset **ret_set, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	const struct pg_rulefile_opts opts = { .name = "policy in force" };
	const struct stored *s = data;
	struct pg_notes notes = { 0 };
	const struct stored_unhit *unhit = NULL;
	size_t head, n_slots, n_chains;
	int r;

	if (n < sizeof(*s))
		return pg_fail(err, -EBADMSG, "the stored policy is damaged");
	n_chains = s->n_chains & ~STORED_UNHIT;
	if (n_chains > n || s->n_rules > n)
		return pg_fail(err, -EBADMSG, "the stored policy is damaged");
	n_slots = n_chains + 2 * (size_t)s->n_rules;
	head = sizeof(*s) + 4 * n_slots;
	if (s->n_chains & STORED_UNHIT) {
		unhit = (const void *)((const char *)data + head);
		head += s->n_rules * sizeof(*unhit);
	}
	if (head > n || !slots_exist(s->slot, n_slots))
		return pg_fail(err, -EBADMSG, "the stored policy is damaged");
	r = pg_rulefile_parse((const char *)data + head, n - head, &opts, &set, &notes, err);
	pg_notes_free(&notes);
	if (r)
		return r;
	if (set->n_chains != n_chains || count_rules(set) != s->n_rules)
		return pg_fail(err, -EBADMSG, "the stored policy is damaged");
	take_slots(set, s->slot, unhit);
	*ret_set = TAKE_PTR(set);
	return 0;
}

/* A rule whose counter has moved since was hit, and nobody knows when. */
static void settle_unhit(struct pg_rule *rule)
{
	if (rule->unhit_packets != rule->packets)
		rule->unhit_since = 0;
	rule->unhit_packets = rule->packets;
}

void pg_policy_count(struct pg_dp *dp, struct pg_ruleset *set)
{
	for (size_t i = 0; i < set->n_chains; i++) {
		struct pg_chain *chain = &set->chain[i];

		read_counter(dp, chain->slot, &chain->packets, &chain->bytes);
		for (size_t k = 0; k < chain->n_rules; k++) {
			read_counter(dp, chain->rule[k].slot, &chain->rule[k].packets,
				     &chain->rule[k].bytes);
			settle_unhit(&chain->rule[k]);
		}
	}
}

static int read_stored(struct pg_dp *dp, const void *data, size_t n, struct pg_ruleset **ret_set,
		       struct pg_err *err)
{
	int r = pg_policy_decode(data, n, ret_set, err);

	if (!r)
		pg_policy_count(dp, *ret_set);
	return r;
}

static int read_empty(struct pg_ruleset **ret_set, struct pg_err *err)
{
	struct pg_ruleset *set = pg_ruleset_new();

	if (!set)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < set->n_chains; i++)
		set->chain[i].slot = PG_NO_SLOT;
	*ret_set = set;
	return 0;
}

/* Before the first commit: no rules, but the programs count already. */
static int read_uncommitted(struct pg_dp *dp, struct pg_ruleset **ret_set, struct pg_err *err)
{
	struct pg_chain *input, *output;
	int r = read_empty(ret_set, err);

	if (r)
		return r;
	input = &(*ret_set)->chain[PG_CHAIN_INPUT];
	output = &(*ret_set)->chain[PG_CHAIN_OUTPUT];
	input->slot = PG_SLOT_INPUT;
	output->slot = PG_SLOT_OUTPUT;
	read_counter(dp, input->slot, &input->packets, &input->bytes);
	read_counter(dp, output->slot, &output->packets, &output->bytes);
	return 0;
}

static int read_in_force(struct pg_dp *dp, struct pg_ruleset **ret_set, struct pg_err *err)
{
	_free_ void *text = NULL;
	size_t n;
	int r = pg_dp_policy_text(dp, &text, &n, err);

	if (r == -ENODATA)
		return read_uncommitted(dp, ret_set, err);
	return r ? r : read_stored(dp, text, n, ret_set, err);
}

/*
 * May the counters of the policy that was in force then be other rules' by now? A commit spares those of the policy that
 * it follows, so two must have been prepared; the last number is above the one in force where one was taken back.
 */
static bool gave_slots_away(const __u32 then[2], const __u32 now[2])
{
	__u32 last_then = then[1] > then[0] ? then[1] : then[0];
	__u32 last = now[1] > now[0] ? now[1] : now[0];

	return last != last_then && last > then[0] + 1;
}

int pg_policy_read(struct pg_dp *dp, struct pg_ruleset **ret_set, struct pg_err *err)
{
	if (!dp)
		return read_empty(ret_set, err);
	/* Readers take no lock; who commits without end shall not keep them from ever reading. */
	for (int tries = 10;; tries--) {
		_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
		__u32 then[2], now[2];
		int r;

		pg_dp_policy_numbers(dp, then);
		r = read_in_force(dp, &set, err);
		if (r)
			return r;
		__atomic_thread_fence(__ATOMIC_ACQUIRE); /* counters, then the numbers */
		pg_dp_policy_numbers(dp, now);
		if (tries && gave_slots_away(then, now))
			continue;
		*ret_set = TAKE_PTR(set);
		return 0;
	}
}

int pg_policy_read_previous(struct pg_dp *dp, struct pg_ruleset **ret_set, struct pg_err *err)
{
	_free_ void *text = NULL;
	size_t n;
	int r = pg_dp_previous_text(dp, &text, &n, err);

	return r ? r : read_stored(dp, text, n, ret_set, err);
}

int pg_policy_read_number(struct pg_dp *dp, uint32_t number, struct pg_ruleset **ret_set,
			  struct pg_err *err)
{
	_free_ void *text = NULL;
	size_t n;
	int r;

	if (!number)
		return read_uncommitted(dp, ret_set, err);
	r = pg_dp_policy_text_of(dp, number, &text, &n);
	return r ? r : read_stored(dp, text, n, ret_set, err);
}

int pg_policy_read_beside(struct pg_dp *dp, struct pg_dp *shadow, struct pg_ruleset **ret_set,
			  struct pg_err *err)
{
	_free_ void *text = NULL;
	size_t n;
	int r = pg_dp_shadow_text(dp, shadow, &text, &n, err);

	if (r == -ENODATA)
		return read_uncommitted(dp, ret_set, err);
	return r ? r : pg_policy_decode(text, n, ret_set, err);
}

/* Counters ------------------------------------------------------------------------------------- */

static void mark(bool *used, uint32_t slot)
{
	if (slot < PG_COUNTER_SLOTS)
		used[slot] = true;
}

static void mark_all(bool *used, const struct pg_ruleset *set)
{
	for (size_t i = 0; i < set->n_chains; i++) {
		mark(used, set->chain[i].slot);
		for (size_t k = 0; k < set->chain[i].n_rules; k++)
			mark(used, set->chain[i].rule[k].slot);
	}
}

/*
 * Counters and states that a commit gives away, with the values they start from. These are written
 * when nothing can fail any more: until then the policy before the one in force may still be gone
 * back to, and they may be that one's.
 */
struct fresh {
	struct {
		uint32_t slot;
		struct pg_count count;
	} *count;
	size_t n_counts;
	struct {
		uint32_t at;
		struct pg_state start;
	} *state;
	size_t n_states;
};

static void fresh_clear(struct fresh *fresh)
{
	free(fresh->count);
	free(fresh->state);
}

static int fresh_alloc(struct fresh *fresh, const struct pg_ruleset *set)
{
	fresh->count = calloc(count_rules(set) + set->n_chains, sizeof(*fresh->count));
	fresh->state = calloc(PG_STATES, sizeof(*fresh->state));
	return fresh->count && fresh->state ? 0 : -ENOMEM;
}

static void fresh_start(struct pg_dp *dp, const struct fresh *fresh)
{
	/* The number that was prepared, then counters: pg_policy_read() of another process asks for them the other way. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (size_t i = 0; i < fresh->n_counts; i++)
		pg_dp_slot_set(dp, fresh->count[i].slot, &fresh->count[i].count);
	for (size_t i = 0; i < fresh->n_states; i++)
		pg_dp_state_set(dp, fresh->state[i].at, &fresh->state[i].start);
}

/* A counter that neither the policy in force nor the new one uses. */
static int fresh_slot(struct fresh *fresh, bool *used, uint32_t *next, uint64_t packets,
		      uint64_t bytes, uint32_t *ret_slot)
{
	while (*next < PG_COUNTER_SLOTS && used[*next])
		(*next)++;
	if (*next == PG_COUNTER_SLOTS)
		return -ENOSPC;
	*ret_slot = (*next)++;
	fresh->count[fresh->n_counts].slot = *ret_slot;
	fresh->count[fresh->n_counts++].count = (struct pg_count){ packets, bytes };
	return 0;
}

static int assign_slots(struct fresh *fresh, struct pg_ruleset *set, const struct pg_ruleset *old)
{
	_free_ bool *used = calloc(PG_COUNTER_SLOTS, sizeof(*used));
	uint32_t next = 0;
	int r = 0;

	if (!used)
		return -ENOMEM;
	mark_all(used, old);
	mark_all(used, set);
	for (size_t i = 0; !r && i < set->n_chains; i++) {
		struct pg_chain *chain = &set->chain[i];

		if (chain->slot == PG_NO_SLOT && i < PG_CHAINS_BUILTIN)
			r = fresh_slot(fresh, used, &next, chain->packets, chain->bytes,
				       &chain->slot);
		for (size_t k = 0; !r && k < chain->n_rules; k++) {
			struct pg_rule *rule = &chain->rule[k];

			if (rule->slot != PG_NO_SLOT)
				continue;
			rule->unhit_since = 0;
			rule->unhit_packets = rule->packets;
			r = fresh_slot(fresh, used, &next, rule->packets, rule->bytes, &rule->slot);
		}
	}
	return r;
}

/* What rules remember (a limit's tokens) goes the way of their counters. */
static void mark_states(bool *used, const struct pg_ruleset *set)
{
	for (size_t i = 0; i < set->n_chains; i++)
		for (size_t k = 0; k < set->chain[i].n_rules; k++) {
			const struct pg_rule *rule = &set->chain[i].rule[k];
			size_t n = rule->state == PG_NO_SLOT ? 0 : pg_rule_states(rule);

			for (size_t s = 0; s < n && rule->state + s < PG_STATES; s++)
				used[rule->state + s] = true;
		}
}

static int fresh_states(struct fresh *fresh, bool *used, uint32_t *next, struct pg_rule *rule)
{
	size_t n = pg_rule_states(rule), free = 0;
	uint32_t at = *next;

	for (; free < n && at < PG_STATES; at++)
		free = used[at] ? 0 : free + 1;
	if (free < n)
		return -ENOSPC;
	*next = at;
	rule->state = at - n;
	for (size_t i = 0; i < n; i++) {
		used[rule->state + i] = true;
		fresh->state[fresh->n_states].at = rule->state + i;
		pg_rule_state_start(rule, i, &fresh->state[fresh->n_states++].start);
	}
	return 0;
}

static int assign_states(struct fresh *fresh, struct pg_ruleset *set,
			 const struct pg_ruleset *old)
{
	_free_ bool *used = calloc(PG_STATES, sizeof(*used));
	uint32_t next = 0;
	int r = 0;

	if (!used)
		return -ENOMEM;
	mark_states(used, old);
	mark_states(used, set);
	for (size_t i = 0; !r && i < set->n_chains; i++)
		for (size_t k = 0; !r && k < set->chain[i].n_rules; k++) {
			struct pg_rule *rule = &set->chain[i].rule[k];

			if (rule->state == PG_NO_SLOT && pg_rule_states(rule))
				r = fresh_states(fresh, used, &next, rule);
		}
	return r;
}

/*
 * The rules of a chain by their hash. Those that were claimed are taken out when they are met, so
 * that many of the same are no problem either.
 */
struct rule_index {
	struct pg_chain *chain;
	bool *claimed;
	uint64_t *hash;
	uint32_t *next; /* 1 + of the next rule in the bucket; 0: it was the last */
	uint32_t *bucket;
	size_t mask; /* of buckets */
	struct pg_text text;
};

static void clear_index(struct rule_index *index)
{
	free(index->claimed);
	free(index->hash);
	free(index->next);
	free(index->bucket);
	pg_text_free(&index->text);
}

/* Only when the first rule is not where it was: most changes are of one rule. 0 or -ENOMEM. */
static int fill_index(struct rule_index *index)
{
	size_t n = index->chain->n_rules, buckets = 16;

	while (buckets < 2 * n)
		buckets *= 2;
	index->hash = calloc(n + 1, sizeof(*index->hash));
	index->next = calloc(n + 1, sizeof(*index->next));
	index->bucket = calloc(buckets, sizeof(*index->bucket));
	if (!index->hash || !index->next || !index->bucket)
		return -ENOMEM;
	index->mask = buckets - 1;
	/* From the last to the first, so that each bucket begins with its first. */
	for (size_t i = n; i-- > 0;) {
		index->hash[i] = pg_rule_hash(&index->chain->rule[i], &index->text);
		index->next[i] = index->bucket[index->hash[i] & index->mask];
		index->bucket[index->hash[i] & index->mask] = (uint32_t)i + 1;
	}
	return index->text.oom ? -ENOMEM : 0;
}

/* The first rule like this one that no other has claimed. */
static struct pg_rule *find_unclaimed(struct rule_index *index, const struct pg_rule *rule)
{
	uint64_t hash = pg_rule_hash(rule, &index->text);
	uint32_t *at = &index->bucket[hash & index->mask];

	while (*at) {
		uint32_t i = *at - 1;

		if (index->claimed[i])
			*at = index->next[i];
		else if (index->hash[i] == hash && pg_rule_equal(&index->chain->rule[i], rule))
			return &index->chain->rule[i];
		else
			at = &index->next[i];
	}
	return NULL;
}

/* Counters and states that rules of the new policy have already: those of rules that a file has added to. */
struct owned {
	bool *slot, *state;
};

static void owned_free(struct owned *owned)
{
	free(owned->slot);
	free(owned->state);
}

static bool is_owned(const struct owned *owned, const struct pg_rule *rule)
{
	return (rule->slot < PG_COUNTER_SLOTS && owned->slot[rule->slot]) ||
	       (rule->state < PG_STATES && owned->state[rule->state]);
}

static void inherit_chain(struct pg_chain *chain, struct pg_chain *old, const struct owned *owned)
{
	_cleanup_(clear_index) struct rule_index index = {
		.chain = old,
		.claimed = calloc(old->n_rules + 1, sizeof(*index.claimed)),
	};
	size_t guess = 0;

	/* Of a policy that was another one: what ACCEPT has let pass, DROP has not dropped. */
	if (chain->policy == old->policy && !chain->has_counters)
		chain->slot = old->slot;
	for (size_t i = 0; index.claimed && i < old->n_rules; i++)
		index.claimed[i] = is_owned(owned, &old->rule[i]);
	for (size_t i = 0; index.claimed && i < chain->n_rules; i++) {
		struct pg_rule *same = NULL;

		if (chain->rule[i].slot != PG_NO_SLOT)
			continue;
		/* Mostly the order is the same: look where the last one was found first. */
		if (guess < old->n_rules && !index.claimed[guess] &&
		    pg_rule_equal(&old->rule[guess], &chain->rule[i]))
			same = &old->rule[guess];
		else if (index.bucket || !fill_index(&index))
			same = find_unclaimed(&index, &chain->rule[i]);
		else
			return; /* no memory: the others begin anew */
		if (!same)
			continue;
		guess = same - old->rule;
		index.claimed[guess++] = true;
		chain->rule[i].state = same->state;
		if (chain->rule[i].has_counters)
			continue; /* as under iptables-restore, it counts on from those */
		chain->rule[i].slot = same->slot;
		chain->rule[i].unhit_since = same->unhit_since;
		chain->rule[i].unhit_packets = same->unhit_packets;
	}
}

void pg_policy_inherit(struct pg_ruleset *set, const struct pg_ruleset *old)
{
	_cleanup_(owned_free) struct owned owned = {
		.slot = calloc(PG_COUNTER_SLOTS, sizeof(*owned.slot)),
		.state = calloc(PG_STATES, sizeof(*owned.state)),
	};

	if (!owned.slot || !owned.state)
		return; /* all begin anew */
	mark_all(owned.slot, set);
	mark_states(owned.state, set);
	for (size_t i = 0; i < set->n_chains; i++) {
		struct pg_chain *was = pg_ruleset_chain(old, set->chain[i].table, set->chain[i].name);

		if (was)
			inherit_chain(&set->chain[i], was, &owned);
	}
}

void pg_policy_disown(struct pg_ruleset *set)
{
	for (size_t i = 0; i < set->n_chains; i++) {
		set->chain[i].slot = PG_NO_SLOT;
		for (size_t k = 0; k < set->chain[i].n_rules; k++)
			set->chain[i].rule[k].slot = set->chain[i].rule[k].state = PG_NO_SLOT;
	}
}

/* Committing ----------------------------------------------------------------------------------- */

static void add_slots(struct pg_text *t, const struct pg_rule *rule)
{
	pg_text_addn(t, (const char *)&rule->slot, 4);
	pg_text_addn(t, (const char *)&rule->state, 4);
}

static void add_unhit(struct pg_text *t, const struct pg_rule *rule, int64_t now)
{
	const struct stored_unhit unhit = { rule->unhit_packets, rule->unhit_since ?: now };

	pg_text_addn(t, (const char *)&unhit, sizeof(unhit));
}

int pg_policy_encode(const struct pg_ruleset *set, struct pg_text *ret_text)
{
	struct stored head = {
		.n_chains = (uint32_t)set->n_chains | STORED_UNHIT,
		.n_rules = count_rules(set),
	};
	int64_t now = time(NULL);

	pg_text_addn(ret_text, (const char *)&head, sizeof(head));
	for (size_t i = 0; i < set->n_chains; i++)
		pg_text_addn(ret_text, (const char *)&set->chain[i].slot, 4);
	for (size_t i = 0; i < set->n_chains; i++)
		for (size_t k = 0; k < set->chain[i].n_rules; k++)
			add_slots(ret_text, &set->chain[i].rule[k]);
	for (size_t i = 0; i < set->n_chains; i++)
		for (size_t k = 0; k < set->chain[i].n_rules; k++)
			add_unhit(ret_text, &set->chain[i].rule[k], now);
	pg_rulefile_write(ret_text, set, 0, 0);
	return ret_text->oom ? -ENOMEM : 0;
}

/* Interfaces, for rules that name them. */
struct names {
	char by_slot[PG_MAX_IFACES][IFNAMSIZ];
	struct pg_link_name *link; /* attached ones first */
	size_t n, cap;
};

static void names_clear(struct names *names)
{
	free(names->link);
}

static int add_name(struct names *names, __u64 netns, __u32 ifindex, int slot, const char *name)
{
	struct pg_link_name *bigger, *link;

	for (size_t i = 0; i < names->n; i++)
		if (names->link[i].netns == (__u32)netns && names->link[i].ifindex == ifindex)
			return 0;
	if (names->n == names->cap) {
		bigger = reallocarray(names->link, 2 * names->cap + 64, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		names->link = bigger;
		names->cap = 2 * names->cap + 64;
	}
	link = &names->link[names->n++];
	*link = (struct pg_link_name){ .netns = (__u32)netns, .ifindex = ifindex, .slot = slot };
	snprintf(link->name, sizeof(link->name), "%s", name);
	return 0;
}

/* The others of this network namespace: packets may be forwarded to them. */
static int add_foreign(struct names *names)
{
	struct if_nameindex *list = if_nameindex();
	struct stat ns;
	int r = 0;

	if (!list || stat("/proc/self/ns/net", &ns))
		r = -errno;
	for (size_t i = 0; !r && list[i].if_index; i++)
		r = add_name(names, ns.st_ino, list[i].if_index, -1, list[i].if_name);
	if (list)
		if_freenameindex(list);
	return r;
}

static int iface_names(struct pg_dp *dp, struct names *names, struct pg_err *err)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	int r;

	if (!iface)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_dp_ifaces(dp, iface, err);
	if (r)
		return r;
	for (int i = 0; !r && i < PG_MAX_IFACES; i++) {
		const struct pg_iface *abi = &iface[i].abi;

		snprintf(names->by_slot[i], IFNAMSIZ, "%s", abi->netns ? abi->name : "");
		if (abi->netns && abi->ifindex)
			r = add_name(names, abi->netns, abi->ifindex, i, abi->name);
	}
	r = r ?: add_foreign(names);
	return r ? pg_fail(err, r, "cannot list the interfaces: %s", strerror(-r)) : 0;
}

static int find_set(void *arg, const char *name, struct pg_set_ref *ret)
{
	struct pg_set_info info;
	int r = pg_dp_set_find(arg, name, &ret->id, &info);

	if (r)
		return r;
	ret->net = info.net;
	ret->dims = info.type == PG_SET_HASH_IP_PORT ? 2 : 1;
	return 0;
}

int pg_policy_compile(struct pg_dp *dp, const struct pg_ruleset *set,
		      struct pg_tables **ret_tables, struct pg_err *err)
{
	const struct pg_check_sets sets = { .find = find_set, .arg = dp };
	_cleanup_(names_clear) struct names names = { 0 };
	int r = iface_names(dp, &names, err);
	const struct pg_compile_opts opts = {
		.ifnames = names.by_slot,
		.links = names.link,
		.n_links = names.n,
		.sets = &sets,
	};

	return r ? r : pg_compile(set, &opts, ret_tables, err);
}

int pg_policy_commit_over(struct pg_dp *dp, struct pg_ruleset *set, const struct pg_ruleset *old,
			  uint32_t confirm_s, struct pg_err *err)
{
	_cleanup_(fresh_clear) struct fresh fresh = { 0 };
	_cleanup_(pg_tables_freep) struct pg_tables *tables = NULL;
	_cleanup_(pg_text_free) struct pg_text text = { 0 };
	bool begins;
	int r;

	pg_dp_settle(dp);
	r = fresh_alloc(&fresh, set);
	if (r)
		return pg_fail(err, r, "out of memory");
	r = assign_slots(&fresh, set, old) ?: assign_states(&fresh, set, old);
	if (r)
		return pg_fail(err, r, "no counters left for the policy's rules");
	r = pg_policy_compile(dp, set, &tables, err);
	if (!r)
		r = pg_dp_local_refresh(dp, err);
	if (!r && tables->gen.needs & PG_NEED_ROUTES)
		r = pg_dp_routes_open(err);
	if (r)
		return r;
	begins = tables->gen.needs & PG_NEED_STATE && !pg_dp_policy_tracks(dp);
	if (begins)
		r = pg_dp_flow_forget(dp, err) ?: pg_dp_flow_adopt(dp, false, err);
	if (r)
		return r;
	if (pg_policy_encode(set, &text))
		return pg_fail(err, -ENOMEM, "out of memory");
	if (tables->gen.needs & PG_NEED_MARKS)
		r = pg_dp_marks_open(dp, err);
	r = r ?: pg_dp_prepare(dp, tables, text.buf, text.len, err);
	if (r) {
		pg_dp_marks_close(dp);
		return r;
	}
	fresh_start(dp, &fresh);
	pg_dp_flip(dp, confirm_s);
	if (begins) /* the new policy is in force by now, whatever comes of this */
		pg_dp_flow_adopt(dp, true, NULL);
	return 0;
}

int pg_policy_commit_for(struct pg_dp *dp, struct pg_ruleset *set, uint32_t confirm_s,
			 struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *old = NULL;
	int r = pg_policy_read(dp, &old, err);

	return r ? r : pg_policy_commit_over(dp, set, old, confirm_s, err);
}

int pg_policy_commit(struct pg_dp *dp, struct pg_ruleset *set, struct pg_err *err)
{
	return pg_policy_commit_for(dp, set, 0, err);
}

int pg_policy_renew(struct pg_dp *dp, struct pg_ruleset *set, struct pg_err *err)
{
	_free_ void *previous = NULL;
	size_t n = 0;
	int r;

	if (pg_dp_previous_text(dp, &previous, &n, NULL))
		n = 0;
	r = pg_policy_commit(dp, set, err);
	return r ? r : pg_dp_keep_previous(dp, previous, n, err);
}

/*
 * Read what rules remember and the states where they have it in `was`, or write it to the states that
 * they have now; `now` says for each of those that they had which that is.
 */
static void move_states(struct pg_dp *dp, const struct pg_ruleset *set, struct pg_state *state,
			uint32_t *was, uint32_t *now)
{
	size_t at = 0;

	for (size_t i = 0; i < set->n_chains; i++) {
		for (size_t k = 0; k < set->chain[i].n_rules; k++) {
			const struct pg_rule *rule = &set->chain[i].rule[k];
			size_t n = pg_rule_states(rule);

			for (size_t s = 0; s < n && at < PG_STATES; s++, at++) {
				uint32_t number = rule->state + (uint32_t)s;

				if (!now)
					was[at] = rule->state == PG_NO_SLOT ? PG_NO_SLOT : number;
				if (was[at] >= PG_STATES)
					continue;
				if (!now) {
					pg_dp_state_get(dp, number, &state[at]);
					continue;
				}
				pg_dp_state_set(dp, number, &state[at]);
				now[was[at]] = number;
			}
		}
	}
}

int pg_policy_commit_copy(struct pg_dp *dp, struct pg_ruleset *set, struct pg_dp *live,
			  bool no_flows, struct pg_err *err)
{
	_free_ struct pg_state *state = calloc(PG_STATES, sizeof(*state));
	_free_ uint32_t *was = calloc(PG_STATES, sizeof(*was));
	_free_ uint32_t *now = malloc(PG_STATES * sizeof(*now));
	int r;

	if (!state || !was || !now)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < PG_STATES; i++)
		now[i] = PG_NO_SLOT;
	if (live)
		move_states(live, set, state, was, NULL);
	pg_policy_disown(set);
	r = pg_policy_commit(dp, set, err);
	if (!r && no_flows)
		r = pg_dp_flow_forget(dp, err);
	if (r || !live)
		return r;
	move_states(dp, set, state, was, now);
	return pg_dp_lists_copy(dp, live, now, err);
}

uint32_t pg_policy_set_references(const struct pg_ruleset *rules, const char *name)
{
	uint32_t n = 0;

	for (size_t c = 0; c < rules->n_chains; c++) {
		const struct pg_chain *chain = &rules->chain[c];

		for (size_t r = 0; r < chain->n_rules; r++) {
			const struct pg_rule *rule = &chain->rule[r];

			for (size_t m = 0; m < rule->n_match; m++)
				n += rule->match[m].kind == PG_MATCH_SET &&
				     (!name || !strcmp(rule->match[m].set.name, name));
		}
	}
	return n;
}
