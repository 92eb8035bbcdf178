/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "doctor.h"
#include "json_put.h"
#include "names.h"

static struct json_object *finding(const struct pg_finding *f, bool *oom)
{
	struct json_object *o = json_object_new_object();

	pg_json_text(o, "subject", f->subject[0] ? f->subject : "host", oom);
	pg_json_text(o, "severity", pg_severity_name(f->severity), oom);
	pg_json_text(o, "code", f->code, oom);
	pg_json_text(o, "text", f->text, oom);
	pg_json_text(o, "mend", f->mend, oom);
	return o;
}

static struct json_object *nic(const struct pg_doctor_nic *n, bool *oom)
{
	struct json_object *o = json_object_new_object();

	pg_json_text(o, "name", n->name, oom);
	pg_json_number(o, "ifindex", n->ifindex, oom);
	pg_json_number(o, "mtu", n->mtu, oom);
	pg_json_text(o, "driver", n->driver, oom);
	pg_json_text(o, "kind", n->kind, oom);
	if (n->xdp_known) {
		pg_json_bool(o, "native", n->xdp & PG_XDP_ACT_BASIC, oom);
		pg_json_bool(o, "native_frags", n->xdp & PG_XDP_ACT_RX_SG, oom);
	}
	pg_json_bool(o, "lro", n->lro, oom);
	pg_json_bool(o, "gro", n->gro, oom);
	pg_json_bool(o, "gro_hw", n->gro_hw, oom);
	pg_json_bool(o, "vlan_strip", n->vlan_strip, oom);
	pg_json_number(o, "queues", n->queues, oom);
	pg_json_number(o, "queues_max", n->queues_max, oom);
	pg_json_number(o, "rss_queues", n->rss_queues, oom);
	pg_json_bool(o, "attached", n->attached, oom);
	if (n->attached)
		pg_json_text(o, "mode", pg_mode_name(n->mode), oom);
	return o;
}

static struct json_object *kernel(const struct pg_doctor *d, bool *oom)
{
	struct json_object *o = json_object_new_object();

	pg_json_text(o, "release", d->kernel, oom);
	pg_json_bool(o, "loads", d->loads, oom);
	pg_json_bool(o, "btf", d->btf, oom);
	pg_json_bool(o, "bpffs", d->bpffs, oom);
	pg_json_bool(o, "jit", d->bpf.jit, oom);
	pg_json_bool(o, "bpf_loop", d->bpf.loop, oom);
	pg_json_bool(o, "xdp_frags", d->bpf.frags, oom);
	pg_json_bool(o, "tcx", d->bpf.tcx, oom);
	return o;
}

int pg_json_doctor(FILE *f, const struct pg_doctor *doctor, const struct pg_findings *findings,
		   struct pg_err *err)
{
	struct json_object *doc = json_object_new_object(), *list = json_object_new_array(),
			   *nics = json_object_new_array();
	bool oom = findings->oom;

	pg_json_put(doc, "kernel", kernel(doctor, &oom), &oom);
	pg_json_put(doc, "interfaces", nics, &oom);
	for (size_t i = 0; i < doctor->n_nics && !oom; i++)
		json_object_array_add(nics, nic(&doctor->nic[i], &oom));
	pg_json_put(doc, "findings", list, &oom);
	for (size_t i = 0; i < findings->n && !oom; i++)
		json_object_array_add(list, finding(&findings->one[i], &oom));
	return pg_json_end(f, doc, oom, err);
}
