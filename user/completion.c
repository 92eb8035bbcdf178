/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <string.h>

#include "completion.h"
#include "opt.h"
#include "pg_names.h"
#include "target.h"
#include "usage.h"

#define CHAINS "INPUT FORWARD OUTPUT PREROUTING"
#define PROTOCOLS "all tcp udp udplite icmp ipv6-icmp esp ah sctp dccp gre"

/* What a value or a word of a command can be, by how its usage names it. */
enum kind { KIND_OTHER, KIND_FILE, KIND_IFACE, KIND_CHOICES };

static enum kind kind_of(const char *text)
{
	if (!strncmp(text, "FILE", 4) || !strncmp(text, "CAPTURE", 7))
		return KIND_FILE;
	if (!strncmp(text, "IFACE", 5))
		return KIND_IFACE;
	return islower((unsigned char)text[0]) || !strncmp(text, "NEW|", 4) ? KIND_CHOICES : KIND_OTHER;
}

#define X_REASON(sym, name, ...) name "|"

/* What usage says in prose, or nowhere; `option` NULL: a word. Otherwise what it calls the value. */
static const char *values_of(const char *option, const char *value)
{
	if (!option)
		return strcmp(value, "VIEW") ? value : "ports|flows|states|rules|drops|overview";
	if (!strcmp(option, "--ctstate"))
		return "NEW|ESTABLISHED|RELATED|INVALID|UNTRACKED";
	return strcmp(option, "--reason") ? value : PG_REASONS(X_REASON);
}

/* "auto|native" → "auto native" */
static void add_choices(struct pg_text *t, const char *text)
{
	for (; *text && *text != ' '; text++)
		pg_text_addn(t, *text == '|' ? " " : text, 1);
}

static void add_values(struct pg_text *t, const char *pattern, const char *value)
{
	switch (kind_of(value)) {
	case KIND_FILE:
		pg_text_add(t, "\t%s) _portguard_files; return ;;\n", pattern);
		break;
	case KIND_IFACE:
		pg_text_add(t, "\t%s) _portguard_words \"$(_portguard_ifaces)\"; return ;;\n",
			    pattern);
		break;
	case KIND_CHOICES:
		pg_text_add(t, "\t%s) _portguard_words '", pattern);
		add_choices(t, value);
		pg_text_add(t, "'; return ;;\n");
		break;
	case KIND_OTHER:
		pg_text_add(t, "\t%s) return ;;\n", pattern);
		break;
	}
}

/* Rules ---------------------------------------------------------------------------------------- */

/* `of m:tcp` prints the options of -m tcp, `of j:LOG` those of -j LOG; for bash and zsh. */
static void add_rule_tables(struct pg_text *t)
{
	pg_text_add(t, "_portguard_of()\n{\n\tcase $1 in\n");
	for (size_t i = 0; i < _PG_MATCH_MAX; i++) {
		pg_text_add(t, "\tm:%s) echo '", pg_match_rows[i].name);
		for (const struct pg_match_option *o = pg_match_rows[i].option; o && o->name; o++)
			if (!o->unsupported)
				pg_text_add(t, "--%s ", o->name);
		pg_text_add(t, "' ;;\n");
	}
	for (size_t i = 0; i < _PG_TARGET_MAX; i++) {
		const struct pg_match_option *o = pg_target_rows[i].option;

		if (!o)
			continue;
		pg_text_add(t, "\tj:%s) echo '", pg_target_rows[i].name);
		for (; o->name; o++)
			if (!o->unsupported)
				pg_text_add(t, "--%s ", o->name);
		pg_text_add(t, "' ;;\n");
	}
	pg_text_add(t, "\tesac\n}\n\n");
}

static void add_matches(struct pg_text *t)
{
	for (size_t i = 0; i < _PG_MATCH_MAX; i++)
		pg_text_add(t, "%s%s", i ? " " : "", pg_match_rows[i].name);
}

static void add_targets(struct pg_text *t)
{
	const char *blank = "";

	for (size_t i = 0; i < _PG_TARGET_MAX; i++) {
		if (pg_target_rows[i].name) {
			pg_text_add(t, "%s%s", blank, pg_target_rows[i].name);
			blank = " ";
		}
	}
	pg_text_add(t, " NOTRACK");
}

