// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static bool measured(const struct bench_row *row)
{
	return !row->why_not[0];
}

/* On the same rules and the same kind of packets. */
static bool same_test(const struct bench_row *a, const struct bench_row *b)
{
	return a->group == b->group && a->rules == b->rules && a->flows == b->flows && a->ipv6 == b->ipv6 &&
	       !strcmp(a->set, b->set) && !strcmp(a->packets, b->packets);
}

static const struct bench_row *cheapest_peer(const struct bench_table *t,
					     const struct bench_row *row)
{
	const struct bench_row *best = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct bench_row *p = &t->row[i];

		if (p->what == BENCH_IS_PEER && measured(p) && same_test(p, row) &&
		    (!best || p->over < best->over))
			best = p;
	}
	return best;
}

/* To the cheapest peer on the same test; negative: there is none, or it costs nothing. */
static double ratio(const struct bench_table *t, const struct bench_row *row)
{
	const struct bench_row *peer = cheapest_peer(t, row);

	return peer && peer->over > 0 ? row->over / peer->over : -1;
}

/* Lists ---------------------------------------------------------------------------------------- */

/* Every row of a group, one a line. */
static void print_list(const struct bench_table *t, enum bench_group group, const char *title)
{
	bool any = false;

	for (size_t i = 0; i < t->n; i++) {
		const struct bench_row *row = &t->row[i];
		char set[64] = "";

		if (row->group != group || !measured(row))
			continue;
		if (!any)
			printf("\n%-58s %9s %9s %8s\n", title, "total", "over base", "ratio");
		any = true;
		if (group == BENCH_FLOWS)
			snprintf(set, sizeof(set), "%9u: ", row->flows);
		if (group == BENCH_CLASSBENCH)
			snprintf(set, sizeof(set), "%s, %u rules, %s: ", row->set, row->rules,
				 row->packets);
		printf("%-26s%-32s %9.0f", set, row->tool, row->median);
		if (row->what != BENCH_IS_BASE)
			printf(" %9.0f", row->over);
		if (row->what == BENCH_IS_OURS && ratio(t, row) >= 0)
			printf(" %8.3f", ratio(t, row));
		printf("\n");
	}
}

static void print_flows(const struct bench_report *r)
{
	const struct bench_listing *l = r->listing;

	print_list(r->table, BENCH_FLOWS, "Tracking, by how many flows the packets are of");
	if (l->flows)
		printf("flows --json of %u flows, to /dev/null: %.0f ms\n", l->flows, l->ms);
}

/* Cost over the number of rules ---------------------------------------------------------------- */

#define SIZES_MAX 6
static const unsigned sizes[SIZES_MAX] = { 1, 10, 100, 1000, 10000, 100000 };

static bool in_matrix(const struct bench_row *row)
{
	return row->group == BENCH_REPEAT || row->group == BENCH_SPREAD;
}

static bool same_line(const struct bench_row *a, const struct bench_row *b)
{
	return a->group == b->group && a->ipv6 == b->ipv6 && !strcmp(a->tool, b->tool);
}

/* The first row of each line stands for it. */
static bool leads(const struct bench_table *t, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_line(&t->row[k], &t->row[i]))
			return false;
	return in_matrix(&t->row[i]);
}

/* The row of that line with so many rules; NULL: none. */
static const struct bench_row *cell(const struct bench_table *t, const struct bench_row *line,
				    unsigned rules)
{
	for (size_t i = 0; i < t->n; i++)
		if (same_line(&t->row[i], line) && t->row[i].rules == rules)
			return &t->row[i];
	return NULL;
}

static void print_line(const struct bench_table *t, const struct bench_row *line)
{
	printf("  %-36s", line->tool);
	for (int i = 0; i < SIZES_MAX; i++) {
		const struct bench_row *row = cell(t, line, sizes[i]);

		if (!row || !measured(row))
			printf(" %9s", "-");
		else
			printf(" %9.0f", row->what == BENCH_IS_BASE ? row->median : row->over);
	}
	printf("\n");
}

static void print_ratio(const struct bench_table *t, const struct bench_row *line)
{
	printf("  %-36s", "  ratio to the cheapest peer");
	for (int i = 0; i < SIZES_MAX; i++) {
		const struct bench_row *row = cell(t, line, sizes[i]);

		if (row && measured(row) && ratio(t, row) >= 0)
			printf(" %9.3f", ratio(t, row));
		else
			printf(" %9s", "-");
	}
	printf("\n");
}

static void print_lines(const struct bench_table *t, enum bench_group group, bool ipv6, int what)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct bench_row *row = &t->row[i];

		if (row->group != group || row->ipv6 != ipv6 || (int)row->what != what ||
		    !leads(t, i))
			continue;
		print_line(t, row);
		if (what == BENCH_IS_OURS && !ipv6)
			print_ratio(t, row);
	}
}

