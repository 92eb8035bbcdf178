/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Facts → findings. Pure. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "doctor.h"
#include "kernel_words.h"
#include "names.h"
#include "view_table.h"

/*
 * What fits into one page beside XDP's headroom and the end of an skb: the largest MTU that drivers
 * without support for several buffers take (veth has 3506 to 3520, others a little less).
 */
#define ONE_PAGE_MTU 3498
/* From here on conntrack's table is short of room. */
#define CONNTRACK_FULL_PERCENT 80

const char *pg_severity_name(enum pg_severity severity)
{
	static const char *const names[] = {
		[PG_SEVERITY_OK] = "ok",
		[PG_SEVERITY_INFO] = "info",
		[PG_SEVERITY_WARNING] = "warning",
		[PG_SEVERITY_PROBLEM] = "problem",
	};

	return names[severity];
}

void pg_findings_clear(struct pg_findings *findings)
{
	free(findings->one);
	*findings = (struct pg_findings){ 0 };
}

static struct pg_finding *add(struct pg_findings *f, const char *subject, enum pg_severity severity,
			      const char *code, const char *fmt, ...) _printf_(5, 6);
static struct pg_finding *add(struct pg_findings *f, const char *subject, enum pg_severity severity,
			      const char *code, const char *fmt, ...)
{
	static struct pg_finding nowhere;
	struct pg_finding *all = reallocarray(f->one, f->n + 1, sizeof(*all));
	char text[sizeof(all->text)];
	va_list ap;

	if (!all) {
		f->oom = true;
		return &nowhere;
	}
	f->one = all;
	all = &all[f->n++];
	*all = (struct pg_finding){ .severity = severity, .code = code };
	pg_printable(subject, all->subject, sizeof(all->subject));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pg_printable(text, all->text, sizeof(all->text));
	return all;
}

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:@/";

static void mend(struct pg_finding *finding, const char *fmt, ...) _printf_(2, 3);
static void mend(struct pg_finding *finding, const char *fmt, ...)
{
	va_list ap;

	/* An interface's name that a shell might take for more than a name is not put into a command. */
	if (finding->subject[strspn(finding->subject, plain)])
		return;
	va_start(ap, fmt);
	vsnprintf(finding->mend, sizeof(finding->mend), fmt, ap);
	va_end(ap);
}

/* The host ---------------------------------------------------------------------------------------- */

#define NO_COMMAND " (no command mends that)"
#define NEWER_KERNEL " (no command mends that, only another kernel)"

static void judge_program(const struct pg_doctor *d, struct pg_findings *f)
{
	struct pg_finding *one;

	if (d->loads) {
		add(f, "", PG_SEVERITY_OK, "loads", "Linux %s takes portguard's programs", d->kernel);
		return;
	}
	one = add(f, "", PG_SEVERITY_PROBLEM, "loads", "Linux %s does not take portguard's programs%s: %s",
		  d->kernel, d->root ? NO_COMMAND : "", d->load_error);
	if (!d->root)
		mend(one, "sudo portguard doctor");
}

static void judge_kernel(const struct pg_doctor *d, struct pg_findings *f)
{
	if (!d->bpf.loop && d->root)
		add(f, "", PG_SEVERITY_PROBLEM, "bpf-loop",
		    "this kernel has no bpf_loop(), so no policy of any length runs: it takes Linux 5.17, "
		    "and portguard as a whole 6.1" NEWER_KERNEL);
	if (!d->btf)
		add(f, "", PG_SEVERITY_PROBLEM, "btf",
		    "no /sys/kernel/btf/vmlinux: the kernel was built without CONFIG_DEBUG_INFO_BTF"
		    NEWER_KERNEL);
	if (!d->bpf.frags && d->root)
		add(f, "", PG_SEVERITY_INFO, "frags",
		    PG_WORDS_NO_FRAGS NEWER_KERNEL);
	if (!d->bpf.tcx && d->root)
		add(f, "", PG_SEVERITY_INFO, "tcx",
		    PG_WORDS_NO_TCX NEWER_KERNEL);
	if (!d->bpf.jit)
		mend(add(f, "", PG_SEVERITY_WARNING, "jit",
			 PG_WORDS_NO_JIT),
		     "sysctl -w net.core.bpf_jit_enable=1");
	if (!d->bpffs)
		mend(add(f, "", PG_SEVERITY_INFO, "bpffs",
			 "no BPF file system at /sys/fs/bpf; `attach' mounts one"),
		     "mount -t bpf bpf /sys/fs/bpf");
}