static void add_globals(struct pg_text *t)
{
	for (const struct pg_opt_global *g = pg_opt_globals; g->name; g++) {
		if (g->letter != '0' && (g == pg_opt_globals || g[-1].letter != g->letter))
			pg_text_add(t, "-%c ", g->letter);
		pg_text_add(t, "--%s ", g->name);
	}
}

/* The value of an option that iptables has; NULL: nothing that could be offered. */
static const char *global_values(char letter)
{
	if (letter && strchr("ACDEFILNPRSXZ", letter))
		return CHAINS;
	return letter == 't' ? "filter raw" : letter == 'p' ? PROTOCOLS : NULL;
}

static void add_rule_values(struct pg_text *t)
{
	for (const struct pg_opt_global *g = pg_opt_globals; g->name; g++) {
		const char *values = global_values(g->letter);

		if (g->value == PG_OPT_NONE || g->letter == '0' ||
		    strchr("mj", g->letter))
			continue;
		/* Names of one option share its letter, and stand next to each other. */
		if (g == pg_opt_globals || g[-1].letter != g->letter)
			pg_text_add(t, "\t-%c | ", g->letter);
		else
			pg_text_add(t, "\t");
		pg_text_add(t, "--%s) ", g->name);
		if (values)
			pg_text_add(t, "_portguard_words '%s'; return ;;\n", values);
		else if (g->letter == 'i' || g->letter == 'o')
			pg_text_add(t, "_portguard_words \"$(_portguard_ifaces)\"; return ;;\n");
		else
			pg_text_add(t, "%s;;\n", g->value == PG_OPT_VALUE ? "return " : "");
	}
}

/* The whole of a rule's command line; `words` and `at` are the shell's names for it. */
static void add_rule(struct pg_text *t, const char *words, const char *at)
{
	pg_text_add(t, "_portguard_rule()\n{\n"
		       "\tlocal i options='");
	add_globals(t);
	pg_text_add(t, "'\n\n\tcase $prev in\n"
		       "\t-m | --match) _portguard_words '");
	add_matches(t);
	pg_text_add(t, "'; return ;;\n\t-j | --jump) _portguard_words '");
	add_targets(t);
	pg_text_add(t, "'; return ;;\n");
	add_rule_values(t);
	pg_text_add(t,
		    "\tesac\n"
		    "\tfor ((i = 1; i < %s; i++)); do\n"
		    "\t\tcase ${%s[i]} in\n"
		    "\t\t-m | --match | -p | --protocol) options+=\" $(_portguard_of \"m:${%s[i + 1]}\")\" ;;\n"
		    "\t\t-j | --jump) options+=\" $(_portguard_of \"j:${%s[i + 1]}\")\" ;;\n"
		    "\t\tesac\n"
		    "\tdone\n"
		    "\t_portguard_words \"$options\"\n"
		    "}\n\n",
		    at, words, words, words);
}

/* bash and zsh --------------------------------------------------------------------------------- */

/* Of one command: what may follow its options, and what may stand at any place. */
static void add_command(struct pg_text *t, const struct pg_cmd *cmd)
{
	struct pg_usage u;
	bool file = false, iface = false;

	if (pg_usage_read(cmd, &u) < 0) {
		t->oom = true;
		return;
	}
	pg_text_add(t, "_portguard_%s()\n{\n\tcase $prev in\n", cmd->name);
	for (size_t i = 0; i < u.n_options; i++)
		if (u.option[i].value && !u.option[i].optional)
			add_values(t, u.option[i].name, values_of(u.option[i].name, u.option[i].value));
	pg_text_add(t, "\tesac\n\t_portguard_words '--help");
	for (size_t i = 0; i < u.n_options; i++)
		pg_text_add(t, " %s", u.option[i].name);
	for (size_t i = 0; i < u.n_words; i++) {
		const char *word = values_of(NULL, u.word[i]);
		enum kind kind = kind_of(word);

		file |= kind == KIND_FILE;
		iface |= kind == KIND_IFACE;
		if (kind == KIND_CHOICES)
			pg_text_add(t, " "), add_choices(t, word);
	}
	pg_text_add(t, "'%s\n%s}\n\n", iface ? "\" $(_portguard_ifaces)\"" : "",
		    file ? "\t[[ $cur == -* ]] || _portguard_files\n" : "");
	pg_usage_free(&u);
}

static void add_commands(struct pg_text *t, const struct pg_cmd *const *commands)
{
	for (; *commands; commands++)
		add_command(t, *commands);
}

