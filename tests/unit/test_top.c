/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The dashboard's frames: tests/golden/NAME.snap has snapshots and how they are looked at, NAME.frame what
 * is on the screen then. With PG_GOLDEN=write frames are written instead. And what keys do.
 *
 *   at SECONDS                    the next snapshot
 *   iface NAME MODE IN-PACKETS IN-BYTES IN-DROPPED OUT-PACKETS OUT-BYTES
 *   port PROTO PORT SERVICE IN-PACKETS IN-BYTES OUT-PACKETS OUT-BYTES DROPPED SYN RST
 *   listener PID COMM ADDRESS     of the port above; mark N as well
 *   reason NAME PACKETS BYTES DROPPED
 *   state FROM TO COUNT [PORT]
 *   flow PROTO STATE SRC SPORT DST DPORT PKTS> BYTES> PKTS< BYTES< RTT-US RETRANSMITS
 *   drop TIME WHO REASON PROTO SRC DST FLAGS LENGTH
 *   confirm SECONDS
 *   *TABLE … COMMIT               the policy, as iptables-save -c has it
 *   show VIEW WIDTHxHEIGHT [ascii] [total] [looks] [keys TEXT]
 *                                 keys: ^ up, v down, < > sort, ! Escape, $ Enter, others themselves
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "names.h"
#include "rulefile.h"
#include "top_table.h"

#define GOLDEN "tests/golden"

struct scene {
	struct pg_snapshot snap;
	struct pg_history *history;
	struct pg_sampler sampler;
	struct pg_top_drops drops;
	struct pg_flow_row flow[32];
	size_t n_flows;
	struct pg_text policy;
	struct pg_top top;
	struct pg_frame frame;
	char show[512];
};

static void begin(struct scene *s)
{
	*s = (struct scene){ .history = pg_history_new(1000000000) };
	assert_non_null(s->history);
	s->snap = (struct pg_snapshot){
		.exists = true, .state_dir = "/run/test", .kernel = "6.1.0", .instance = 1,
		.has_states = true, .memory_bytes = 176000000,
		.policy = { .generation = 1, .terms = 2, .rows = 5, .nodes = 3, .memory_bytes = 4096 },
		.flow = { .capacity = { 262144, 65536 }, .tracking = true },
	};
	s->snap.iface = calloc(8, sizeof(*s->snap.iface));
	s->snap.port = calloc(64, sizeof(*s->snap.port));
	s->snap.states.port = calloc(8, sizeof(*s->snap.states.port));
	s->snap.rules = pg_ruleset_new();
	assert_true(s->snap.iface && s->snap.port && s->snap.states.port && s->snap.rules);
	pg_top_init(&s->top, false);
}

static void end(struct scene *s)
{
	free(s->snap.iface);
	free(s->snap.port);
	free(s->snap.states.port);
	pg_ruleset_free(s->snap.rules);
	pg_history_free(s->history);
	pg_sampler_clear(&s->sampler);
	pg_text_free(&s->policy);
	pg_frame_free(&s->frame);
}

/* What was told since the last one is complete. */
static void take(struct scene *s)
{
	const struct pg_flow_query query = { .by = PG_FLOW_BY_RATE, .top = 16 };

	if (!s->snap.time_ns)
		return;
	s->snap.n_rules = 0;
	for (size_t i = 0; i < s->snap.rules->n_chains; i++)
		s->snap.n_rules += s->snap.rules->chain[i].n_rules;
	assert_int_equal(pg_history_add(s->history, &s->snap), 0);
	assert_int_equal(pg_sampler_begin(&s->sampler, s->snap.time_ns, 1024), 0);
	for (size_t i = 0; i < s->n_flows; i++) {
		s->flow[i].place = (uint32_t)i;
		s->flow[i].id = 1;
		assert_int_equal(pg_sampler_add(&s->sampler, &query, &s->flow[i], true), 0);
	}
	pg_sampler_end(&s->sampler, &query);
}

static void at(struct scene *s, const char *line)
{
	double seconds;

	take(s);
	assert_int_equal(sscanf(line, "at %lf", &seconds), 1);
	s->snap.time_ns = 1000000000 + (uint64_t)(seconds * 1e9);
	s->snap.n_port = s->snap.n_iface = s->n_flows = 0;
	memset(s->snap.verdict, 0, sizeof(s->snap.verdict));
}

