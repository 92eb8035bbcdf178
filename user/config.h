/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The configuration file, portguard.conf(5). What it says holds where the command line says nothing.
 * Settings of an instance take effect when its first interface is attached.
 */
#pragma once

#include <net/if.h>

#include "pg_abi.h"
#include "pg_names.h"
#include "util.h"

#define PG_SERVE_PORTS_MAX (2 * PG_PORTS) /* TCP's and UDP's */
#define PG_SERVE_RULES_MAX 1000000

#define PG_CONFIG_FILE "/etc/portguard/portguard.conf"

/* How an interface is attached. */
struct pg_config_attach {
	char name[IFNAMSIZ]; /* "": those that have no section */
	enum pg_mode mode;   /* NONE: choose */
	bool egress, multiprog;
};

/* What `serve` does where its options say nothing else; NULL, 0: not said. */
struct pg_config_serve {
	char *listen, *token, *tls_cert, *tls_key, *user;
	char **host;
	size_t n_hosts;
	uint32_t max_ports, max_rules;
};

struct pg_config {
	char *state_dir, *policy; /* NULL: not said */
	struct pg_config_attach attach;
	struct pg_config_attach *iface; /* sections, by name */
	size_t n_ifaces;
	uint32_t flows;		/* places, a power of two; 0: not said */
	uint32_t flow_options;	/* PG_FLOW_OPT_* */
	enum pg_fragments fragments;
	uint32_t timeout_s[_PG_TIMEOUT_MAX]; /* 0: not said */
	struct pg_config_serve serve;
};

/*
 * Reads `path`; NULL: the file that PORTGUARD_CONFIG names (none if that is empty), otherwise
 * PG_CONFIG_FILE, which need not be there. 0 or a negative errno with err filled, and nothing owned.
 */
int pg_config_read(const char *path, struct pg_config *ret, struct pg_err *err);
/*
 * What can be read of a file that pg_config_read() refuses: the state directory, to be freed; NULL:
 * it names none, or not before it goes wrong.
 */
char *pg_config_salvage(const char *path);
void pg_config_free(struct pg_config *config);
const struct pg_config_attach *pg_config_iface(const struct pg_config *config, const char *name);

/* "auto" (NONE), "native", "skb", "tc". 0 or -EINVAL. */
int pg_mode_from_str(const char *text, enum pg_mode *ret);
/* Places for `n` flows, of which there is a power of two: 1 to PG_FLOWS_MAX. */
uint32_t pg_flows_round(uint32_t n);
