/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "service.h"
#include "util.h"

#define SYSTEM_MAX 1023
#define USER_MAX 49151

struct pg_services {
	char name[_PG_PORT_PROTO_MAX][PG_PORTS][PG_SERVICE_MAX];
};

static const char *const proto_names[] = { [PG_PORT_TCP] = "tcp", [PG_PORT_UDP] = "udp" };

static void keep(struct pg_services *services, const struct servent *entry)
{
	for (size_t p = 0; p < ARRAY_SIZE(proto_names); p++) {
		char *name = services->name[p][ntohs((uint16_t)entry->s_port)];

		/* Several names for one port: the first counts, as with getservbyport(). */
		if (!strcmp(entry->s_proto, proto_names[p]) && !name[0])
			pg_printable(entry->s_name, name, PG_SERVICE_MAX);
	}
}

struct pg_services *pg_services_read(void)
{
	/* Untouched pages cost nothing: only ports with a name are ever written. */
	struct pg_services *services = calloc(1, sizeof(*services));
	struct servent entry, *found;
	char buf[4096]; /* of one line with all its aliases; a longer one ends the reading */

	if (!services)
		return NULL;

	setservent(1);
	while (!getservent_r(&entry, buf, sizeof(buf), &found) && found)
		keep(services, found);
	endservent();
	return services;
}

void pg_services_free(struct pg_services *services)
{
	free(services);
}

const char *pg_service_name(const struct pg_services *services, enum pg_port_proto proto,
			    uint16_t port)
{
	return services->name[proto][port];
}

const char *pg_service_range(uint16_t port)
{
	if (port <= SYSTEM_MAX)
		return "system";
	return port <= USER_MAX ? "user" : "dynamic";
}

const char *pg_port_proto_name(enum pg_port_proto proto)
{
	return (size_t)proto < ARRAY_SIZE(proto_names) ? proto_names[proto] : "?";
}