static void judge_conntrack(const struct pg_doctor *d, struct pg_findings *f)
{
	uint64_t percent;

	if (!d->flows_max)
		return;
	percent = d->flows_tracked * 100 / d->flows_max;
	if (percent >= CONNTRACK_FULL_PERCENT)
		mend(add(f, "", PG_SEVERITY_WARNING, "conntrack",
			 "nf_conntrack tracks %" PRIu64 " connections of %" PRIu64
			 " at most (%" PRIu64 " %%): when it is full, the kernel drops new ones",
			 d->flows_tracked, d->flows_max, percent),
		     "sysctl -w net.netfilter.nf_conntrack_max=%" PRIu64, 2 * d->flows_max);
	else if (d->flows_refused)
		mend(add(f, "", PG_SEVERITY_WARNING, "conntrack",
			 "nf_conntrack has been full: since it was started the kernel dropped %" PRIu64
			 " packets or connections for that",
			 d->flows_refused),
		     "sysctl -w net.netfilter.nf_conntrack_max=%" PRIu64, 2 * d->flows_max);
	else
		add(f, "", PG_SEVERITY_OK, "conntrack", "nf_conntrack: %" PRIu64 " of %" PRIu64,
		    d->flows_tracked, d->flows_max);
}

static void judge_shadow(const struct pg_doctor *d, struct pg_findings *f)
{
	time_t since = (time_t)d->shadow_since;
	char date[32] = "?";
	struct tm tm;

	if (localtime_r(&since, &tm))
		strftime(date, sizeof(date), "%F %T", &tm);
	if (d->shadow == PG_SHADOW_ON)
		mend(add(f, "", PG_SEVERITY_INFO, "shadow",
			 "a policy is tried beside the one in force since %s: every packet passes both, and "
			 "what it has counted ends with it",
			 date),
		     "portguard shadow --stop");
	else if (d->shadow == PG_SHADOW_UNFINISHED)
		mend(add(f, "", PG_SEVERITY_WARNING, "shadow",
			 "`apply --shadow' has not come to its end: what it left costs, and compares nothing"),
		     "portguard shadow --stop");
}

/* What shows the rules of a chain. */
static void mend_chain(struct pg_finding *one, enum pg_foreign_by by, const char *family,
		       const char *table, const char *name)
{
	if (by != PG_FOREIGN_NFT)
		mend(one, "%s -t %s -S", pg_foreign_name(by), table);
	else if (!table[strspn(table, plain)] && !name[strspn(name, plain)])
		mend(one, "nft list chain %s %s %s", family, table, name);
	else
		mend(one, "nft list ruleset");
}

static void judge_chains(const struct pg_doctor *d, struct pg_findings *f)
{
	for (size_t i = 0; i < d->foreign.n_chains; i++) {
		const struct pg_foreign_chain *c = &d->foreign.chain[i];

		if (!c->rules && !c->drops)
			continue;
		mend_chain(add(f, "", PG_SEVERITY_INFO, "other-rules",
			       "%s table %s %s acts here, too: chain %s at %s, %zu rules%s",
			       pg_foreign_name(c->by), c->family, c->table, c->name, c->hook, c->rules,
			       c->drops ? ", drops what none of them takes" : ""),
			   c->by, c->family, c->table, c->name);
	}
}

static void judge_unread(const struct pg_doctor *d, struct pg_findings *f)
{
	for (size_t i = 0; i < d->foreign.n_unread; i++) {
		const struct pg_foreign_unread *u = &d->foreign.unread[i];

		mend_chain(add(f, "", PG_SEVERITY_WARNING, "published-unread",
			       "%zu rule%s of %s table %s %s, chain %s send%s packets elsewhere, which ports "
			       "portguard cannot tell: there may be more than are named here",
			       u->rules, u->rules == 1 ? "" : "s", pg_foreign_name(u->by), u->family,
			       u->table, u->chain, u->rules == 1 ? "s" : ""),
			   u->by, u->family, u->table, u->chain);
	}
}

