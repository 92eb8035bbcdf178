// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The skeleton: loading copies of the programs, making and opening the maps. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>

#include "dp_impl.h"
#include "portguard.skel.h"

#define PG_NAME_MAP(sym, name) [PG_MAP_##sym] = #name,
const char *const pg_map_names[_PG_MAP_MAX] = { PG_MAPS(PG_NAME_MAP) };

/* libbpf's voice ------------------------------------------------------------------------------- */

static struct {
	char text[512];
	char refused[64]; /* the program that the verifier does not take; "": none */
	char why[200];	  /* the line of its log that says so */
	bool verbose;
} libbpf;

/* The verifier's log tells every step, and why it ends at its end. */
#define LOG_LINES 30

/* The beginning of the last n lines. */
static char *last_lines(char *text, unsigned n)
{
	char *at = text + strlen(text);

	while (at > text && (at[-1] != '\n' || !at[0] || n--))
		at--;
	return at;
}

/* "libbpf: prog 'NAME': -- BEGIN PROG LOAD LOG --\n…-- END PROG LOAD LOG --\n"; the log's last line sums up. */
static bool hear_verifier(char *text)
{
	static const char begin[] = "-- BEGIN PROG LOAD LOG --\n", end[] = "-- END PROG LOAD LOG --";
	char *log = strstr(text, begin), *stop = strstr(text, end), *name = strchr(text, '\'');

	if (!log || !stop || !name)
		return false;
	log += strlen(begin);
	*stop = '\0';
	if (libbpf.verbose)
		fprintf(stderr, "portguard: the verifier says at the end:\n%s", last_lines(log, LOG_LINES));
	snprintf(libbpf.refused, sizeof(libbpf.refused), "%.*s", (int)strcspn(name + 1, "'"), name + 1);
	stop = last_lines(log, 1);
	if (!strncmp(stop, "processed ", 10) && stop > log) {
		*stop = '\0';
		stop = last_lines(log, 1);
	}
	snprintf(libbpf.why, sizeof(libbpf.why), "%.*s", (int)strcspn(stop, "\n"), stop);
	return true;
}

static int listen_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_free_ char *text = NULL;

	if (level == LIBBPF_DEBUG || vasprintf(&text, fmt, ap) < 0) {
		text = NULL; /* not defined when it fails */
		return 0;
	}
	if (level == LIBBPF_WARN && hear_verifier(text))
		return 0;
	if (libbpf.verbose)
		fputs(text, stderr);
	/* The kernel's own words, where there are any, say more than what libbpf adds. */
	if (level == LIBBPF_WARN && !strstr(libbpf.text, "Kernel error message"))
		snprintf(libbpf.text, sizeof(libbpf.text), "%.*s", (int)strcspn(text, "\n"), text);
	return 0;
}

const char *pg_dp_libbpf_says(void)
{
	const char *kernel = strstr(libbpf.text, "Kernel error message: ");

	return kernel ? kernel + strlen("Kernel error message: ") : libbpf.text;
}

const char *pg_dp_verifier_says(void)
{
	return libbpf.why;
}

void pg_dp_libbpf_listen(bool verbose)
{
	libbpf.text[0] = libbpf.refused[0] = libbpf.why[0] = '\0';
	libbpf.verbose = verbose;
	libbpf_set_print(listen_libbpf);
}

static void destroy_skelp(struct portguard_bpf **skel)
{
	portguard_bpf__destroy(*skel);
}

/* Loading -------------------------------------------------------------------------------------- */

static struct bpf_map *skel_map(struct portguard_bpf *skel, enum pg_map_id id)
{
	return bpf_object__find_map_by_name(skel->obj, pg_map_names[id]);
}

static struct bpf_program *skel_prog(const struct portguard_bpf *skel, enum pg_prog prog)
{
	switch (prog) {
	case PG_PROG_XDP:
		return skel->progs.portguard_xdp;
	case PG_PROG_TC_IN:
		return skel->progs.portguard_tc_in;
	case PG_PROG_TC_OUT:
		return skel->progs.portguard_tc_out;
	}
	return NULL;
}

int pg_dp_prog_fd(const struct portguard_bpf *skel, enum pg_prog prog)
{
	return bpf_program__fd(skel_prog(skel, prog));
}

