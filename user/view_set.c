// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view_set.h"

#include <inttypes.h>
#include <string.h>

/*
 * What ipset calls a type's revision says which of its features there are: those before counters
 * and comments.
 */
static unsigned revision(const struct pg_set_info *info)
{
	switch (info->type) {
	case PG_SET_HASH_NET:
		return 2; /* nomatch */
	case PG_SET_HASH_IP_PORT:
		return 1; /* SCTP and UDP-Lite */
	default:
		return 0;
	}
}

/* Names are any bytes but blanks, controls and quotes. */
static void quoted(FILE *f, const char *name, bool xml)
{
	char clean[64];

	for (const char *p = pg_printable(name, clean, sizeof(clean)); *p; p++) {
		if (xml && *p == '&')
			fputs("&amp;", f);
		else if (xml && *p == '<')
			fputs("&lt;", f);
		else if (!xml && *p == '\\')
			fputs("\\\\", f);
		else
			fputc(*p, f);
	}
}

static void header(FILE *f, const struct pg_set_info *info)
{
	_cleanup_(pg_text_free) struct pg_text t = {};

	pg_ipset_header(&t, info);
	if (!t.oom)
		fputs(t.buf, f);
}

/* "1.2.3.4 timeout 5 nomatch" */
static void member(FILE *f, const struct pg_set_info *info, const struct pg_set_entry *e,
		   uint64_t now_ns)
{
	char elem[PG_IPSET_ELEM_MAX];

	fputs(pg_ipset_elem(elem, info, e), f);
	if (info->has_timeout)
		fprintf(f, " timeout %u", pg_set_seconds_left(e, now_ns));
	fputs(e->nomatch ? " nomatch\n" : "\n", f);
}

static void plain(FILE *f, const struct pg_set_view *v, const struct pg_set_show *show)
{
	const struct pg_set_info *info = v->info;

	if (!show->first)
		fputc('\n', f);
	fprintf(f, "Name: %s\nType: %s\nRevision: %u\nHeader: ", info->name,
		pg_set_type_name(info->type), revision(info));
	header(f, info);
	fprintf(f, "\nSize in memory: %" PRIu64 "\nReferences: %u\nNumber of entries: %zu\n",
		v->memory_bytes, v->references, v->n);
	if (show->terse)
		return;
	fputs("Members:\n", f);
	for (size_t i = 0; i < v->n; i++)
		member(f, info, &v->entry[i], show->now_ns);
}

static void save(FILE *f, const struct pg_set_view *v, const struct pg_set_show *show)
{
	const struct pg_set_info *info = v->info;

	fprintf(f, "create %s %s ", info->name, pg_set_type_name(info->type));
	header(f, info);
	fputc('\n', f);
	for (size_t i = 0; i < v->n; i++) {
		fprintf(f, "add %s ", info->name);
		member(f, info, &v->entry[i], show->now_ns);
	}
}

static void xml(FILE *f, const struct pg_set_view *v, const struct pg_set_show *show)
{
	const struct pg_set_info *info = v->info;
	char elem[PG_IPSET_ELEM_MAX];

	fputs("<ipset name=\"", f);
	quoted(f, info->name, true);
	fprintf(f,
		"\">\n<type>%s</type>\n<revision>%u</revision>\n<header><family>%s</family>"
		"<hashsize>%u</hashsize><maxelem>%u</maxelem>",
		pg_set_type_name(info->type), revision(info), pg_ipset_family(info), info->hashsize,
		info->maxelem);
	if (info->netmask)
		fprintf(f, "<netmask>%u</netmask>", info->netmask);
	if (info->has_timeout)
		fprintf(f, "<timeout>%u</timeout>", info->timeout);
	fprintf(f,
		"\n<memsize>%" PRIu64 "</memsize>\n<references>%u</references>\n"
		"<numentries>%zu</numentries>\n</header>\n",
		v->memory_bytes, v->references, v->n);
	if (!show->terse)
		fputs("<members>\n", f);
	for (size_t i = 0; !show->terse && i < v->n; i++) {
		const struct pg_set_entry *e = &v->entry[i];

		fprintf(f, "<member><elem>%s</elem>", pg_ipset_elem(elem, info, e));
		if (info->has_timeout)
			fprintf(f, "<timeout>%u</timeout>", pg_set_seconds_left(e, show->now_ns));
		fputs(e->nomatch ? "<nomatch/></member>\n" : "</member>\n", f);
	}
	fputs(show->terse ? "</ipset>\n" : "</members>\n</ipset>\n", f);
}

