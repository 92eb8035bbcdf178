/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a port is called and which of IANA's three ranges it is in (RFC 6335, section 6).
 */
#pragma once

#include <linux/types.h>
#include <stdint.h>

#include "pg_abi.h"

#define PG_SERVICE_MAX 24 /* IANA's names have 15 characters at most; local ones may be longer */

/* The system's service names, TCP and UDP, read once: asking for each port anew parses the whole
 * file each time, 65 536 times after a port scan. */
struct pg_services;

/* NULL: no memory. A system without the file has no names. */
struct pg_services *pg_services_read(void);
void pg_services_free(struct pg_services *services);
static inline void pg_services_freep(struct pg_services **services)
{
	pg_services_free(*services);
}

/* "" for a port without a name. Belongs to `services`. */
const char *pg_service_name(const struct pg_services *services, enum pg_port_proto proto,
			    uint16_t port);

/* "system", "user" or "dynamic". */
const char *pg_service_range(uint16_t port);

/* "tcp" or "udp". */
const char *pg_port_proto_name(enum pg_port_proto proto);