/* FNV-1a, by words: the object has a megabyte. */
__u64 pg_dp_build(void)
{
	static __u64 build;
	__u64 word, hash = 14695981039346656037ULL;
	const char *elf;
	size_t n;

	if (build)
		return build;
	elf = portguard_bpf__elf_bytes(&n);
	for (size_t i = 0; i + sizeof(word) <= n; i += sizeof(word)) {
		memcpy(&word, elf + i, sizeof(word));
		hash = (hash ^ word) * 1099511628211ULL;
	}
	build = hash;
	return build;
}

static int reuse_maps(struct portguard_bpf *skel, const struct pg_dp *dp)
{
	struct bpf_map *m;
	int r = 0;

	for (int i = 0; !r && i < _PG_MAP_MAX; i++) {
		m = skel_map(skel, i);
		if (m) /* pg_ifaces, pg_slot_born and pg_set_info are the command's own */
			r = bpf_map__reuse_fd(m, dp->map[i].fd);
	}
	return r;
}

/*
 * The maps of a policy that is tried are made only where there is one; references to them are in code
 * that the verifier prunes.
 */
static int use_shadow(struct portguard_bpf *skel, const struct pg_shadow_maps *shadow, bool fed)
{
	struct bpf_map *const map[] = { skel->maps.pg_handoff, skel->maps.pg_differences,
					skel->maps.pg_next };
	const int fd[] = { shadow ? shadow->handoff : -1, shadow ? shadow->differences : -1,
			   shadow ? shadow->next : -1 };
	int r = bpf_map__set_autocreate(skel->maps.pg_feed, fed) ?:
		bpf_map__set_autocreate(skel->maps.pg_fed, fed);

	for (size_t i = 0; !r && i < ARRAY_SIZE(map); i++)
		r = fd[i] >= 0 ? bpf_map__reuse_fd(map[i], fd[i]) :
				 bpf_map__set_autocreate(map[i], false);
	return r;
}

/*
 * Without checksums there is only the general path: that is for the benchmark. What compares two
 * policies is there, too.
 */
static enum pg_fast fast_path_for(const struct pg_load_opts *opts, bool atomic)
{
	if (opts->role == PG_ROLE_SHADOW || opts->role == PG_ROLE_BESIDE || opts->no_fast || opts->no_l2 || opts->skip_csum || (opts->trace && atomic))
		return PG_FAST_NONE;
	if (opts->trace)
		return PG_FAST_TRACE;
	return atomic ? PG_FAST_ATOMIC : PG_FAST_PLAIN;
}

static bool lacks_perfmon(void)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t have = CAP_SET;

	if (caps)
		cap_get_flag(caps, CAP_PERFMON, CAP_EFFECTIVE, &have);
	cap_free(caps);
	return have == CAP_CLEAR;
}

static int refused(const struct pg_dp *dp, int r, struct pg_err *err)
{
	const char *hint = dp->verbose ? "" : "; 'portguard attach -v' shows the end of its log";

	if (!libbpf.refused[0])
		return pg_dp_fail(err, r, "cannot load the BPF program");
	if (lacks_perfmon())
		return pg_fail_exit(err, PG_EXIT_RESOURCE, -EPERM,
				    "cannot load the BPF program: Permission denied (CAP_PERFMON is missing: "
				    "without it the kernel's verifier refuses %s: %s)%s",
				    libbpf.refused, libbpf.why, hint);
	return pg_fail(err, -EINVAL, "this kernel's verifier refuses %s: %s%s", libbpf.refused,
		       libbpf.why, hint);
}

bool pg_dp_has_frags(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len, NULL) == 1;
}

int pg_dp_load(struct pg_dp *dp, const struct pg_load_opts *opts, struct portguard_bpf **ret_skel,
	       struct pg_err *err)
{
	_cleanup_(destroy_skelp) struct portguard_bpf *skel = NULL;
	const struct pg_ctl *ctl = pg_dp_ctl(dp);
	bool frags;
	int r;

