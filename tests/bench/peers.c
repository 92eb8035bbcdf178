// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "peers.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct bench_peer {
	enum bench_peer_kind kind;
	bool ipv6;
	int netns, ifindex;	/* of the stack's */
	struct bpf_object *obj; /* xdp-filter's */
	int prog, ports;	/* its fds */
};

static const struct {
	const char *name;
	enum bench_peer_kind base;
} kinds[] = {
	[BENCH_STACK_FOREIGN] = { "no rules, frames up the stack", BENCH_STACK_FOREIGN },
	[BENCH_STACK_LOCAL] = { "no rules, frames up to routing", BENCH_STACK_LOCAL },
	[BENCH_XDP_FILTER] = { "xdp-filter", BENCH_XDP_FILTER },
	[BENCH_XDP_FILTER_TCP] = { "xdp-filter, sees ports only", BENCH_XDP_FILTER_TCP },
	[BENCH_NFT_LINEAR] = { "nft ingress, rules", BENCH_STACK_FOREIGN },
	[BENCH_NFT_HOSTS] = { "nft ingress, set of addresses", BENCH_STACK_FOREIGN },
	[BENCH_NFT_PREFIXES] = { "nft ingress, set of prefixes", BENCH_STACK_FOREIGN },
	[BENCH_IPTABLES] = { "iptables-legacy, raw", BENCH_STACK_LOCAL },
};

const char *bench_peer_name(enum bench_peer_kind kind)
{
	return kinds[kind].name;
}

bool bench_peer_compares(enum bench_peer_kind kind)
{
	return kind != BENCH_XDP_FILTER_TCP;
}

bool bench_peer_is_xdp(enum bench_peer_kind kind)
{
	return kind == BENCH_XDP_FILTER || kind == BENCH_XDP_FILTER_TCP;
}

enum bench_peer_kind bench_peer_base(enum bench_peer_kind kind)
{
	return kinds[kind].base;
}

/* Running tools -------------------------------------------------------------------------------- */

static int read_back(int fd, struct pg_text *ret)
{
	char buf[65536];
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		pg_text_addn(ret, buf, n);
	return n < 0 ? -errno : ret->oom ? -ENOMEM : 0;
}

static void become_tool(char *const *argv, int in, int out)
{
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	execvp(argv[0], argv);
	_exit(errno == ENOENT ? 127 : 126);
}