static void judge_published(const struct pg_doctor *d, struct pg_findings *f)
{
	bool attached = false;

	judge_unread(d, f);
	for (size_t i = 0; i < d->n_nics; i++)
		attached |= d->nic[i].attached;
	for (size_t i = 0; i < d->foreign.n_ports; i++) {
		const struct pg_foreign_port *p = &d->foreign.port[i];
		const char *proto = p->proto == PG_PORT_TCP ? "tcp" : "udp";
		char range[16], last[8] = "", to[sizeof(p->to) + 8] = "elsewhere";

		snprintf(range, sizeof(range), p->lo == p->hi ? "%u" : "%u-%u", p->lo, p->hi);
		if (p->lo != p->hi)
			snprintf(last, sizeof(last), ":%u", p->hi);
		if (p->to[0])
			snprintf(to, sizeof(to), "to %s", p->to);
		mend(add(f, "", attached ? PG_SEVERITY_INFO : PG_SEVERITY_WARNING, "published",
			 "%s/%s is sent %s by %s table %s, chain %s: rules of iptables' INPUT never see it%s",
			 range, proto, to, pg_foreign_name(p->by), p->table, p->chain,
			 attached ? ", portguard's do" : ""),
		     "portguard deny %u%s/%s", p->lo, last, proto);
	}
}

/* Interfaces ---------------------------------------------------------------------------------------- */

/* For the drivers that have no native XDP, and those whose kernel does not say. */
static void judge_support(const struct pg_doctor *d, const struct pg_doctor_nic *n,
			  struct pg_findings *f)
{
	const char *driver = n->driver[0] ? n->driver : n->kind[0] ? n->kind : "unknown";
	/* Attached, there is nothing left to do about it. */
	enum pg_severity severity = n->attached ? PG_SEVERITY_OK : PG_SEVERITY_INFO;
	struct pg_finding *one = NULL;

	if (!n->ethernet)
		one = add(f, n->name, severity, "native",
			  "driver %s, no Ethernet header: only mode tc works here", driver);
	else if (n->loopback)
		one = add(f, n->name, severity, "native", "loopback has no native XDP: mode tc");
	else if (!n->xdp_known)
		one = add(f, n->name, severity, "native",
			  "driver %s; this kernel does not say whether it has native XDP (Linux 6.3 does): "
			  "`attach' tries it",
			  driver);
	else if (!(n->xdp & PG_XDP_ACT_BASIC))
		one = add(f, n->name, severity, "native",
			  "driver %s has no native XDP, as it is set up now: `attach' takes mode tc", driver);
	else if (n->veth)
		add(f, n->name, PG_SEVERITY_OK, "native",
		    "driver veth has native XDP, but `attach' takes mode tc: native XDP would split what "
		    "the peer sends as GSO packets");
	else
		add(f, n->name, PG_SEVERITY_OK, "native", "driver %s has native XDP%s", driver,
		    n->xdp & PG_XDP_ACT_RX_SG && d->bpf.frags ? ", also in several buffers" : "");
	if (one && !n->attached)
		mend(one, "portguard attach %s", n->name);
}

static void judge_mtu(const struct pg_doctor *d, const struct pg_doctor_nic *n,
		      struct pg_findings *f)
{
	if (!n->xdp_known || !(n->xdp & PG_XDP_ACT_BASIC) || n->mtu <= ONE_PAGE_MTU)
		return;
	if (d->bpf.frags && n->xdp & PG_XDP_ACT_RX_SG) {
		add(f, n->name, PG_SEVERITY_OK, "mtu",
		    "MTU %u needs packets in several buffers, which driver, kernel and portguard take",
		    n->mtu);
		return;
	}
	mend(add(f, n->name, PG_SEVERITY_WARNING, "mtu",
		 "MTU %u is too large for native XDP: %s takes no packets in several buffers; `attach' "
		 "falls back to mode tc",
		 n->mtu, d->bpf.frags ? "the driver" : "this kernel"),
	     "ip link set dev %s mtu %u", n->name, ONE_PAGE_MTU);
}

#define FIXED "; it cannot be switched off, and mode tc does not mind"

static void mend_offload(struct pg_finding *one, const struct pg_doctor_nic *n, const char *feature,
			 bool fixed)
{
	if (fixed)
		mend(one, "portguard attach %s --mode tc", n->name);
	else
		mend(one, "ethtool -K %s %s off", n->name, feature);
}

