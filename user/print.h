/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* AST → canonical text, as iptables-save prints it; the inverse of parse.h. */
#pragma once

#include "ast.h"

/*
 * Append a rule's specification, "-s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j DROP": what stands
 * after "-A CHAIN ". `family` PG_V4 or PG_V6: without the -4 or -6 that its reader implies;
 * 0: with it where nothing else in the rule says it.
 */
void pg_rule_print(struct pg_text *t, const struct pg_rule *rule, unsigned family);
/* The same, with its counters ("-c 5 300") before the target if asked. */
void pg_rule_print_parts(struct pg_text *t, const struct pg_rule *rule, unsigned family,
			 bool counters);

/* "ACCEPT", "DROP"; "-" for none. */
const char *pg_target_name(enum pg_target target);
/* What -j or -g of a rule names, as -L shows it: a target or a chain; "" for none. */
const char *pg_rule_target_name(const struct pg_rule *rule);
/* "filter", "raw" */
const char *pg_table_name(enum pg_table_id table);
/* The name iptables-save prints for a protocol; NULL: it prints the number. */
const char *pg_proto_name(uint8_t proto);
/* "10.0.0.0/8", "192.168.1.1/32", "10.0.0.1/255.0.255.0" */
void pg_addr_print(struct pg_text *t, const struct pg_addr *addr);
/* Quoted as iptables-save quotes, only where it must be. */
void pg_quoted_print(struct pg_text *t, const char *text);
