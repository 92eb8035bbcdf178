// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "filter.h"

#include <errno.h>
#include <pcap/pcap.h>

struct pg_filter {
	bool any; /* no expression */
	bool has[2]; /* not every expression means something on both link types */
	struct bpf_program program[2]; /* Ethernet, none */
};

static const int links[2] = { DLT_EN10MB, DLT_RAW };

/* An expression about Ethernet (`ether host …') matches nothing where there is none. */
static int compile(struct pg_filter *filter, int link, const char *text, struct pg_err *err)
{
	pcap_t *pcap = pcap_open_dead(links[link], 262144);
	int r = 0;

	if (!pcap)
		return pg_fail(err, -ENOMEM, "out of memory");
	filter->has[link] = !pcap_compile(pcap, &filter->program[link], text, 1,
					  PCAP_NETMASK_UNKNOWN);
	if (!filter->has[link] && !link)
		r = pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "expression '%s': %s", text,
				 pcap_geterr(pcap));
	pcap_close(pcap);
	return r;
}

int pg_filter_compile(char *const *word, size_t n, struct pg_filter **ret_filter,
		      struct pg_err *err)
{
	_cleanup_(pg_filter_freep) struct pg_filter *filter = calloc(1, sizeof(*filter));
	_cleanup_(pg_text_free) struct pg_text text = { 0 };
	int r = 0;

	for (size_t i = 0; i < n; i++)
		pg_text_add(&text, "%s%s", i ? " " : "", word[i]);
	if (!filter || text.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	filter->any = !n;
	for (int link = 0; !r && n && link < 2; link++)
		r = compile(filter, link, text.buf, err);
	if (r)
		return r;
	*ret_filter = TAKE_PTR(filter);
	return 0;
}

bool pg_filter_wants(const struct pg_filter *filter, bool no_l2, const void *data, uint32_t len,
		     uint32_t wire_len)
{
	const struct pcap_pkthdr header = { .caplen = len, .len = wire_len };

	return filter->any || (filter->has[no_l2] &&
			       pcap_offline_filter(&filter->program[no_l2], &header, data));
}

void pg_filter_free(struct pg_filter *filter)
{
	if (!filter)
		return;
	for (int link = 0; link < 2; link++)
		if (filter->has[link])
			pcap_freecode(&filter->program[link]);
	free(filter);
}
