/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A message between two processes, and with it a descriptor (SCM_RIGHTS, unix(7)). */
#pragma once

#include <sys/types.h>

/* fd -1: without one. It stays the caller's. 0 or a negative errno. */
int pg_send_fd(int sock, const void *data, size_t n, int fd);
/* Bytes received, or a negative errno; *ret_fd is -1 where there came none, and the caller's where there did. */
ssize_t pg_receive_fd(int sock, void *data, size_t n, int *ret_fd);
