/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows → JSON. Written by hand: json-c would make forty allocations of each of a million flows,
 * and printf() reads its format forty times. All of it is numbers, addresses and names of ours;
 * only an interface's name could hold a character that JSON has to escape.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "names.h"
#include "print.h"
#include "view_flows.h"

#define NSEC_PER_SEC 1000000000ULL
#define ROW_MAX 2048 /* bytes that one flow may take; it takes 350 to 700 */

struct pg_flow_json {
	FILE *f;
	bool any;
	size_t n;
	char buf[128 * 1024];
};

static void flush(struct pg_flow_json *j)
{
	fwrite(j->buf, 1, j->n, j->f);
	j->n = 0;
}

static void add_text(struct pg_flow_json *j, const char *text)
{
	size_t len = strlen(text);

	memcpy(j->buf + j->n, text, len);
	j->n += len;
}

static void add_number(struct pg_flow_json *j, uint64_t number)
{
	char digits[20], *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	memcpy(j->buf + j->n, p, (size_t)(digits + sizeof(digits) - p));
	j->n += (size_t)(digits + sizeof(digits) - p);
}

static void add_key(struct pg_flow_json *j, const char *key, uint64_t number)
{
	add_text(j, key);
	add_number(j, number);
}

static void add_pair(struct pg_flow_json *j, const char *key, uint64_t src, uint64_t dst)
{
	add_text(j, key);
	add_number(j, src);
	j->buf[j->n++] = ',';
	add_number(j, dst);
	j->buf[j->n++] = ']';
}

static void add_ip4(struct pg_flow_json *j, const uint8_t *addr)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			j->buf[j->n++] = '.';
		add_number(j, addr[i]);
	}
}

static void add_end(struct pg_flow_json *j, const struct pg_flow_row *row, int end)
{
	bool icmp = row->proto == IPPROTO_ICMP || row->proto == IPPROTO_ICMPV6;

	add_text(j, end ? ",\"dst\":\"" : ",\"src\":\"");
	if (row->family == PG_FAMILY_V4) {
		add_ip4(j, row->addr[end]);
	} else {
		inet_ntop(AF_INET6, row->addr[end], j->buf + j->n, INET6_ADDRSTRLEN);
		j->n += strlen(j->buf + j->n);
	}
	add_text(j, end ? "\",\"dport\":" : "\",\"sport\":");
	if (icmp || pg_flow_has_ports(row))
		add_number(j, row->port[end]);
	else
		add_text(j, "null");
}

/* Names of interfaces are any bytes but blanks, '/' and NUL. */
static void add_iface(struct pg_flow_json *j, const char *iface)
{
	char shown[4 * IFNAMSIZ];

	if (!iface[0]) {
		add_text(j, ",\"iface\":null");
		return;
	}
	pg_printable(iface, shown, sizeof(shown));
	add_text(j, ",\"iface\":\"");
	for (const char *p = shown; *p; p++) {
		if (*p == '"' || *p == '\\')
			j->buf[j->n++] = '\\';
		j->buf[j->n++] = *p;
	}
	j->buf[j->n++] = '"';
}

static void add_end_states(struct pg_flow_json *j, const struct pg_flow_row *row)
{
	static const char *const keys[] = { ",\"src_state\":", ",\"dst_state\":" };

	for (int i = 0; i < 2; i++) {
		add_text(j, keys[i]);
		if (row->state == PG_TCP_NONE) {
			add_text(j, "null");
			continue;
		}
		j->buf[j->n++] = '"';
		add_text(j, pg_end_state_name((enum pg_end_state)row->end_state[i]));
		j->buf[j->n++] = '"';
	}
}

static void add_tcp(struct pg_flow_json *j, const struct pg_flow_row *row)
{
	char src[9], dst[9];

	add_text(j, ",\"flags\":[\"");
	add_text(j, pg_flow_flags_text(row->flags[0], src));
	add_text(j, "\",\"");
	add_text(j, pg_flow_flags_text(row->flags[1], dst));
	add_text(j, "\"]");
	add_pair(j, ",\"retransmits\":[", row->retransmits[0], row->retransmits[1]);
	add_pair(j, ",\"zero_windows\":[", row->zero_windows[0], row->zero_windows[1]);
	add_pair(j, ",\"out_of_order\":[", row->out_of_order[0], row->out_of_order[1]);
	add_key(j, ",\"rtt_us\":", pg_flow_rtt_us(row));
	add_pair(j, ",\"rtt_halves_us\":[", row->rtt_us[0], row->rtt_us[1]);
}

static void add_rest(struct pg_flow_json *j, const struct pg_flow_row *row)
{
	add_key(j, ",\"age_s\":", row->age_ns / NSEC_PER_SEC);
	add_key(j, ",\"idle_s\":", row->idle_ns / NSEC_PER_SEC);
	add_key(j, ",\"expires_s\":", row->expires_ns / NSEC_PER_SEC);
	add_iface(j, row->iface);
	if (row->vlan >= 0)
		add_key(j, ",\"vlan\":", (uint64_t)row->vlan);
	else
		add_text(j, ",\"vlan\":null");
	if (row->query_id || row->proto == IPPROTO_ICMP || row->proto == IPPROTO_ICMPV6)
		add_key(j, ",\"id\":", row->query_id);
	add_text(j, row->replied ? ",\"replied\":true" : ",\"replied\":false");
	add_text(j, row->assured ? ",\"assured\":true" : ",\"assured\":false");
	add_text(j, row->half_open ? ",\"half_open\":true" : ",\"half_open\":false");
	add_text(j, row->picked_up ? ",\"picked_up\":true" : ",\"picked_up\":false");
	add_key(j, ",\"netns\":", row->netns);
	j->buf[j->n++] = '}';
}

struct pg_flow_json *pg_flow_json_begin(FILE *f)
{
	struct pg_flow_json *j = malloc(sizeof(*j));

	if (!j)
		return NULL;
	j->f = f;
	j->any = false;
	j->n = 0;
	add_text(j, "{\"flows\":[");
	return j;
}

void pg_flow_json_add(struct pg_flow_json *j, const struct pg_flow_row *row)
{
	const char *proto = pg_proto_name(row->proto);

	if (j->n > sizeof(j->buf) - ROW_MAX)
		flush(j);
	add_text(j, j->any ? ",{\"proto\":\"" : "{\"proto\":\"");
	j->any = true;
	if (proto)
		add_text(j, proto);
	else
		add_number(j, row->proto);
	j->buf[j->n++] = '"';
	add_end(j, row, 0);
	add_end(j, row, 1);
	add_text(j, ",\"state\":\"");
	add_text(j, pg_flow_word_name(pg_flow_word(row)));
	j->buf[j->n++] = '"';
	add_end_states(j, row);
	add_pair(j, ",\"packets\":[", row->count[0].packets, row->count[1].packets);
	add_pair(j, ",\"bytes\":[", row->count[0].bytes, row->count[1].bytes);
	add_tcp(j, row);
	add_rest(j, row);
}

int pg_flow_json_end(struct pg_flow_json *j, struct pg_err *err)
{
	FILE *f = j->f;

	flush(j);
	fputs("]}\n", f);
	free(j);
	return ferror(f) ? pg_fail(err, -EIO, "cannot write: %s", strerror(errno)) : 0;
}