	pg_dp_libbpf_listen(dp->verbose);
	skel = portguard_bpf__open();
	if (!skel)
		return pg_dp_fail(err, -errno, "cannot open the BPF program");
	r = reuse_maps(skel, dp) ?: use_shadow(skel, opts->shadow, opts->role == PG_ROLE_FED);
	if (r)
		return pg_dp_fail(err, r, "cannot use the instance's maps");
	frags = opts->progs & PG_PROG_XDP && (opts->mode != PG_MODE_SKB || opts->multi) && pg_dp_has_frags();
	for (unsigned p = PG_PROG_XDP; p <= PG_PROG_TC_OUT; p <<= 1)
		bpf_program__set_autoload(skel_prog(skel, p), opts->progs & p);
	/* Not by the section's name: what that says, libbpf adds again when it loads. */
	bpf_program__set_autoload(skel->progs.portguard_feed,
				  opts->role == PG_ROLE_FED && opts->progs & PG_PROG_XDP);
	bpf_program__set_autoload(skel->progs.portguard_feed_tc,
				  opts->role == PG_ROLE_FED && !(opts->progs & PG_PROG_XDP));
	/* Only what is alike goes on to each other, and entry.bpf.c's has neither type nor flag: these are the dispatcher's. */
	if (opts->multi)
		bpf_program__set_expected_attach_type(skel->progs.portguard_xdp, 0);
	if (frags && !opts->multi) {
		bpf_program__set_flags(skel->progs.portguard_xdp, BPF_F_XDP_HAS_FRAGS);
		bpf_program__set_flags(skel->progs.portguard_feed, BPF_F_XDP_HAS_FRAGS);
	}
	skel->rodata->cfg.shards = ctl->shards;
	skel->rodata->cfg.atomic = (__u32)libbpf_num_possible_cpus() > ctl->shards;
	skel->rodata->cfg.iface = opts->iface;
	skel->rodata->cfg.ifindex = opts->ifindex;
	skel->rodata->cfg.frags = frags;
	skel->rodata->cfg.no_l2 = opts->no_l2;
	skel->rodata->cfg.trace = opts->trace;
	skel->rodata->cfg.skip_csum = opts->skip_csum;
	skel->rodata->set_coarse_clock =
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_ktime_get_coarse_ns, NULL) == 1;
	skel->rodata->cfg.netns = (__u32)dp->netns;
	skel->rodata->cfg.space = pg_dp_flow_space(dp);
	skel->rodata->cfg.flow_buckets = dp->map[PG_MAP_FLOW_BUCKETS].entries - PG_HALF_OPEN_BUCKETS;
	skel->rodata->cfg.role = opts->role;
	skel->rodata->cfg.fast = fast_path_for(opts, skel->rodata->cfg.atomic);
	r = portguard_bpf__load(skel);
	if (r)
		return refused(dp, r, err);
	*ret_skel = TAKE_PTR(skel);
	return 0;
}

int pg_dp_feed_open(struct portguard_bpf *skel, int *ret_prog, int *ret_map)
{
	int next = bpf_map__fd(skel->maps.pg_fed), xdp = pg_dp_prog_fd(skel, PG_PROG_XDP);
	int in = xdp >= 0 ? xdp : pg_dp_prog_fd(skel, PG_PROG_TC_IN);
	int out = pg_dp_prog_fd(skel, PG_PROG_TC_OUT);
	__u32 key = PG_DIR_IN;

	*ret_prog = bpf_program__fd(xdp >= 0 ? skel->progs.portguard_feed :
					       skel->progs.portguard_feed_tc);
	*ret_map = bpf_map__fd(skel->maps.pg_feed);
	if (bpf_map_update_elem(next, &key, &in, BPF_ANY))
		return -errno;
	key = PG_DIR_OUT;
	return xdp < 0 && bpf_map_update_elem(next, &key, &out, BPF_ANY) ? -errno : 0;
}

bool pg_dp_can_feed(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_store_bytes, NULL) == 1;
}

void pg_dp_unload(struct portguard_bpf *skel)
{
	portguard_bpf__destroy(skel);
}

/* Maps ----------------------------------------------------------------------------------------- */

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

int pg_dp_map_memory(struct pg_dp *dp, enum pg_map_id id, struct pg_err *err)
{
	struct pg_map *m = &dp->map[id];
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	void *mem;

	if (bpf_obj_get_info_by_fd(m->fd, &info, &len))
		return pg_dp_fail(err, -errno, "cannot read a map's size");
	m->value_size = info.value_size;
	m->entries = info.max_entries;
	m->bytes = round_up((size_t)round_up(m->value_size, 8) * m->entries,
			    sysconf(_SC_PAGESIZE));
	mem = mmap(NULL, m->bytes, dp->writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
		   m->fd, 0);
	if (mem == MAP_FAILED)
		return pg_dp_fail(err, -errno, "cannot map counters and tables into memory");
	m->mem = mem;
	return 0;
}