static void iface(struct scene *s, const char *line)
{
	struct pg_iface_row *row = &s->snap.iface[s->snap.n_iface++];
	struct pg_count in = { 0 }, out = { 0 };
	unsigned long long n[5];
	char mode[16];

	*row = (struct pg_iface_row){ .iface.abi = { .netns = 1,
						     .ifindex = (__u32)s->snap.n_iface } };
	assert_int_equal(sscanf(line, "iface %15s %15s %llu %llu %llu %llu %llu", row->iface.abi.name, mode,
				&n[0], &n[1], &n[2], &n[3], &n[4]), 7);
	row->iface.abi.mode = !strcmp(mode, "native") ? PG_MODE_NATIVE : PG_MODE_TC;
	snprintf(row->iface.abi.mode_reason, sizeof(row->iface.abi.mode_reason), "asked for");
	in = (struct pg_count){ n[0], n[1] };
	out = (struct pg_count){ n[3], n[4] };
	row->count[PG_DIR_IN] = in;
	row->count[PG_DIR_OUT] = out;
	row->dropped[PG_DIR_IN] = n[2];
	s->snap.verdict[PG_DIR_IN][PG_VERDICT_ACCEPT].packets += n[0] - n[2];
	s->snap.verdict[PG_DIR_IN][PG_VERDICT_ACCEPT].bytes += n[1] - 60 * n[2];
	s->snap.verdict[PG_DIR_IN][PG_VERDICT_DROP].packets += n[2];
	s->snap.verdict[PG_DIR_IN][PG_VERDICT_DROP].bytes += 60 * n[2];
	s->snap.verdict[PG_DIR_OUT][PG_VERDICT_ACCEPT].packets += n[3];
	s->snap.verdict[PG_DIR_OUT][PG_VERDICT_ACCEPT].bytes += n[4];
}

static void port(struct scene *s, const char *line)
{
	struct pg_port_row *row = &s->snap.port[s->snap.n_port++];
	unsigned long long n[7];
	char proto[8];
	unsigned number;

	*row = (struct pg_port_row){ 0 };
	assert_int_equal(sscanf(line, "port %7s %u %23s %llu %llu %llu %llu %llu %llu %llu", proto, &number,
				row->service, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6]), 10);
	row->proto = !strcmp(proto, "udp") ? PG_PORT_UDP : PG_PORT_TCP;
	row->port = (uint16_t)number;
	if (!strcmp(row->service, "-"))
		row->service[0] = '\0';
	row->in = (struct pg_count){ n[0], n[1] };
	row->out = (struct pg_count){ n[2], n[3] };
	row->in_dropped = n[4];
	row->flags.count[PG_FLAG_SYN] = n[5];
	row->flags.count[PG_FLAG_RST] = n[6];
}

static void listener(struct scene *s, const char *line)
{
	struct pg_port_row *row = &s->snap.port[s->snap.n_port - 1];

	row->has_listener = true;
	assert_int_equal(sscanf(line, "listener %u %15s %45s", &row->listener.pid, row->listener.comm,
				row->listener.address), 3);
}

static void reason(struct scene *s, const char *line)
{
	unsigned long long n[3];
	char name[32];

	assert_int_equal(sscanf(line, "reason %31s %llu %llu %llu", name, &n[0], &n[1], &n[2]), 4);
	for (int r = 0; r < _PG_REASON_MAX; r++) {
		if (strcmp(pg_reason_name((enum pg_reason)r), name))
			continue;
		s->snap.reason[r] = (struct pg_count){ n[0], n[1] };
		s->snap.dropped[r].packets = n[2];
		return;
	}
	fail_msg("there is no reason %s", name);
}

static unsigned end_state(const char *name)
{
	for (unsigned i = 0; i < _PG_END_MAX; i++)
		if (!strcmp(pg_end_state_name((enum pg_end_state)i), name))
			return i;
	fail_msg("there is no state %s", name);
	return 0;
}

static void state(struct scene *s, const char *line)
{
	char from[16], to[16];
	unsigned long long n;
	unsigned number;
	int got = sscanf(line, "state %15s %15s %llu %u", from, to, &n, &number);

	assert_true(got >= 3);
	if (got == 3) {
		s->snap.states.total.count[end_state(from)][end_state(to)] = n;
		return;
	}
	if (!s->snap.states.n_ports)
		s->snap.states.port[s->snap.states.n_ports++].port = (uint16_t)number;
	s->snap.states.port[0].matrix.count[end_state(from)][end_state(to)] = n;
}