static void print_matrix(const struct bench_table *t, enum bench_group group, bool ipv6)
{
	bool any = false;

	for (size_t i = 0; i < t->n; i++)
		any |= t->row[i].group == group && t->row[i].ipv6 == ipv6;
	if (!any)
		return;
	printf("\nrules -p tcp -s <random /%s> --dport <random>, %s\n", ipv6 ? "48..128" : "24..32",
	       group == BENCH_REPEAT ? "one packet that meets the last of them" :
				       "packets spread over all of them");
	printf("  %-36s", "rules:");
	for (int i = 0; i < SIZES_MAX; i++)
		printf(" %9u", sizes[i]);
	printf("\n");
	print_lines(t, group, ipv6, BENCH_IS_OURS);
	print_lines(t, group, ipv6, BENCH_IS_PEER);
	printf(" not compared, because they do not look at all of it:\n");
	print_lines(t, group, ipv6, BENCH_IS_LESSER);
	printf(" in all, to be subtracted (and was):\n");
	print_lines(t, group, ipv6, BENCH_IS_BASE);
}

/* What was not measured, each reason once. */
static void print_reasons(const struct bench_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct bench_row *row = &t->row[i];
		bool said = false;

		if (measured(row))
			continue;
		for (size_t k = 0; k < i; k++)
			said |= !strcmp(t->row[k].tool, row->tool) &&
				!strcmp(t->row[k].why_not, row->why_not) &&
				t->row[k].rules == row->rules && t->row[k].ipv6 == row->ipv6 &&
				t->row[k].flows == row->flows &&
				!strcmp(t->row[k].set, row->set);
		if (!said)
			printf("not measured: %s, %s, %u rules, %s: %s\n", row->tool, row->set,
			       row->rules, row->ipv6 ? "IPv6" : "IPv4", row->why_not);
	}
}

static void print_commits(const struct bench_report *r)
{
	if (!(r->opts->groups & BENCH_COMMIT))
		return;
	printf("\n%-24s %9s %9s %9s %12s %12s\n", "a policy in another's place", "parse ms",
	       "compile", "commit", "compiler MB", "tables MB");
	for (int i = 0; i < BENCH_COMMITS; i++) {
		const struct bench_commit *c = &r->commit[i];

		if (c->why_not[0])
			printf("  %6u rules: not measured: %s\n", c->rules, c->why_not);
		else
			printf("  %6u rules              %9.0f %9.0f %9.0f %12.1f %12.1f\n",
			       c->rules, c->parse_ms, c->compile_ms, c->commit_ms, c->peak_mb,
			       c->tables_mb);
	}
}

void bench_report_print(const struct bench_report *r)
{
	const struct bench_table *t = r->table;

	printf("ns a packet: median of %u interleaved rounds of up to %u packets, over the empty "
	       "program or, where\nframes go up the stack, over the same way without rules\n",
	       r->opts->rounds, r->opts->repeat);
	print_list(t, BENCH_HOOKS, "");
	print_flows(r);
	for (int v6 = 0; v6 < 2; v6++) {
		print_matrix(t, BENCH_REPEAT, v6);
		print_matrix(t, BENCH_SPREAD, v6);
	}
	print_list(t, BENCH_CLASSBENCH, "ClassBench, packets spread over all rules");
	print_commits(r);
	printf("\n");
	print_reasons(t);
}

/* JSON ----------------------------------------------------------------------------------------- */

static void add_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_number(json_object *o, const char *key, double v)
{
	json_object_object_add(o, key, json_object_new_double(v));
}

static json_object *row_json(const struct bench_table *t, const struct bench_row *row)
{
	static const char *const what[] = { "base", "portguard", "peer", "lesser" };
	json_object *o = json_object_new_object();

	add_text(o, "set", row->set);
	add_text(o, "tool", row->tool);
	add_text(o, "kind", what[row->what]);
	add_text(o, "packets", row->packets);
	json_object_object_add(o, "rules", json_object_new_int64(row->rules));
	if (row->group == BENCH_FLOWS)
		json_object_object_add(o, "flows", json_object_new_int64(row->flows));
	add_text(o, "family", row->ipv6 ? "ipv6" : "ipv4");
	if (!measured(row)) {
		add_text(o, "not_measured", row->why_not);
		return o;
	}
	json_object_object_add(o, "repeat", json_object_new_int64(row->repeat));
	add_number(o, "ns", row->median);
	add_number(o, "over_base_ns", row->over);
	add_text(o, "base", t->row[row->base].tool);
	if (row->what == BENCH_IS_OURS && ratio(t, row) >= 0) {
		add_text(o, "cheapest_peer", cheapest_peer(t, row)->tool);
		add_number(o, "ratio", ratio(t, row));
	}
	return o;
}

static json_object *commit_json(const struct bench_commit *c)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "rules", json_object_new_int64(c->rules));
	if (c->why_not[0]) {
		add_text(o, "not_measured", c->why_not);
		return o;
	}
	add_number(o, "parse_ms", c->parse_ms);
	add_number(o, "compile_ms", c->compile_ms);
	add_number(o, "commit_ms", c->commit_ms);
	add_number(o, "compiler_mb", c->peak_mb);
	add_number(o, "tables_mb", c->tables_mb);
	return o;
}

