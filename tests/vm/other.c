// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Another tool with a program in libxdp's dispatcher: one of the shared library, and so with the dispatcher that
 * is installed, where xdp-loader may have its own.
 *   other load IFACE FILE | unload IFACE PROGRAM | list IFACE
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include <xdp/libxdp.h>

static int load(int ifindex, const char *file)
{
	struct xdp_program *prog = xdp_program__open_file(file, "xdp", NULL);
	int r = (int)libxdp_get_error(prog);

	if (r)
		return r;
	r = xdp_program__attach(prog, ifindex, XDP_MODE_SKB, 0);
	xdp_program__close(prog);
	return r;
}

static int unload(int ifindex, const char *name)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *prog = NULL;
	int r = (int)libxdp_get_error(mp);

	if (r)
		return r;
	while ((prog = xdp_multiprog__next_prog(prog, mp)) && strcmp(xdp_program__name(prog), name) != 0)
		;
	r = prog ? xdp_program__detach(prog, ifindex, XDP_MODE_SKB, 0) : -ENOENT;
	xdp_multiprog__close(mp);
	return r;
}

/* The names of the dispatcher's programs, in order. */
static int list(int ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *prog = NULL;
	int r = (int)libxdp_get_error(mp);

	if (r)
		return r == -ENOENT ? 0 : r;
	while ((prog = xdp_multiprog__next_prog(prog, mp)))
		puts(xdp_program__name(prog));
	xdp_multiprog__close(mp);
	return 0;
}

int main(int argc, char **argv)
{
	int ifindex = argc > 2 ? (int)if_nametoindex(argv[2]) : 0;
	int r = -EINVAL;

	if (ifindex && argc == 3 && !strcmp(argv[1], "list"))
		r = list(ifindex);
	else if (ifindex && argc == 4 && !strcmp(argv[1], "load"))
		r = load(ifindex, argv[3]);
	else if (ifindex && argc == 4 && !strcmp(argv[1], "unload"))
		r = unload(ifindex, argv[3]);
	if (r)
		fprintf(stderr, "other: %s\n", strerror(-r));
	return r ? 1 : 0;
}
