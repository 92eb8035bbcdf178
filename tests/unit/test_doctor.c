/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Facts that this machine may not have, and what is to be found of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "doctor.h"

static struct pg_doctor_nic good_nic(void)
{
	return (struct pg_doctor_nic){
		.name = "eth0", .mtu = 1500, .driver = "ixgbe", .ethernet = true, .up = true,
		.xdp_known = true, .xdp = PG_XDP_ACT_BASIC, .queues = 4, .queues_max = 8, .combined = true,
		.rss_queues = 4,
	};
}

static struct pg_doctor good(struct pg_doctor_nic *nic)
{
	return (struct pg_doctor){
		.kernel = "6.1.0", .state_dir = PG_STATE_DIR_DEFAULT, .cpus = 4, .root = true, .bpffs = true, .btf = true, .loads = true,
		.bpf = { true, true, true, true }, .nic = nic, .n_nics = 1,
	};
}

/* "severity: mend" of the first finding of this code; "-": there is none. */
static const char *find(const struct pg_doctor *d, const char *code)
{
	static char text[520];
	struct pg_findings f;

	pg_doctor_judge(d, &f);
	assert_false(f.oom);
	snprintf(text, sizeof(text), "-");
	for (size_t i = f.n; i-- > 0;)
		if (!strcmp(f.one[i].code, code))
			snprintf(text, sizeof(text), "%s: %s", pg_severity_name(f.one[i].severity),
				 f.one[i].mend);
	pg_findings_clear(&f);
	return text;
}

static void nothing_is_wrong(void **state)
{
	struct pg_doctor_nic nic = good_nic();
	struct pg_doctor d = good(&nic);
	struct pg_findings f;

	(void)state;
	pg_doctor_judge(&d, &f);
	for (size_t i = 0; i < f.n; i++)
		assert_int_equal(f.one[i].severity, PG_SEVERITY_OK);
	pg_findings_clear(&f);
}

static void an_mtu_that_is_too_large(void **state)
{
	struct pg_doctor_nic nic = good_nic();
	struct pg_doctor d = good(&nic);

	(void)state;
	nic.mtu = 9000;
	assert_string_equal(find(&d, "mtu"), "warning: ip link set dev eth0 mtu 3498");
	nic.xdp |= PG_XDP_ACT_RX_SG;
	assert_string_equal(find(&d, "mtu"), "ok: ");
	d.bpf.frags = false;
	assert_string_equal(find(&d, "mtu"), "warning: ip link set dev eth0 mtu 3498");
	nic.xdp = 0; /* no native XDP: the MTU does not matter */
	assert_string_equal(find(&d, "mtu"), "-");
	assert_string_equal(find(&d, "native"), "info: portguard attach eth0");
	snprintf(d.state_dir, sizeof(d.state_dir), "/sys/fs/bpf/second");
	assert_string_equal(find(&d, "native"), "info: portguard --state /sys/fs/bpf/second attach eth0");
	snprintf(d.state_dir, sizeof(d.state_dir), "/sys/fs/bpf/$(id)");
	assert_string_equal(find(&d, "native"), "info: ");
}

static void offloads(void **state)
{
	struct pg_doctor_nic nic = good_nic();
	struct pg_doctor d = good(&nic);

	(void)state;
	nic.lro = nic.gro_hw = nic.vlan_strip = true;
	assert_string_equal(find(&d, "lro"), "warning: ethtool -K eth0 lro off");
	assert_string_equal(find(&d, "gro-hw"), "warning: ethtool -K eth0 rx-gro-hw off");
	assert_string_equal(find(&d, "vlan-strip"), "warning: ethtool -K eth0 rxvlan off");
	nic.vlan_strip_fixed = true;
	assert_string_equal(find(&d, "vlan-strip"), "warning: portguard attach eth0 --mode tc");
	nic.veth = true; /* what it says of them means nothing */
	assert_string_equal(find(&d, "vlan-strip"), "-");
}

static void queues(void **state)
{
	struct pg_doctor_nic nic = good_nic();
	struct pg_doctor d = good(&nic);

	(void)state;
	nic.queues = 2;
	assert_string_equal(find(&d, "queues"), "warning: ethtool -L eth0 combined 4");
	nic.combined = false;
	assert_string_equal(find(&d, "queues"), "warning: ethtool -L eth0 rx 4");
	nic.veth = true;
	assert_string_equal(find(&d, "queues"), "-");
	nic.attached = true;
	nic.mode = PG_MODE_TC;
	assert_string_equal(find(&d, "queues"), "-");
	nic.mode = PG_MODE_NATIVE;
	assert_string_equal(find(&d, "queues"), "warning: ethtool -L eth0 rx 4");
	nic.queues = 4;
	nic.rss_queues = 1;
	assert_string_equal(find(&d, "rss"), "warning: ethtool -X eth0 equal 4");
}