static void flow(struct scene *s, const char *line)
{
	struct pg_flow_row *row = &s->flow[s->n_flows++];
	char proto[8], word[16], addr[2][48];
	unsigned port_[2], rtt, retransmits;
	unsigned long long n[4];

	assert_true(s->n_flows <= ARRAY_SIZE(s->flow));
	assert_int_equal(sscanf(line, "flow %7s %15s %47s %u %47s %u %llu %llu %llu %llu %u %u", proto, word,
				addr[0], &port_[0], addr[1], &port_[1], &n[0], &n[1], &n[2], &n[3], &rtt,
				&retransmits), 12);
	*row = (struct pg_flow_row){
		.proto = !strcmp(proto, "udp") ? 17 : 6, .here = false, .iface = "eth0", .vlan = -1,
		.replied = true, .port = { (uint16_t)port_[0], (uint16_t)port_[1] },
		.count = { { n[0], n[1] }, { n[2], n[3] } }, .rtt_us = { rtt, 0 },
		.retransmits = { retransmits, 0 }, .age_ns = 90000000000, .idle_ns = 1000000000,
	};
	row->family = strchr(addr[0], ':') ? PG_FAMILY_V6 : PG_FAMILY_V4;
	row->key.port[0] = (uint16_t)s->n_flows;
	for (int i = 0; i < 2; i++)
		assert_int_equal(inet_pton(row->family == PG_FAMILY_V6 ? AF_INET6 : AF_INET, addr[i],
					   row->addr[i]), 1);
	for (unsigned w = 0; row->proto == 6 && w < _PG_TCP_MAX; w++)
		if (!strcmp(pg_pair_state_name(w), word))
			row->state = (uint8_t)w;
	row->end_state[0] = row->end_state[1] = row->proto == 6 ? PG_END_ESTABLISHED : 0;
}

static void drop(struct scene *s, const char *line)
{
	struct pg_top_drop d = { .iface = "eth0", .port = 23, .port_proto = PG_PORT_TCP };
	char name[32];

	assert_int_equal(sscanf(line, "drop %15s %47[^|]| %31s %15s %63s %63s %8s %u", d.when, d.who, name,
				d.proto, d.end[0], d.end[1], d.flags, &d.length), 8);
	for (int r = 0; r < _PG_REASON_MAX; r++)
		if (!strcmp(pg_reason_name((enum pg_reason)r), name))
			d.reason = (enum pg_reason)r;
	pg_top_drops_add(&s->drops, &d);
}

static void policy(struct scene *s)
{
	const struct pg_rulefile_opts opts = { .counters = true };
	struct pg_notes notes = { 0 };
	struct pg_err err = { 0 };
	uint32_t slot = 0;

	pg_ruleset_free(s->snap.rules);
	s->snap.rules = NULL;
	if (pg_rulefile_parse(s->policy.buf, s->policy.len, &opts, &s->snap.rules, &notes, &err))
		fail_msg("%s", err.text);
	pg_notes_free(&notes);
	pg_text_free(&s->policy);
	for (size_t c = 0; c < s->snap.rules->n_chains; c++) {
		s->snap.rules->chain[c].slot = slot++;
		for (size_t i = 0; i < s->snap.rules->chain[c].n_rules; i++)
			s->snap.rules->chain[c].rule[i].slot = slot++;
	}
}

static enum pg_top_action press(struct scene *s, const struct pg_top_model *model, char c)
{
	struct pg_key key = { .code = (unsigned char)c };
	enum pg_top_action action;

	key.code = c == '^' ? PG_KEY_UP : c == 'v' ? PG_KEY_DOWN : c == '!' ? PG_KEY_ESCAPE :
		   c == '$' ? PG_KEY_ENTER : key.code;
	pg_frame_free(&s->frame);
	assert_true(pg_frame_make(&s->frame, 80, 24, s->top.ascii));
	pg_top_draw(&s->frame, &s->top, model); /* keys work on what is shown */
	action = pg_top_key(&s->top, &key);
	if (action == PG_TOP_ALLOW || action == PG_TOP_DENY) {
		s->top.ask.open = true;
		snprintf(s->top.ask.command, sizeof(s->top.ask.command),
			 "portguard -I INPUT 2 -p tcp -m tcp --dport %u -j %s\n", s->top.ask.port.port,
			 s->top.ask.deny ? "DROP" : "ACCEPT");
	}
	return action;
}