/* The command with `in` (or nothing) as its input. `ret` (or NULL) gets what it says. */
static int tool(char *const *argv, const struct pg_text *in, struct pg_text *ret,
		struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text said = { 0 };
	_close_ int from = memfd_create("in", MFD_CLOEXEC), to = memfd_create("out", MFD_CLOEXEC);
	int status;
	pid_t pid;

	if (from < 0 || to < 0 ||
	    (in && write(from, in->buf, in->len) != (ssize_t)in->len) || lseek(from, 0, SEEK_SET))
		return pg_fail(err, -EIO, "cannot talk to %s", argv[0]);
	pid = fork();
	if (pid == 0)
		become_tool(argv, from, to);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || read_back(to, ret ? ret : &said))
		return pg_fail(err, -EIO, "cannot talk to %s", argv[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return pg_fail(err, -ENOENT, "%s is not installed", argv[0]);
	if (status) {
		const char *text = ret ? ret->buf : said.buf;

		return pg_fail(err, -EIO, "%s: %.*s", argv[0],
			       text ? (int)strcspn(text, "\n") : 0, text ? text : "");
	}
	return 0;
}

#define TOOL(in, ret, err, ...) tool((char *[]){ __VA_ARGS__, NULL }, in, ret, err)

/* A veth in a network namespace of its own ----------------------------------------------------- */

static int make_veth(struct bench_peer *p, struct pg_err *err)
{
	/* pkt.h's frames are sent to ...:02. */
	char *mac = kinds[p->kind].base == BENCH_STACK_LOCAL ? "02:00:00:00:00:02" :
							       "02:00:00:00:00:03";
	int r = TOOL(NULL, NULL, err, "ip", "link", "add", "bench0", "address", mac, "type", "veth",
		     "peer", "name", "bench1");
	int fd;

	if (!r)
		r = TOOL(NULL, NULL, err, "ip", "link", "set", "bench0", "up");
	if (!r)
		r = TOOL(NULL, NULL, err, "ip", "link", "set", "bench1", "up");
	fd = r ? -1 : bench_empty_fd(err);
	if (fd < 0)
		return r ? r : -EIO;
	p->ifindex = if_nametoindex("bench0");
	/* Only with a program of its own does a veth have what test_run wants of a receive queue. */
	if (bpf_xdp_attach(p->ifindex, fd, XDP_FLAGS_DRV_MODE, NULL))
		return pg_fail(err, -errno, "cannot attach to a veth: %s", strerror(errno));
	return 0;
}

/* Without IPv6 the kernel has nothing to send by itself that rules would count. */
static int silence(void)
{
	_close_ int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno; /* a kernel without IPv6 */
	return write(fd, "1", 1) == 1 ? 0 : -errno;
}

static int make_netns(struct bench_peer *p, struct pg_err *err)
{
	if (unshare(CLONE_NEWNET))
		return pg_fail(err, -errno, "cannot make a network namespace: %s", strerror(errno));
	p->netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (p->netns < 0)
		return pg_fail(err, -errno, "cannot open a network namespace: %s", strerror(errno));
	if (silence())
		return pg_fail(err, -EIO, "cannot switch IPv6 off in a network namespace");
	return make_veth(p, err);
}

static int enter(const struct bench_peer *p, struct pg_err *err)
{
	if (!setns(p->netns, CLONE_NEWNET))
		return 0;
	return pg_fail(err, -errno, "cannot enter a network namespace: %s", strerror(errno));
}

static int load_nft(struct bench_peer *p, const struct bench_rules *rules, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text text = { 0 };

	if (p->kind == BENCH_NFT_LINEAR)
		bench_write_nft(&text, rules, "bench0");
	else
		bench_write_nft_set(&text, rules, "bench0", p->kind == BENCH_NFT_PREFIXES);
	return text.oom ? -ENOMEM : TOOL(&text, NULL, err, "nft", "-f", "-");
}

static int load_iptables(struct bench_peer *p, const struct bench_rules *rules, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text text = { 0 };

	bench_write_iptables(&text, rules, "raw", "PREROUTING");
	if (text.oom)
		return -ENOMEM;
	return TOOL(&text, NULL, err,
		    p->ipv6 ? "ip6tables-legacy-restore" : "iptables-legacy-restore", "-w");
}

/* xdp-filter ----------------------------------------------------------------------------------- */

/* A port's element is flags, and above them how often it was met. */
enum { XDPFILT_DST = 2, XDPFILT_TCP = 4, XDPFILT_COUNTER_SHIFT = 6 };

static int find_object(const char *name, char *ret, size_t size, struct pg_err *err)
{
	static const char *const places[] = { "/usr/lib/*/bpf", "/usr/lib64/bpf", "/usr/lib/bpf",
					      "/usr/local/lib/bpf" };
	char pattern[64];
	glob_t g;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(pattern, sizeof(pattern), "%s/%s", places[i], name);
		if (glob(pattern, 0, NULL, &g))
			continue;
		snprintf(ret, size, "%s", g.gl_pathv[0]);
		globfree(&g);
		return 0;
	}
	return pg_fail(err, -ENOENT, "xdp-filter (package xdp-tools) is not installed");
}

static int set_ports(struct bench_peer *p, const struct bench_rules *rules)
{
	int cpus = libbpf_num_possible_cpus(), r = 0;
	_free_ uint64_t *value = calloc(cpus > 0 ? cpus : 1, sizeof(*value));

	if (cpus < 0 || !value)
		return -ENOMEM;
	for (int i = 0; i < cpus; i++)
		value[i] = XDPFILT_DST | XDPFILT_TCP;
	for (size_t i = 0; !r && i < rules->n; i++) {
		uint32_t key = htons(rules->rule[i].dport.lo);

		r = bpf_map_update_elem(p->ports, &key, value, BPF_ANY);
	}
	return r;
}