static void judge_offloads(const struct pg_doctor_nic *n, struct pg_findings *f)
{
	bool native = n->ethernet && !n->loopback && !n->veth &&
		      (!n->xdp_known || n->xdp & PG_XDP_ACT_BASIC);

	if (n->lro)
		mend(add(f, n->name, native ? PG_SEVERITY_WARNING : PG_SEVERITY_INFO, "lro",
			 "large receive offload is on: many drivers refuse native XDP with it, and what is "
			 "forwarded is not what arrived"),
		     "ethtool -K %s lro off", n->name);
	if (n->gro_hw && native)
		mend_offload(add(f, n->name, PG_SEVERITY_WARNING, "gro-hw",
				 "the NIC puts packets together (rx-gro-hw): many drivers refuse native XDP "
				 "with it, or it counts one packet for several%s",
				 n->gro_hw_fixed ? FIXED : ""),
			     n, "rx-gro-hw", n->gro_hw_fixed);
	if (n->vlan_strip && native)
		mend_offload(add(f, n->name, PG_SEVERITY_WARNING, "vlan-strip",
				 "the NIC takes VLAN tags off (rx-vlan-offload): native XDP does not see the "
				 "outer tag, so -m vlan and flows take all VLANs for one%s",
				 n->vlan_strip_fixed ? FIXED : ""),
			     n, "rxvlan", n->vlan_strip_fixed);
}

static void judge_queues(const struct pg_doctor *d, const struct pg_doctor_nic *n,
			 struct pg_findings *f)
{
	unsigned want = n->queues_max < d->cpus ? n->queues_max : d->cpus;

	/* A veth's are asked for native XDP only: else its packets are handled by the CPU that sends them. */
	if (!n->queues || n->loopback || d->cpus < 2 ||
	    (n->veth && (!n->attached || n->mode != PG_MODE_NATIVE)))
		return;
	if (n->queues < want) {
		mend(add(f, n->name, PG_SEVERITY_WARNING, "queues",
			 "%u of %u queues are in use, on a machine with %u CPUs: so many CPUs at most "
			 "share its packets",
			 n->queues, n->queues_max, d->cpus),
		     "ethtool -L %s %s %u", n->name, n->combined ? "combined" : "rx", want);
		return;
	}
	if (n->rss_queues && n->rss_queues < n->queues)
		mend(add(f, n->name, PG_SEVERITY_WARNING, "rss",
			 "packets are spread over %u of %u queues", n->rss_queues, n->queues),
		     "ethtool -X %s equal %u", n->name, n->queues);
	else if (n->queues == 1 && !n->veth)
		add(f, n->name, PG_SEVERITY_INFO, "queues",
		    "one queue: one CPU of %u runs the filter for all that arrives here" NO_COMMAND, d->cpus);
	else if (n->queues > 1)
		add(f, n->name, PG_SEVERITY_OK, "queues", "%u queues for %u CPUs", n->queues, d->cpus);
}

static void judge_veth(const struct pg_doctor_nic *n, struct pg_findings *f)
{
	if (!n->veth)
		return;
	if (!n->peer_here)
		add(f, n->name, PG_SEVERITY_OK, "veth",
		    "veth whose peer, number %u, is in another network namespace", n->peer_ifindex);
	else
		add(f, n->name, PG_SEVERITY_OK, "veth", "veth whose peer is %s%s", n->peer,
		    n->peer_gso ? ", which sends GSO packets" : "");
	if (!n->attached || n->mode != PG_MODE_NATIVE)
		return;
	if (n->peer_here && n->peer_gso)
		mend(add(f, n->name, PG_SEVERITY_WARNING, "veth-gso",
			 "attached in native mode, though the peer sends GSO packets, which are then copied "
			 "and split: slow"),
		     "portguard attach %s --mode tc", n->name);
	if (n->peer_here && !n->peer_xdp)
		mend(add(f, n->name, PG_SEVERITY_INFO, "veth-reject",
			 "in native mode REJECT's answers reach the peer only if it has GRO on or an XDP "
			 "program"),
		     "portguard attach %s --mode tc", n->name);
}

static const char *hook_name(enum pg_dp_hook hook)
{
	static const char *const names[] = {
		[PG_DP_HOOK_XDP_NATIVE] = "native XDP", [PG_DP_HOOK_XDP_SKB] = "generic XDP",
		[PG_DP_HOOK_XDP_HW] = "XDP in the NIC", [PG_DP_HOOK_TCX_IN] = "TCX ingress",
		[PG_DP_HOOK_TCX_OUT] = "TCX egress",
	};

	return names[hook];
}