static void look(struct scene *s, struct pg_text *ret)
{
	struct pg_top_model model = {
		.snap = &s->snap, .history = s->history, .flows = &s->sampler.sample,
		.drops = s->drops.n ? &s->drops : NULL, .clock = "20:15:03",
	};
	char view[16];
	unsigned width, height;
	const char *keys = strstr(s->show, " keys ");

	assert_int_equal(sscanf(s->show, "show %15s %ux%u", view, &width, &height), 3);
	assert_int_equal(pg_top_view_from_str(view, &s->top.view), 0);
	s->top.ascii = strstr(s->show, " ascii");
	s->top.cumulative = strstr(s->show, " total");
	for (const char *k = keys ? keys + 6 : ""; *k; k++)
		press(s, &model, *k);
	if (s->top.detail) {
		pg_history_watch_states(s->history, s->top.port.port);
		assert_int_equal(pg_history_refresh(s->history, &s->snap), 0);
	}
	pg_frame_free(&s->frame);
	assert_true(pg_frame_make(&s->frame, width, height, s->top.ascii));
	pg_top_draw(&s->frame, &s->top, &model);
	pg_frame_text(ret, &s->frame, false);
	if (strstr(s->show, " looks"))
		pg_frame_text(ret, &s->frame, true);
	assert_false(ret->oom);
}

static void read_line(struct scene *s, const char *line)
{
	static const struct {
		const char *word;
		void (*fn)(struct scene *, const char *);
	} words[] = {
		{ "at ", at }, { "iface ", iface }, { "port ", port }, { "listener ", listener },
		{ "reason ", reason }, { "state ", state }, { "flow ", flow }, { "drop ", drop },
	};

	if (s->policy.len || line[0] == '*') {
		pg_text_add(&s->policy, "%s\n", line);
		if (!strcmp(line, "COMMIT"))
			policy(s);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strncmp(line, words[i].word, strlen(words[i].word))) {
			words[i].fn(s, line);
			return;
		}
	}
	if (!strncmp(line, "confirm ", 8))
		s->snap.policy.confirm_s = (__u32)atoi(line + 8);
	else if (!strcmp(line, "tried"))
		s->snap.policy.shadow = PG_SHADOW_ON;
	else if (!strncmp(line, "mark ", 5))
		s->snap.port[s->snap.n_port - 1].mark = (enum pg_mark)atoi(line + 5);
	else if (!strncmp(line, "nothing", 7))
		s->snap.exists = false;
	else if (!strncmp(line, "show ", 5))
		snprintf(s->show, sizeof(s->show), "%s", line);
	else if (line[0] && line[0] != '#')
		fail_msg("what is '%s'?", line);
}

static void read_scene(struct scene *s, const char *name)
{
	char path[320], line[512];
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN "/%s.snap", name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot open %s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		read_line(s, line);
	}
	fclose(f);
	take(s);
}

static void compare(const char *name, const struct pg_text *frame)
{
	_cleanup_(pg_text_free) struct pg_text want = { 0 };
	struct pg_err err = { 0 };
	char path[320];
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN "/%s.frame", name);
	if (getenv("PG_GOLDEN")) {
		f = fopen(path, "w");
		assert_non_null(f);
		fwrite(frame->buf, 1, frame->len, f);
		fclose(f);
		return;
	}
	if (pg_rulefile_slurp(path, &want, &err))
		fail_msg("%s", err.text);
	if (strcmp(want.buf, frame->buf))
		fail_msg("%s is not what is there:\n%s", path, frame->buf);
}

static void golden_frames(void **unused)
{
	DIR *dir = opendir(GOLDEN);
	struct dirent *e;
	unsigned n = 0;

	(void)unused;
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		_cleanup_(pg_text_free) struct pg_text frame = { 0 };
		char *dot = strrchr(e->d_name, '.');
		struct scene s;

		if (!dot || strcmp(dot, ".snap"))
			continue;
		*dot = '\0';
		begin(&s);
		read_scene(&s, e->d_name);
		look(&s, &frame);
		compare(e->d_name, &frame);
		end(&s);
		n++;
	}
	closedir(dir);
	assert_true(n >= 10);
}

/* Keys ---------------------------------------------------------------------------------------- */

static struct scene scene;
static struct pg_top_model model;

static int begin_keys(void **unused)
{
	(void)unused;
	begin(&scene);
	read_scene(&scene, "top_ports");
	model = (struct pg_top_model){ .snap = &scene.snap, .history = scene.history,
				       .flows = &scene.sampler.sample, .clock = "" };
	return 0;
}

static int end_keys(void **unused)
{
	(void)unused;
	end(&scene);
	return 0;
}