static void programs_of_others(void **state)
{
	struct pg_doctor_nic nic = good_nic();
	struct pg_doctor d = good(&nic);

	(void)state;
	nic.n_prog = 1;
	nic.prog[0] = (struct pg_dp_hooked){ .hook = PG_DP_HOOK_XDP_NATIVE, .id = 7, .name = "lb" };
	assert_string_equal(find(&d, "other-program"), "problem: portguard attach eth0 --mode tc");
	strcpy(nic.owner[0], "portguard");
	assert_string_equal(find(&d, "other-program"), "-");
	strcpy(nic.owner[0], "cilium[1]");
	nic.prog[0].hook = PG_DP_HOOK_TCX_IN;
	assert_string_equal(find(&d, "other-program"), "info: bpftool prog show id 7");
}

static void conntrack_and_the_kernel(void **state)
{
	struct pg_doctor_nic nic = good_nic();
	struct pg_doctor d = good(&nic);

	(void)state;
	d.flows_max = 1000;
	d.flows_tracked = 100;
	assert_string_equal(find(&d, "conntrack"), "ok: ");
	d.flows_tracked = 900;
	assert_string_equal(find(&d, "conntrack"),
			    "warning: sysctl -w net.netfilter.nf_conntrack_max=2000");
	d.loads = false;
	d.root = false;
	assert_string_equal(find(&d, "loads"), "problem: sudo portguard doctor");
	d.bpf.jit = false;
	assert_string_equal(find(&d, "jit"), "warning: sysctl -w net.core.bpf_jit_enable=1");
	d.btf = false;
	assert_string_equal(find(&d, "btf"), "problem: ");
}

/* What is not as it should be comes with a command, or says that there is none. */
static void each_has_its_command(void **state)
{
	struct pg_foreign_port port = { .proto = PG_PORT_UDP, .lo = 5000, .hi = 5010, .table = "nat" };
	struct pg_foreign_unread unread = { .by = PG_FOREIGN_IPTABLES, .family = "ip", .table = "nat",
					    .chain = "DOCKER", .rules = 2 };
	struct pg_doctor_nic nic = { .name = "eth0", .mtu = 9000, .ethernet = true, .attached = true,
				     .mode = PG_MODE_NATIVE, .veth = true, .peer_here = true,
				     .peer_gso = true, .peer = "eth1", .queues = 1, .queues_max = 1,
				     .n_prog = 2, .lro = true };
	struct pg_doctor d = { .kernel = "5.10.0", .state_dir = PG_STATE_DIR_DEFAULT, .cpus = 4, .root = true, .nic = &nic, .n_nics = 1,
			       .flows_max = 10, .flows_tracked = 10, .shadow = PG_SHADOW_ON };
	struct pg_findings f;

	(void)state;
	nic.prog[1].hook = PG_DP_HOOK_TCX_IN;
	d.foreign = (struct pg_foreign){ .port = &port, .n_ports = 1, .unread = &unread, .n_unread = 1 };
	for (int veth = 1; veth >= 0; veth--) {
		nic.veth = veth;
		nic.attached = veth;
		pg_doctor_judge(&d, &f);
		assert_true(f.n > 10);
		for (size_t i = 0; i < f.n; i++)
			if (f.one[i].severity != PG_SEVERITY_OK && !f.one[i].mend[0] &&
			    !strstr(f.one[i].text, "no command mends that"))
				fail_msg("%s has no command", f.one[i].code);
		pg_findings_clear(&f);
	}
	assert_string_equal(find(&d, "published"), "warning: portguard deny 5000:5010/udp");
	assert_string_equal(find(&d, "published-unread"), "warning: iptables-legacy -t nat -S");
	assert_string_equal(find(&d, "shadow"), "info: portguard shadow --stop");
	d.shadow = PG_SHADOW_UNFINISHED;
	assert_string_equal(find(&d, "shadow"), "warning: portguard shadow --stop");
}

/* Names are the kernel's own bytes: none is put into a command that a shell would understand. */
static void hostile_names(void **state)
{
	struct pg_foreign_chain chain = { .family = "ip", .table = "t; reboot", .name = "c", .rules = 1,
					  .hook = "input" };
	struct pg_doctor_nic nic = good_nic();
	struct pg_doctor d = good(&nic);

	(void)state;
	d.foreign.chain = &chain;
	d.foreign.n_chains = 1;
	assert_string_equal(find(&d, "other-rules"), "info: nft list ruleset");
	strcpy(chain.table, "t");
	assert_string_equal(find(&d, "other-rules"), "info: nft list chain ip t c");
	strcpy(nic.name, "a;b\033");
	nic.up = false;
	assert_string_equal(find(&d, "down"), "warning: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_wrong),	 cmocka_unit_test(an_mtu_that_is_too_large),
		cmocka_unit_test(offloads),		 cmocka_unit_test(queues),
		cmocka_unit_test(programs_of_others),	 cmocka_unit_test(conntrack_and_the_kernel),
		cmocka_unit_test(each_has_its_command),	 cmocka_unit_test(hostile_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
