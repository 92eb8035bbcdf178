/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "service.h"

static void ranges_meet_where_iana_says(void **state)
{
	(void)state;
	assert_string_equal(pg_service_range(0), "system");
	assert_string_equal(pg_service_range(1023), "system");
	assert_string_equal(pg_service_range(1024), "user");
	assert_string_equal(pg_service_range(49151), "user");
	assert_string_equal(pg_service_range(49152), "dynamic");
	assert_string_equal(pg_service_range(65535), "dynamic");
}

/* The names are the system's, whatever those are: for each port what getservbyport() says. */
static void names_are_those_of_getservbyport(void **state)
{
	struct pg_services *services = pg_services_read();

	(void)state;
	assert_non_null(services);
	for (enum pg_port_proto p = 0; p < _PG_PORT_PROTO_MAX; p++) {
		for (unsigned port = 0; port < 1200; port++) {
			const struct servent *entry =
				getservbyport(htons((uint16_t)port), pg_port_proto_name(p));

			assert_string_equal(pg_service_name(services, p, (uint16_t)port),
					    entry ? entry->s_name : "");
		}
	}
	pg_services_free(services);
}

static void https_is_known(void **state)
{
	struct pg_services *services = pg_services_read();

	(void)state;
	assert_non_null(services);
	if (getservbyport(htons(443), "tcp"))
		assert_string_equal(pg_service_name(services, PG_PORT_TCP, 443), "https");
	else
		skip(); /* a system without /etc/services */
	pg_services_free(services);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_meet_where_iana_says),
		cmocka_unit_test(names_are_those_of_getservbyport),
		cmocka_unit_test(https_is_known),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