static enum pg_top_action type(const char *keys)
{
	enum pg_top_action action = PG_TOP_NOTHING;

	for (; *keys; keys++)
		action = press(&scene, &model, *keys);
	pg_frame_free(&scene.frame);
	assert_true(pg_frame_make(&scene.frame, 80, 24, false));
	pg_top_draw(&scene.frame, &scene.top, &model);
	return action;
}

static void views_by_number(void **unused)
{
	(void)unused;
	for (int v = 0; v < _PG_TOP_VIEW_MAX; v++) {
		assert_int_equal(type((const char[]){ (char)('1' + v), 0 }), PG_TOP_READ);
		assert_int_equal(scene.top.view, v);
	}
	type("\t");
	assert_int_equal(scene.top.view, PG_TOP_PORTS);
}

static void a_port_is_asked_about_before_it_is_denied(void **unused)
{
	(void)unused;
	assert_int_equal(type("d"), PG_TOP_DENY);
	assert_int_equal(scene.top.ask.port.port, 443);
	assert_true(scene.top.ask.deny);
	/* Whatever else is pressed does nothing. */
	assert_int_equal(type("x"), PG_TOP_NOTHING);
	assert_true(scene.top.ask.open);
	assert_int_equal(type("n"), PG_TOP_NOTHING);
	assert_false(scene.top.ask.open);
	assert_int_equal(type("va"), PG_TOP_ALLOW);
	assert_int_equal(scene.top.ask.port.port, 53);
	assert_int_equal(scene.top.ask.port.proto, PG_PORT_UDP);
	assert_int_equal(type("+t"), PG_TOP_APPLY);
	assert_int_equal(scene.top.ask.seconds, 120);
	type("a");
	assert_int_equal(type("y"), PG_TOP_APPLY);
	assert_int_equal(scene.top.ask.seconds, 0);
}

static bool shows(const char *text)
{
	struct pg_text t = { 0 };
	bool found;

	pg_frame_text(&t, &scene.frame, false);
	found = strstr(t.buf, text);
	pg_text_free(&t);
	return found;
}

static void what_waits_is_shown_whatever_else_is(void **unused)
{
	static const char *const whats[] = { "1", "6", "1/ssh", "1/ssh$", "5", "1$" };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(whats); i++) {
		scene.snap.policy.confirm_s = 42;
		scene.snap.policy.expired = false;
		type(whats[i]);
		assert_true(shows("back in 42 s: C keeps the new one, R takes it back now"));
		snprintf(scene.top.message, sizeof(scene.top.message), "25/tcp is allowed for 60 s");
		type("");
		assert_true(shows("back in 42 s: C keeps"));
		assert_true(shows("25/tcp is allowed for 60 s"));
		scene.snap.policy.confirm_s = 0;
		scene.snap.policy.expired = true;
		type("");
		assert_false(shows("is allowed"));
		assert_true(shows("was not confirmed: the old one is in force again"));
		type("$!!");
	}
}

static void nothing_stands_still_while_seconds_run(void **unused)
{
	(void)unused;
	scene.snap.policy.confirm_s = 42;
	type(" ");
	assert_false(scene.top.frozen);
	assert_true(shows("Not while a policy waits"));
	scene.snap.policy.confirm_s = 0;
	type(" ");
	assert_true(scene.top.frozen);
	type(" ");
	assert_false(scene.top.frozen);
}

static void a_filter_takes_keys_that_mean_something_else(void **unused)
{
	(void)unused;
	type("/sshq");
	assert_string_equal(scene.top.filter, "sshq");
	assert_int_equal(scene.top.n_rows, 0);
	type("\b");
	assert_int_equal(type("$"), PG_TOP_READ);
	assert_int_equal(scene.top.n_rows, 1);
	assert_int_equal(type("q"), PG_TOP_QUIT);
	type("!");
	assert_string_equal(scene.top.filter, "");
	type("/x!");
	assert_string_equal(scene.top.filter, "");
}

static void the_cursor_stays_among_the_rows(void **unused)
{
	(void)unused;
	type("^^^");
	assert_int_equal(scene.top.place[PG_TOP_PORTS].cursor, 0);
	type("Gvv");
	assert_int_equal(scene.top.place[PG_TOP_PORTS].cursor, scene.top.n_rows - 1);
	type("/https$");
	assert_int_equal(scene.top.place[PG_TOP_PORTS].cursor, 0);
}