static void judge_progs(const struct pg_doctor_nic *n, struct pg_findings *f)
{
	for (size_t i = 0; i < n->n_prog; i++) {
		const struct pg_dp_hooked *p = &n->prog[i];
		bool own = !strcmp(n->owner[i], "portguard"), xdp = p->hook <= PG_DP_HOOK_XDP_HW;
		struct pg_finding *one;

		if (own)
			continue;
		one = add(f, n->name, xdp ? PG_SEVERITY_PROBLEM : PG_SEVERITY_INFO, "other-program",
			  "another program is at %s: %s, id %u, held by %s%s", hook_name(p->hook),
			  p->name[0] ? p->name : "unnamed", p->id,
			  n->owner[i][0] ? n->owner[i] : p->link_id ? "a link of nobody's" : "the interface",
			  strcmp(p->name, "xdp_dispatcher") ? "" : " (libxdp's, which runs several)");
		if (xdp && !n->attached)
			mend(one, "portguard attach %s --mode tc", n->name);
		else
			mend(one, "bpftool prog show id %u", p->id);
	}
}

static void judge_nic(const struct pg_doctor *d, const struct pg_doctor_nic *n,
		      struct pg_findings *f)
{
	if (n->attached)
		add(f, n->name, PG_SEVERITY_OK, "attached", "portguard is attached, mode %s (%s)",
		    pg_mode_name(n->mode), n->mode_reason);
	if (!n->up)
		mend(add(f, n->name, PG_SEVERITY_WARNING, "down", "the interface is down"),
		     "ip link set dev %s up", n->name);
	judge_support(d, n, f);
	judge_mtu(d, n, f);
	judge_offloads(n, f);
	judge_queues(d, n, f);
	judge_veth(n, f);
	judge_progs(n, f);
}

/* Our own commands are for the instance that was looked at. */
static void name_instance(const char *dir, struct pg_finding *f)
{
	static const char own[] = "portguard ";
	char *at = strstr(f->mend, own), rest[sizeof(f->mend)];

	if (!at || !strcmp(dir, PG_STATE_DIR_DEFAULT))
		return;
	at += sizeof(own) - 1;
	snprintf(rest, sizeof(rest), "%s", at);
	/* As with interfaces' names: nothing that a shell might take for more. */
	if (dir[strspn(dir, plain)] ||
	    (size_t)snprintf(at, sizeof(f->mend) - (size_t)(at - f->mend), "--state %s %s", dir, rest) >=
		    sizeof(f->mend) - (size_t)(at - f->mend))
		f->mend[0] = '\0';
}

void pg_doctor_judge(const struct pg_doctor *doctor, struct pg_findings *ret)
{
	*ret = (struct pg_findings){ 0 };
	judge_program(doctor, ret);
	judge_kernel(doctor, ret);
	for (size_t i = 0; i < doctor->n_nics; i++)
		judge_nic(doctor, &doctor->nic[i], ret);
	judge_shadow(doctor, ret);
	judge_chains(doctor, ret);
	judge_published(doctor, ret);
	judge_conntrack(doctor, ret);
	for (size_t i = 0; i < ret->n; i++)
		name_instance(doctor->state_dir, &ret->one[i]);
}

void pg_view_findings(struct pg_text *t, const struct pg_findings *findings, unsigned width)
{
	static const struct pg_column columns[] = {
		{ "WHERE", false, false }, { "SEVERITY", false, false }, { "FINDING", false, true },
	};
	_cleanup_(pg_table_freep) struct pg_table *table = pg_table_new(columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < findings->n; i++) {
		const struct pg_finding *f = &findings->one[i];
		char line[sizeof(f->mend) + 8];

		pg_table_cell(table, "%s", f->subject[0] ? f->subject : "host");
		pg_table_cell(table, "%s", pg_severity_name(f->severity));
		pg_table_cell(table, "%s", f->text);
		snprintf(line, sizeof(line), f->mend[0] ? "# %s" : "%s", f->mend);
		pg_table_note(table, line);
	}
	pg_table_print(t, table, width);
	t->oom |= findings->oom;
}