static int map_all(struct pg_dp *dp, struct pg_err *err)
{
	int r = 0;

	for (int i = 0; !r && i < _PG_MAP_MAPPED; i++)
		r = pg_dp_map_memory(dp, i, err);
	return r;
}

/* pg_tables last: an instance whose pg_tables is pinned is whole. */
static int pin_all(struct pg_dp *dp, struct pg_err *err)
{
	char path[512];
	int r = 0;

	for (int i = _PG_MAP_MAX - 1; i >= 0; i--) {
		r = pg_dp_pin_path(dp, path, sizeof(path), "%s", pg_map_names[i]);
		if (!r) {
			unlink(path); /* left by a command that died while making an instance */
			r = bpf_obj_pin(dp->map[i].fd, path) ? -errno : 0;
		}
		if (r)
			return pg_dp_fail(err, r, "cannot pin the instance's maps");
	}
	return 0;
}

int pg_dp_remove_pins(struct pg_dp *dp, struct pg_err *err)
{
	static const char *const texts[] = { "policy_0", "policy_1", "policy_next" };
	char path[512];

	/* pg_tables first: from here on there is no instance, only leftovers. */
	for (size_t i = 0; i < _PG_MAP_MAX + ARRAY_SIZE(texts); i++) {
		const char *name = i < _PG_MAP_MAX ? pg_map_names[i] : texts[i - _PG_MAP_MAX];

		if (!pg_dp_pin_path(dp, path, sizeof(path), "%s", name) && unlink(path) &&
		    errno != ENOENT)
			return pg_dp_fail(err, -errno, "cannot remove a pinned map");
	}
	pg_dp_sets_unpin(dp, true);
	pg_dp_past_remove(dp);
	return pg_dp_remove_dir(dp, err);
}

static int make_map(const char *name, size_t value_size, __u32 entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), value_size, entries, &opts);

	return fd < 0 ? -errno : fd;
}

/* As the programs declare it. */
static int make_declared(const struct bpf_map *m)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = bpf_map__map_flags(m));
	int fd = bpf_map_create(bpf_map__type(m), bpf_map__name(m), bpf_map__key_size(m),
				bpf_map__value_size(m), bpf_map__max_entries(m), &opts);

	return fd < 0 ? -errno : fd;
}

/* How many elements an array has where the declaration does not know. */
static __u32 elements(enum pg_map_id id, const struct bpf_map *m, __u32 shards, __u32 flows)
{
	switch (id) {
	case PG_MAP_SHARDS:
		return shards;
	case PG_MAP_FLOW_BUCKETS:
		return (flows + PG_HALF_OPEN) / PG_FLOW_WAYS;
	case PG_MAP_FLOWS:
	case PG_MAP_FLOW_TROUBLE:
		return flows + PG_HALF_OPEN;
	case PG_MAP_SCRATCH:
	case PG_MAP_EVENT_RATE:
	case PG_MAP_REPLY_RATE:
	case PG_MAP_BOX:
	case PG_MAP_WATCH_CPUS:
	case PG_MAP_FLOW_STATS:
		return libbpf_num_possible_cpus();
	default:
		return bpf_map__max_entries(m);
	}
}

static int make_all(struct pg_dp *dp, __u32 shards, __u32 flows)
{
	_cleanup_(destroy_skelp) struct portguard_bpf *skel = portguard_bpf__open();
	struct pg_map *map = dp->map;

	if (!skel)
		return -errno;
	for (int i = 0; i < PG_MAP_SETS_HASH; i++) {
		struct bpf_map *m = skel_map(skel, i);

		if (i == PG_MAP_SET_INFO)
			continue; /* with the sets */
		if (i == PG_MAP_IFACES)
			map[i].fd = make_map(pg_map_names[i], sizeof(struct pg_iface), PG_MAX_IFACES);
		else if (i == PG_MAP_SLOT_BORN)
			map[i].fd = make_map(pg_map_names[i], sizeof(__u32) * PG_COUNTER_SLOTS, 1);
		else if (i >= _PG_MAP_MAPPED)
			map[i].fd = make_declared(m);
		else
			map[i].fd = make_map(pg_map_names[i], bpf_map__value_size(m),
					     elements(i, m, shards, flows));
		if (map[i].fd < 0)
			return map[i].fd;
	}
	return pg_dp_sets_make(dp) ?: pg_dp_watch_make(dp);
}