static void clicks_find_tabs_titles_and_rows(void **unused)
{
	struct pg_key key = { .code = PG_KEY_CLICK };

	(void)unused;
	type("");
	key.x = scene.top.tab_x[PG_TOP_RULES] + 1;
	assert_int_equal(pg_top_key(&scene.top, &key), PG_TOP_READ);
	assert_int_equal(scene.top.view, PG_TOP_RULES);
	type("1");
	key.y = scene.top.table.title_y;
	key.x = scene.top.table.x[0] + 1;
	assert_int_equal(pg_top_key(&scene.top, &key), PG_TOP_READ);
	assert_int_equal(scene.top.place[PG_TOP_PORTS].sort, 0);
	type("");
	key.y = scene.top.table.row_y + 1;
	pg_top_key(&scene.top, &key);
	assert_int_equal(scene.top.place[PG_TOP_PORTS].cursor, 1);
	assert_false(scene.top.detail);
	type("");
	pg_top_key(&scene.top, &key); /* a second time */
	assert_true(scene.top.detail);
	type("!");
	assert_false(scene.top.detail);
}

static void no_size_is_too_small_or_too_large(void **unused)
{
	static const unsigned sizes[][2] = { { 1, 1 }, { 3, 2 }, { 20, 5 }, { 40, 10 }, { 79, 23 },
					     { 133, 40 }, { 400, 100 } };
	struct pg_top_drops drops = { .n = 1 };

	(void)unused;
	model.drops = &drops;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int v = 0; v < _PG_TOP_VIEW_MAX; v++) {
			for (int more = 0; more < 4; more++) {
				scene.top.view = (enum pg_top_view)v;
				scene.top.detail = more == 1;
				scene.top.help = more == 2;
				scene.top.ask.open = more == 3;
				pg_frame_free(&scene.frame);
				assert_true(pg_frame_make(&scene.frame, sizes[i][0], sizes[i][1], i & 1));
				pg_top_draw(&scene.frame, &scene.top, &model);
				for (size_t c = 0; i & 1 && c < (size_t)sizes[i][0] * sizes[i][1]; c++)
					assert_in_range(scene.frame.cell[c].ch, 0, 126);
			}
		}
	}
}

static void numbers_have_room(void **unused)
{
	static const struct {
		double value;
		unsigned width;
		const char *text;
	} cases[] = {
		{ 0, 5, "0" }, { 0.03, 5, "0.1" }, { 1.5, 5, "1.5" }, { 12, 5, "12" }, { 99999, 5, "99999" },
		{ 123456, 5, "123k" }, { 1234567, 5, "1.23M" }, { 999999, 5, "1.00M" },
		{ 9994999, 5, "9.99M" }, { 99960000, 5, "100M" }, { 123456, 6, "123456" },
		{ 1e19, 6, "10.0E" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[32];

		pg_top_number(cases[i].value, cases[i].width, buf, sizeof(buf));
		assert_string_equal(buf, cases[i].text);
		assert_true(strlen(buf) <= cases[i].width);
	}
}

static void what_is_no_text_is_a_question_mark(void **unused)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	struct pg_frame f;

	(void)unused;
	assert_true(pg_frame_make(&f, 24, 2, false));
	pg_frame_put(&f, 0, 0, 24, PG_LOOK_PLAIN, "a\033[2J\xc2\x9b\xff\xe2\x82 \xe2\x94\x80|");
	pg_frame_put(&f, 20, 1, 24, PG_LOOK_PLAIN, "beyond the edge");
	pg_frame_put(&f, 0, 7, 24, PG_LOOK_PLAIN, "below it");
	pg_frame_text(&t, &f, false);
	assert_string_equal(t.buf, "a?[2J????? \xe2\x94\x80|\n                    beyo\n");
	pg_frame_free(&f);
}

#define KEYS(fn) cmocka_unit_test_setup_teardown(fn, begin_keys, end_keys)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_frames),
		KEYS(views_by_number),
		KEYS(a_port_is_asked_about_before_it_is_denied),
		KEYS(what_waits_is_shown_whatever_else_is),
		KEYS(nothing_stands_still_while_seconds_run),
		KEYS(a_filter_takes_keys_that_mean_something_else),
		KEYS(the_cursor_stays_among_the_rows),
		KEYS(clicks_find_tabs_titles_and_rows),
		KEYS(no_size_is_too_small_or_too_large),
		cmocka_unit_test(numbers_have_room),
		cmocka_unit_test(what_is_no_text_is_a_question_mark),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