static json_object *listing_json(const struct bench_listing *l)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "flows", json_object_new_int64(l->flows));
	add_number(o, "ms", l->ms);
	return o;
}

int bench_report_json(const struct bench_report *r, const char *path, struct pg_err *err)
{
	json_object *doc = json_object_new_object(), *rows = json_object_new_array();
	json_object *commits = json_object_new_array();
	struct utsname os;
	int ret = 0;

	uname(&os);
	add_text(doc, "version", PG_VERSION);
	add_text(doc, "kernel", os.release);
	json_object_object_add(doc, "rounds", json_object_new_int64(r->opts->rounds));
	json_object_object_add(doc, "repeat", json_object_new_int64(r->opts->repeat));
	json_object_object_add(doc, "rows", rows);
	for (size_t i = 0; i < r->table->n; i++)
		json_object_array_add(rows, row_json(r->table, &r->table->row[i]));
	json_object_object_add(doc, "commits", commits);
	for (int i = 0; r->opts->groups & BENCH_COMMIT && i < BENCH_COMMITS; i++)
		json_object_array_add(commits, commit_json(&r->commit[i]));
	if (r->listing->flows)
		json_object_object_add(doc, "flows_json", listing_json(r->listing));
	if (json_object_to_file_ext(path, doc, JSON_C_TO_STRING_PRETTY))
		ret = pg_fail(err, -EIO, "cannot write '%s'", path);
	json_object_put(doc);
	return ret;
}

/* The plot ------------------------------------------------------------------------------------- */

static bool plotted(const struct bench_table *t, size_t i)
{
	return t->row[i].what != BENCH_IS_BASE && t->row[i].what != BENCH_IS_LESSER && leads(t, i);
}

/* A data block of gnuplot's for each line: rules, ns. On a log axis a cost below 1 ns is 1. */
static void write_data(FILE *f, const struct bench_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		if (!plotted(t, i))
			continue;
		fprintf(f, "$line%zu << END\n", i);
		for (int k = 0; k < SIZES_MAX; k++) {
			const struct bench_row *row = cell(t, &t->row[i], sizes[k]);

			if (row && measured(row))
				fprintf(f, "%u %.1f\n", sizes[k], row->over < 1 ? 1 : row->over);
		}
		fprintf(f, "END\n");
	}
}

static bool has_repeat(const struct bench_table *t, const struct bench_row *row)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->row[i].group == BENCH_REPEAT && t->row[i].ipv6 == row->ipv6 &&
		    !strcmp(t->row[i].tool, row->tool))
			return true;
	return false;
}

/* A color for each tool and family, so that its two lines belong together. */
static unsigned color_of(const struct bench_table *t, const struct bench_row *row)
{
	unsigned color = 1;

	for (size_t i = 0; i < t->n; i++) {
		const struct bench_row *other = &t->row[i];

		if (other->ipv6 == row->ipv6 && !strcmp(other->tool, row->tool))
			break;
		/* The first line of a tool's counts it. */
		if (plotted(t, i) && (other->group == BENCH_REPEAT || !has_repeat(t, other)))
			color++;
	}
	return color;
}

static void write_plot(FILE *f, const struct bench_table *t, const char *path)
{
	const char *sep = "plot";

	fprintf(f,
		"set terminal svg size 1200,640 font 'sans,12' background '#ffffff'\n"
		"set output '%s'\nset title 'What rules cost a packet'\n"
		"set logscale xy\nset xlabel 'rules'\nset ylabel 'ns a packet'\n"
		"set key outside right top\nset grid\nset xrange [0.8:130000]\n",
		path);
	write_data(f, t);
	for (size_t i = 0; i < t->n; i++) {
		const struct bench_row *row = &t->row[i];
		unsigned color = color_of(t, row);

		if (!plotted(t, i))
			continue;
		fprintf(f,
			"%s $line%zu using 1:2 with linespoints lw %d dt %d pt %u lc %u title "
			"\"%s%s, %s\"",
			sep, i, row->what == BENCH_IS_OURS ? 3 : 1,
			row->group == BENCH_SPREAD ? 2 : 1, color, color, row->tool,
			row->ipv6 ? ", IPv6" : "", row->packets);
		sep = ",";
	}
	fprintf(f, "\n");
}

int bench_report_svg(const struct bench_report *r, const char *path, struct pg_err *err)
{
	bool any = false;
	FILE *f;

	for (size_t i = 0; i < r->table->n; i++)
		any |= plotted(r->table, i) && measured(&r->table->row[i]);
	if (!any)
		return 0;
	if (system("command -v gnuplot >/dev/null"))
		return pg_fail(err, -ENOENT, "no plot: gnuplot is not installed");
	f = popen("gnuplot", "we");
	if (!f)
		return pg_fail(err, -errno, "no plot: %s", strerror(errno));
	write_plot(f, r->table, path);
	return pclose(f) ? pg_fail(err, -EIO, "no plot: gnuplot failed") : 0;
}
