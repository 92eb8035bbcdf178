// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A command line in iptables' words, one word a line, applied to a small policy and listed. */
#include "fuzz.h"

#include "iptables.h"
#include "list.h"
#include "rulefile.h"

enum { WORDS_MAX = 64 };

static const char policy[] = "*filter\n:INPUT DROP [1:2]\n:FORWARD ACCEPT [0:0]\n"
			     ":OUTPUT ACCEPT [0:0]\n:web - [0:0]\n"
			     "-A INPUT -i lo -j ACCEPT\n"
			     "-A INPUT -p tcp -m tcp --dport 80 -j web\n"
			     "-A web -s 192.0.2.0/24 -j DROP\n-A web -j RETURN\nCOMMIT\n";

static struct pg_ruleset *read_policy(const char *text, size_t n)
{
	const struct pg_rulefile_opts o = { .counters = true, .unenforced = true };
	struct pg_notes notes = { 0 };
	struct pg_ruleset *set = NULL;

	pg_rulefile_parse(text, n, &o, &set, &notes, NULL);
	pg_notes_free(&notes);
	MUST(set);
	return set;
}

/* A policy that a command has made is one that can be saved and restored. */
static void check_policy(const struct pg_ruleset *set)
{
	struct pg_text t = { 0 };

	pg_rulefile_write(&t, set, 0, PG_RULEFILE_COUNTERS);
	pg_ruleset_free(read_policy(t.buf, t.len));
	pg_text_free(&t);
}

static void list(const struct pg_command *cmd, const struct pg_ruleset *set)
{
	const struct pg_list_opts o = {
		.table = cmd->table,
		.family = cmd->families,
		.numeric = true,
		.verbose = cmd->verbose,
		.exact = cmd->exact,
		.line_numbers = true,
	};
	struct pg_text t = { 0 };

	pg_list_print(&t, set, &o);
	pg_list_rules_print(&t, set, &o);
	must_be_printable(t.buf, t.len);
	pg_text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct pg_parse_from from = { .file = false };
	struct pg_ruleset *set = read_policy(policy, sizeof(policy) - 1);
	char *text = malloc(n + 1), *next = text, *word;
	struct pg_arg arg[WORDS_MAX];
	struct pg_command cmd = { 0 };
	struct pg_diag diag = { 0 };
	size_t words = 0;
	int r;

	memcpy(text, data, n);
	text[n] = '\0';
	while (words < WORDS_MAX && (word = strsep(&next, "\n")))
		arg[words++] = (struct pg_arg){ .text = word };
	r = pg_command_parse(arg, words, &from, &cmd, &diag);
	if (!r) {
		r = pg_command_apply(&cmd, set, &diag);
		if (!r) {
			check_policy(set);
			list(&cmd, set);
		}
	}
	MUST(r <= 0);
	if (r < 0) {
		MUST(diag.text[0]);
		must_be_printable(diag.text, strlen(diag.text));
	}
	pg_command_free(&cmd);
	pg_ruleset_free(set);
	free(text);
	return 0;
}