/* Written as it goes: a million entries as objects would take a gigabyte. */
static void json(FILE *f, const struct pg_set_view *v, const struct pg_set_show *show)
{
	const struct pg_set_info *info = v->info;
	char elem[PG_IPSET_ELEM_MAX];

	fputs(show->first ? "{\"name\":\"" : ",{\"name\":\"", f);
	quoted(f, info->name, false);
	fprintf(f,
		"\",\"type\":\"%s\",\"family\":\"%s\",\"hashsize\":%u,\"maxelem\":%u,\"netmask\":",
		pg_set_type_name(info->type), pg_ipset_family(info), info->hashsize, info->maxelem);
	fprintf(f, info->netmask ? "%u" : "null", info->netmask);
	fprintf(f, info->has_timeout ? ",\"timeout\":%u" : ",\"timeout\":null", info->timeout);
	fprintf(f, ",\"references\":%u,\"memory_bytes\":%" PRIu64 ",\"entries\":%zu", v->references,
		v->memory_bytes, v->n);
	if (!show->terse)
		fputs(",\"members\":[", f);
	for (size_t i = 0; !show->terse && i < v->n; i++) {
		const struct pg_set_entry *e = &v->entry[i];

		fprintf(f, "%s{\"elem\":\"%s\",\"timeout\":", i ? "," : "",
			pg_ipset_elem(elem, info, e));
		fprintf(f, info->has_timeout ? "%u" : "null", pg_set_seconds_left(e, show->now_ns));
		fprintf(f, ",\"nomatch\":%s}", e->nomatch ? "true" : "false");
	}
	fputs(show->terse ? "}" : "]}", f);
}

static void name_only(FILE *f, const struct pg_set_info *info, const struct pg_set_show *show)
{
	switch (show->format) {
	case PG_SET_XML:
		fputs("<ipset name=\"", f);
		quoted(f, info->name, true);
		fputs("\"/>\n", f);
		break;
	case PG_SET_JSON:
		fputs(show->first ? "{\"name\":\"" : ",{\"name\":\"", f);
		quoted(f, info->name, false);
		fputs("\"}", f);
		break;
	case PG_SET_PLAIN:
	case PG_SET_SAVE:
		fprintf(f, "%s\n", info->name);
	}
}

void pg_set_show_begin(FILE *f, const struct pg_set_show *show)
{
	if (show->format == PG_SET_XML)
		fputs("<ipsets>\n", f);
	else if (show->format == PG_SET_JSON)
		fputs("{\"sets\":[", f);
}

void pg_set_show(FILE *f, const struct pg_set_view *view, const struct pg_set_show *show)
{
	static void (*const formats[])(FILE *f, const struct pg_set_view *v,
				       const struct pg_set_show *show) = {
		[PG_SET_PLAIN] = plain,
		[PG_SET_SAVE] = save,
		[PG_SET_XML] = xml,
		[PG_SET_JSON] = json,
	};

	if (show->names)
		name_only(f, view->info, show);
	else
		formats[show->format](f, view, show);
}

void pg_set_show_end(FILE *f, const struct pg_set_show *show)
{
	if (show->format == PG_SET_XML)
		fputs("</ipsets>\n", f);
	else if (show->format == PG_SET_JSON)
		fputs("]}\n", f);
}
