/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "doctor.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "ifaces.h"

/* A sysctl that is a number; 0: it is not there. */
static uint64_t read_number(const char *path)
{
	_fclose_ FILE *f = fopen(path, "re");
	char text[32] = "";
	uint64_t n = 0;

	if (!f || !fgets(text, sizeof(text), f))
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return pg_parse_u64(text, 0, UINT64_MAX, &n) < 0 ? 0 : n;
}

/* Sum over all CPUs of the columns that tell of connections for which there was no room. */
static uint64_t conntrack_refused(void)
{
	_fclose_ FILE *f = fopen("/proc/self/net/stat/nf_conntrack", "re");
	static const char *const wanted[] = { "drop", "early_drop" };
	bool take[32] = { false };
	char line[512];
	uint64_t sum = 0;

	for (unsigned n = 0; f && fgets(line, sizeof(line), f); n++) {
		char *rest = line, *word;

		for (unsigned i = 0; i < ARRAY_SIZE(take) && (word = strsep(&rest, " \n"));) {
			if (!*word)
				continue;
			for (size_t w = 0; !n && w < ARRAY_SIZE(wanted); w++)
				take[i] |= !strcmp(word, wanted[w]);
			if (n && take[i])
				sum += strtoull(word, NULL, 16);
			i++;
		}
	}
	return sum;
}

/* Whether it loads says only the verifier of this kernel. */
static void try_program(struct pg_doctor *d)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	const struct pg_private_opts opts = { .untraced = true };
	struct pg_err why = { 0 };

	d->loads = !pg_dp_open_private(&opts, &dp, &why);
	pg_printable(d->loads ? "" : why.text, d->load_error, sizeof(d->load_error));
}

static int read_host(struct pg_doctor *d)
{
	struct utsname uts;
	struct statfs fs;

	if (!uname(&uts))
		snprintf(d->kernel, sizeof(d->kernel), "%s", uts.release);
	d->cpus = (unsigned)get_nprocs();
	d->root = !geteuid();
	d->bpffs = !statfs("/sys/fs/bpf", &fs) && fs.f_type == BPF_FS_MAGIC;
	d->btf = !access("/sys/kernel/btf/vmlinux", R_OK);
	d->bpf = *pg_dp_kernel();
	try_program(d);
	d->flows_tracked = read_number("/proc/sys/net/netfilter/nf_conntrack_count");
	d->flows_max = read_number("/proc/sys/net/netfilter/nf_conntrack_max");
	d->flows_refused = conntrack_refused();
	return pg_foreign_read(&d->foreign);
}

/* What portguard itself has there. */
static int find_own(struct pg_dp *dp, struct pg_doctor *d, struct pg_err *err)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	int r;

	if (!iface)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_dp_ifaces(dp, iface, err);
	for (size_t i = 0; !r && i < d->n_nics; i++) {
		struct pg_doctor_nic *nic = &d->nic[i];
		const struct pg_dp_iface *own = pg_iface_find(iface, nic->name);

		if (!own || own->gone)
			continue;
		nic->attached = true;
		nic->mode = (enum pg_mode)own->abi.mode;
		pg_printable(own->abi.mode_reason, nic->mode_reason, sizeof(nic->mode_reason));
		for (size_t p = 0; p < nic->n_prog; p++)
			if (nic->prog[p].id == own->ingress_prog_id ||
			    nic->prog[p].id == own->egress_prog_id ||
			    nic->prog[p].id == own->mark_prog_id)
				snprintf(nic->owner[p], sizeof(nic->owner[p]), "portguard");
	}
	return r;
}

static int read_nics(struct pg_doctor *d, char **name, size_t n, struct pg_err *err)
{
	int r = 0;

	d->nic = calloc(n ? n : 1, sizeof(*d->nic));
	if (!d->nic)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; !r && i < n; i++)
		r = pg_doctor_nic_read(name[i], &d->nic[d->n_nics++], err);
	return r;
}

/* Those that are up; one that vanishes meanwhile is none. */
static int read_all_nics(struct pg_doctor *d, struct pg_err *err)
{
	struct if_nameindex *all = if_nameindex();
	size_t n = 0;

	while (all && all[n].if_index)
		n++;
	d->nic = calloc(n + 1, sizeof(*d->nic));
	for (size_t i = 0; d->nic && i < n; i++) {
		struct pg_doctor_nic *nic = &d->nic[d->n_nics];

		if (!pg_doctor_nic_read(all[i].if_name, nic, NULL) && nic->up && !nic->loopback)
			d->n_nics++;
	}
	if_freenameindex(all);
	return d->nic ? 0 : pg_fail(err, -ENOMEM, "out of memory");
}

int pg_doctor_gather(struct pg_dp *dp, const char *state_dir, char **name, size_t n,
		     struct pg_doctor *ret, struct pg_err *err)
{
	__s64 since;
	int r;

	*ret = (struct pg_doctor){ 0 };
	snprintf(ret->state_dir, sizeof(ret->state_dir), "%s", state_dir);
	r = n ? read_nics(ret, name, n, err) : read_all_nics(ret, err);
	if (!r && read_host(ret) < 0)
		r = pg_fail(err, -ENOMEM, "out of memory");
	if (r || !dp)
		return r;
	ret->shadow = pg_dp_shadow_state(dp, &since);
	ret->shadow_since = since;
	return find_own(dp, ret, err);
}

void pg_doctor_clear(struct pg_doctor *doctor)
{
	pg_foreign_clear(&doctor->foreign);
	free(doctor->nic);
	*doctor = (struct pg_doctor){ 0 };
}