static void add_names(struct pg_text *t, const struct pg_cmd *const *commands)
{
	pg_text_add(t, "help");
	for (; *commands; commands++)
		pg_text_add(t, " %s", (*commands)->name);
	for (const struct pg_opt_global *g = pg_opt_globals; g->name; g++)
		if (isupper((unsigned char)g->letter) && !strchr("MWV", g->letter))
			pg_text_add(t, " -%c", g->letter);
}

/* Finds the command behind the options of all commands, and asks its function. */
static void add_entry(struct pg_text *t, const struct pg_cmd *const *commands, const char *words,
		      const char *first)
{
	pg_text_add(t,
		    "\tfor ((i = %s; i < at; i++)); do\n"
		    "\t\tcase ${%s[i]} in\n"
		    "\t\t--state) ((i++)) ;;\n"
		    "\t\t--json | --verbose | --state=*) ;;\n"
		    "\t\t*) cmd=${%s[i]}; break ;;\n"
		    "\t\tesac\n"
		    "\tdone\n"
		    "\tcase $cmd in\n"
		    "\t'')\n"
		    "\t\tif [[ $prev == --state ]]; then _portguard_files\n"
		    "\t\telse _portguard_words '--state --json --verbose --help ",
		    first, words, words);
	add_names(t, commands);
	pg_text_add(t, "'; fi ;;\n\t-* | !) _portguard_rule ;;\n\thelp) _portguard_words '");
	for (const struct pg_cmd *const *c = commands; *c; c++)
		pg_text_add(t, "%s%s", c == commands ? "" : " ", (*c)->name);
	pg_text_add(t, "' ;;\n\t*) declare -f \"_portguard_$cmd\" >/dev/null && \"_portguard_$cmd\" ;;\n"
		       "\tesac\n}\n\n");
}

static void add_header(struct pg_text *t, const char *first)
{
	pg_text_add(t, "%s# Made by `portguard completion` from its own tables.\n\n"
		       "_portguard_ifaces()\n{\n\t(cd /sys/class/net && echo *)\n}\n\n", first);
}

void pg_completion_bash(struct pg_text *t, const struct pg_cmd *const *commands)
{
	add_header(t, "# shellcheck shell=bash disable=SC2034,SC2207\n");
	pg_text_add(t, "_portguard_words()\n{\n"
		       "\tCOMPREPLY+=($(compgen -W \"$1\" -- \"$cur\"))\n}\n\n"
		       "_portguard_files()\n{\n\tcompopt -o filenames\n"
		       "\tCOMPREPLY+=($(compgen -f -- \"$cur\"))\n}\n\n");
	add_rule_tables(t);
	add_rule(t, "COMP_WORDS", "COMP_CWORD - 1");
	add_commands(t, commands);
	pg_text_add(t, "_portguard()\n{\n"
		       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
		       "\tlocal i at=$COMP_CWORD cmd=''\n\n\tCOMPREPLY=()\n");
	add_entry(t, commands, "COMP_WORDS", "1");
	pg_text_add(t, "complete -F _portguard portguard\n");
}

void pg_completion_zsh(struct pg_text *t, const struct pg_cmd *const *commands)
{
	add_header(t, "#compdef portguard\n");
	pg_text_add(t, "_portguard_words()\n{\n\tcompadd -- ${=1}\n}\n\n"
		       "_portguard_files()\n{\n\t_files\n}\n\n");
	add_rule_tables(t);
	add_rule(t, "words", "CURRENT - 1");
	add_commands(t, commands);
	pg_text_add(t, "_portguard()\n{\n"
		       "\tlocal cur=${words[CURRENT]} prev=${words[CURRENT - 1]}\n"
		       "\tlocal i at=$CURRENT cmd=''\n\n");
	add_entry(t, commands, "words", "2");
	pg_text_add(t, "_portguard \"$@\"\n");
}

/* fish ----------------------------------------------------------------------------------------- */

static void fish_argument(struct pg_text *t, const char *value)
{
	switch (kind_of(value)) {
	case KIND_FILE:
		pg_text_add(t, " -r -F");
		break;
	case KIND_IFACE:
		pg_text_add(t, " -x -a '(command ls /sys/class/net)'");
		break;
	case KIND_CHOICES:
		pg_text_add(t, " -x -a '");
		add_choices(t, value);
		pg_text_add(t, "'");
		break;
	case KIND_OTHER:
		pg_text_add(t, " -x");
		break;
	}
}

