/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What stands in portguard's way on this machine. doctor_*.c gather facts; pg_doctor_judge() makes
 * findings of them, and is pure.
 */
#pragma once

#include <net/if.h>

#include "dp.h"
#include "foreign.h"

/* The kernel's enum netdev_xdp_act, as far as it matters here. */
#define PG_XDP_ACT_BASIC 1U
#define PG_XDP_ACT_RX_SG 32U

/* What is known of one interface. */
struct pg_doctor_nic {
	char name[IFNAMSIZ];
	unsigned ifindex, mtu;
	char driver[32], kind[32]; /* "": not known, or none */
	bool ethernet, loopback, up;
	bool xdp_known; /* the kernel says what the driver can (netdev family, Linux 6.3) */
	uint64_t xdp;	/* PG_XDP_ACT_* */
	bool lro, gro_hw, vlan_strip; /* of arrivals, that are on */
	bool gro_hw_fixed, vlan_strip_fixed; /* and cannot be switched off */
	unsigned queues, queues_max;  /* for receiving; 0: not known */
	bool combined;		      /* they send, too */
	unsigned rss_queues;	      /* that the indirection table names; 0: it has none */
	bool veth;
	unsigned peer_ifindex;	/* of veth; 0: not known */
	bool peer_here, peer_gso, peer_xdp, gro;
	char peer[IFNAMSIZ];	/* "": in another namespace */
	struct pg_dp_hooked prog[PG_DP_HOOKED_MAX];
	size_t n_prog;
	char owner[PG_DP_HOOKED_MAX][96]; /* of prog: who holds it; "": not found */
	bool attached;			  /* portguard */
	enum pg_mode mode;
	char mode_reason[104];
};

struct pg_doctor {
	char kernel[65], state_dir[256];
	unsigned cpus;
	bool root, bpffs, btf;
	struct pg_dp_kernel bpf;
	bool loads; /* the program, here */
	char load_error[512];
	uint64_t flows_tracked, flows_max; /* nf_conntrack; max 0: it is not there */
	uint64_t flows_refused;		   /* since boot */
	enum pg_shadow_state shadow;
	int64_t shadow_since; /* seconds since 1970 */
	struct pg_foreign foreign;
	struct pg_doctor_nic *nic; /* owned */
	size_t n_nics;
};

enum pg_severity { PG_SEVERITY_OK, PG_SEVERITY_INFO, PG_SEVERITY_WARNING, PG_SEVERITY_PROBLEM };
const char *pg_severity_name(enum pg_severity severity);

struct pg_finding {
	enum pg_severity severity;
	char subject[IFNAMSIZ]; /* an interface; "": the host */
	const char *code;
	char text[400];
	char mend[480]; /* the command; "": none is needed, or the text says that there is none */
};
struct pg_findings {
	struct pg_finding *one; /* owned */
	size_t n;
	bool oom;
};

/*
 * Gather facts of the host and of these interfaces; none given: all that are up, but lo. 0 or negative
 * with err filled; the caller clears in any case. dp NULL: no instance.
 */
int pg_doctor_gather(struct pg_dp *dp, const char *state_dir, char **name, size_t n,
		     struct pg_doctor *ret, struct pg_err *err);
/* For doctor.c: what ethtool, netlink and sysfs say of one. -ENODEV */
int pg_doctor_nic_read(const char *name, struct pg_doctor_nic *ret, struct pg_err *err);
/* Who holds the BPF programs: fills `owner`. */
void pg_doctor_owners(struct pg_doctor_nic *nic);
void pg_doctor_clear(struct pg_doctor *doctor);

void pg_doctor_judge(const struct pg_doctor *doctor, struct pg_findings *ret);
void pg_findings_clear(struct pg_findings *findings);
/* Findings, and the facts that they come from. 0 or negative, err filled. */
int pg_json_doctor(FILE *f, const struct pg_doctor *doctor, const struct pg_findings *findings,
		   struct pg_err *err);
void pg_view_findings(struct pg_text *t, const struct pg_findings *findings, unsigned width);