/* Its object, without the tool: nothing is pinned and no dispatcher comes before it. */
static int load_xdp_filter(struct bench_peer *p, const struct bench_rules *rules,
			   struct pg_err *err)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	char path[256];
	int r = find_object(p->kind == BENCH_XDP_FILTER ? "xdpfilt_alw_all.o" : "xdpfilt_alw_tcp.o",
			    path, sizeof(path), err);

	if (r)
		return r;
	p->obj = bpf_object__open_file(path, NULL);
	if (!p->obj)
		return pg_fail(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	bpf_object__for_each_map(map, p->obj)
		bpf_map__set_pin_path(map, NULL);
	r = bpf_object__load(p->obj);
	if (r)
		return pg_fail(err, r, "cannot load '%s': %s", path, strerror(-r));
	prog = bpf_object__next_program(p->obj, NULL);
	map = bpf_object__find_map_by_name(p->obj, "filter_ports");
	if (!prog || !map || bpf_map__value_size(map) != 8)
		return pg_fail(err, -EPROTO, "'%s' is of another version than the bench knows",
			       path);
	p->prog = bpf_program__fd(prog);
	p->ports = bpf_map__fd(map);
	r = set_ports(p, rules);
	return r ? pg_fail(err, r, "cannot set xdp-filter's ports: %s", strerror(-r)) : 0;
}

static int count_xdp_filter(const struct bench_peer *p, uint64_t *ret)
{
	int cpus = libbpf_num_possible_cpus();
	_free_ uint64_t *value = calloc(cpus > 0 ? cpus : 1, sizeof(*value));

	*ret = 0;
	for (uint32_t key = 0; key < 65536; key++) {
		if (cpus < 0 || !value || bpf_map_lookup_elem(p->ports, &key, value))
			return -EIO;
		for (int i = 0; i < cpus; i++)
			*ret += value[i] >> XDPFILT_COUNTER_SHIFT;
	}
	return 0;
}

/* The door ------------------------------------------------------------------------------------- */

int bench_peer_open(enum bench_peer_kind kind, const struct bench_rules *rules,
		    struct bench_peer **ret, struct pg_err *err)
{
	struct bench_peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return pg_fail(err, -ENOMEM, "out of memory");
	*p = (struct bench_peer){ .kind = kind, .ipv6 = rules->ipv6, .netns = -1, .prog = -1 };
	if (bench_peer_is_xdp(kind))
		r = load_xdp_filter(p, rules, err);
	else
		r = make_netns(p, err);
	if (!r && kind == BENCH_IPTABLES)
		r = load_iptables(p, rules, err);
	else if (!r && kinds[kind].base == BENCH_STACK_FOREIGN && kind != BENCH_STACK_FOREIGN)
		r = load_nft(p, rules, err);
	if (r)
		bench_peer_close(p);
	else
		*ret = p;
	return r;
}

void bench_peer_close(struct bench_peer *p)
{
	if (!p)
		return;
	bpf_object__close(p->obj);
	pg_closep(&p->netns); /* ends it, as soon as nobody is in it */
	free(p);
}

int bench_peer_prog(const struct bench_peer *p)
{
	return p->prog;
}

void bench_peer_place(const struct bench_peer *p, struct bench_run *run)
{
	run->ifindex = p->ifindex;
	run->netns = p->netns;
}

/* The sum of the numbers behind `word` in every line that has `in`. */
static uint64_t sum_after(const char *text, const char *word, const char *in)
{
	uint64_t sum = 0;

	for (const char *line = text, *end; line && *line; line = end ? end + 1 : NULL) {
		const char *at = strstr(line, word), *has = strstr(line, in);

		end = strchr(line, '\n');
		if (at && has && (!end || (at < end && has < end)))
			sum += strtoull(at + strlen(word), NULL, 10);
	}
	return sum;
}

int bench_peer_counted(const struct bench_peer *p, uint64_t *ret, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text text = { 0 };
	int r = p->netns < 0 ? 0 : enter(p, err);

	*ret = 0;
	if (r)
		return r;
	if (bench_peer_is_xdp(p->kind)) {
		r = count_xdp_filter(p, ret);
		return r ? pg_fail(err, r, "cannot read xdp-filter's counters") : 0;
	}
	if (p->kind == BENCH_IPTABLES) {
		r = TOOL(NULL, &text, err,
			 p->ipv6 ? "ip6tables-legacy-save" : "iptables-legacy-save", "-c", "-t",
			 "raw");
		*ret = r ? 0 : sum_after(text.buf, "[", " -A ");
	} else {
		r = TOOL(NULL, &text, err, "nft", "list", "table", "netdev", "bench");
		*ret = r ? 0 : sum_after(text.buf, "packets ", "counter ");
	}
	return r;
}