int pg_dp_create(struct pg_dp *dp, __u32 flows, struct pg_err *err)
{
	__u32 cpus = libbpf_num_possible_cpus();
	__u32 shards = cpus < PG_MAX_SHARDS ? cpus : PG_MAX_SHARDS;
	struct pg_ctl *ctl;
	int r;

	pg_dp_libbpf_listen(dp->verbose);
	r = make_all(dp, shards, flows ?: PG_FLOWS);
	if (r == -E2BIG)
		return pg_fail(err, r,
			       "Linux 6.1 or newer is needed: this kernel has no array elements above "
			       "4 MB, which the tables are");
	if (r)
		return pg_dp_fail(err, r, "cannot make the instance's maps");
	r = map_all(dp, err);
	if (r)
		return r;
	ctl = pg_dp_ctl(dp);
	ctl->abi = PG_ABI;
	ctl->shards = shards;
	pg_dp_flow_init(dp);
	for (int g = 0; g < 2; g++) {
		for (int stage = 0; stage < _PG_STAGE_MAX; stage++)
			ctl->gen[g].base[stage].policy_kind = PG_ACT_ACCEPT;
		ctl->gen[g].base[PG_STAGE_FILTER].policy_slot = PG_SLOT_INPUT;
		ctl->gen[g].base[PG_STAGE_OUTPUT].policy_slot = PG_SLOT_OUTPUT;
	}
	return dp->path[0] ? pin_all(dp, err) : 0;
}

static int check_abi(const struct pg_dp *dp, struct pg_err *err)
{
	if (pg_dp_ctl(dp)->abi == PG_ABI)
		return 0;
	return pg_fail_exit(err, PG_EXIT_VERSION, -EPROTO,
			    "the instance in %s was made by another version of portguard (layout %u, "
			    "this one has %u): 'save' its policy with that version; 'portguard detach "
			    "--all' of either removes it",
			    dp->state_dir, pg_dp_ctl(dp)->abi, PG_ABI);
}

/* What is read as a struct has its size: 0 for maps of which only elements count. */
static size_t size_of(enum pg_map_id id)
{
	switch (id) {
	case PG_MAP_TABLES:
		return sizeof(struct pg_tables_map);
	case PG_MAP_IFACES:
		return sizeof(struct pg_iface);
	case PG_MAP_SHARDS:
		return sizeof(struct pg_shard);
	default:
		return 0;
	}
}

/* The layout first: maps of another have other sizes. */
static int check_map(const struct pg_dp *dp, enum pg_map_id id, struct pg_err *err)
{
	const struct pg_map *m = &dp->map[id];
	__u32 entries = id == PG_MAP_IFACES ? PG_MAX_IFACES : 1;
	int r = 0;

	if (id == PG_MAP_TABLES && m->bytes >= sizeof(struct pg_ctl))
		r = check_abi(dp, err);
	if (r)
		return r;
	if (id == PG_MAP_SHARDS)
		entries = pg_dp_ctl(dp)->shards;
	if ((!size_of(id) || m->value_size == size_of(id)) && m->entries >= entries)
		return 0;
	return pg_fail_exit(err, PG_EXIT_VERSION, -EPROTO,
			    "the instance in %s is damaged: %s is not what it should be; 'portguard "
			    "detach --all' removes it",
			    dp->state_dir, pg_map_names[id]);
}

int pg_dp_open_maps(struct pg_dp *dp, struct pg_err *err)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = 0);
	char path[512];
	int r;

	for (int i = 0; i < _PG_MAP_MAX; i++) {
		r = pg_dp_pin_path(dp, path, sizeof(path), "%s", pg_map_names[i]);
		if (r)
			return pg_dp_fail(err, r, "state directory");
		dp->map[i].fd = bpf_obj_get_opts(path, &opts);
		if (dp->map[i].fd < 0) {
			r = -errno;
			return i == PG_MAP_TABLES && r == -ENOENT ?
				       r :
				       pg_dp_fail(err, r, "cannot open the instance's maps");
		}
		r = i < _PG_MAP_MAPPED ? pg_dp_map_memory(dp, i, err) : 0;
		if (r)
			return r;
		r = i < _PG_MAP_MAPPED ? check_map(dp, i, err) : 0;
		if (r)
			return r;
	}
	return 0;
}