static void fish_help(struct pg_text *t, const char *help)
{
	if (!help)
		return;
	pg_text_add(t, " -d '");
	for (; *help; help++)
		pg_text_add(t, "%s%c", strchr("'\\", *help) ? "\\" : "", *help);
	pg_text_add(t, "'");
}

/* fish tells -x, --long and -old apart. */
static void fish_name(struct pg_text *t, const char *name)
{
	if (name[1] == '-')
		pg_text_add(t, " -l %s", name + 2);
	else
		pg_text_add(t, " -%c '%s'", name[2] ? 'o' : 's', name + 1);
}

static void fish_command(struct pg_text *t, const struct pg_cmd *cmd)
{
	struct pg_usage u;

	if (pg_usage_read(cmd, &u) < 0) {
		t->oom = true;
		return;
	}
	pg_text_add(t, "complete -c portguard -n __fish_use_subcommand -a %s", cmd->name);
	fish_help(t, cmd->help);
	pg_text_add(t, "\n");
	for (size_t i = 0; i < u.n_options; i++) {
		pg_text_add(t, "complete -c portguard -n '__fish_seen_subcommand_from %s'",
			    cmd->name);
		fish_name(t, u.option[i].name);
		if (u.option[i].value && !u.option[i].optional)
			fish_argument(t, values_of(u.option[i].name, u.option[i].value));
		fish_help(t, u.option[i].help);
		pg_text_add(t, "\n");
	}
	for (size_t i = 0; i < u.n_words; i++) {
		const char *word = values_of(NULL, u.word[i]);

		if (kind_of(word) == KIND_OTHER)
			continue;
		pg_text_add(t, "complete -c portguard -n '__fish_seen_subcommand_from %s'",
			    cmd->name);
		fish_argument(t, word);
		pg_text_add(t, "\n");
	}
	pg_usage_free(&u);
}

static void fish_rule_option(struct pg_text *t, const struct pg_match_option *o, const char *of,
			     const char *name)
{
	for (; o && o->name; o++)
		if (!o->unsupported)
			pg_text_add(t, "complete -c portguard -n __portguard_rule -l %s%s -d '%s %s'\n",
				    o->name, o->has_value ? " -x" : "", of, name);
}

static void fish_global(struct pg_text *t, const struct pg_opt_global *g)
{
	const char *values = global_values(g->letter);

	pg_text_add(t, "complete -c portguard -n __portguard_rule -l %s", g->name);
	if (g->letter != '0')
		pg_text_add(t, " -s %c", g->letter);
	if (values)
		pg_text_add(t, " -x -a '%s'", values);
	else if (g->letter == 'm')
		pg_text_add(t, " -x -a '"), add_matches(t), pg_text_add(t, "'");
	else if (g->letter == 'j')
		pg_text_add(t, " -x -a '"), add_targets(t), pg_text_add(t, "'");
	else if (g->letter == 'i' || g->letter == 'o')
		pg_text_add(t, " -x -a '(command ls /sys/class/net)'");
	else if (g->value == PG_OPT_VALUE)
		pg_text_add(t, " -x");
	pg_text_add(t, "\n");
}

void pg_completion_fish(struct pg_text *t, const struct pg_cmd *const *commands)
{
	pg_text_add(t, "# Made by `portguard completion` from its own tables.\n\n"
		       "function __portguard_rule\n"
		       "\tstring match -qr '^-[A-Z]' -- (commandline -opc)[2..-1]\n"
		       "end\n\n"
		       "complete -c portguard -f\n"
		       "complete -c portguard -l state -r -F -d 'the directory of the instance'\n"
		       "complete -c portguard -l json -d 'one JSON document instead of tables'\n"
		       "complete -c portguard -l help -d 'of portguard, or of a command'\n"
		       "complete -c portguard -n '__fish_use_subcommand' -a '-A -I -D -R -C -L -S -F -P -Z -N -X -E'\n");
	for (const struct pg_cmd *const *c = commands; *c; c++)
		fish_command(t, *c);
	for (const struct pg_opt_global *g = pg_opt_globals; g->name; g++)
		fish_global(t, g);
	for (size_t i = 0; i < _PG_MATCH_MAX; i++)
		fish_rule_option(t, pg_match_rows[i].option, "-m", pg_match_rows[i].name);
	for (size_t i = 0; i < _PG_TARGET_MAX; i++)
		fish_rule_option(t, pg_target_rows[i].option, "-j", pg_target_rows[i].name);
}
