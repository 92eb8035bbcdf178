// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 *   layout DIR N    an instance's layout becomes another by N (1, -1): as another version's would be
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "pg_abi.h"

int main(int argc, char **argv)
{
	struct pg_ctl *ctl;
	char path[512];
	int fd;

	if (argc != 3)
		return 2;
	snprintf(path, sizeof(path), "%s/pg_tables", argv[1]);
	fd = bpf_obj_get(path);
	ctl = mmap(NULL, sizeof(*ctl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ctl == MAP_FAILED) {
		perror(path);
		return 1;
	}
	ctl->abi += (__u32)atoi(argv[2]);
	return 0;
}
