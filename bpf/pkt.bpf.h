/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What parsing leaves of a packet. */
#pragma once

/* The rows of one packet: leaves of the tables it was led to. */
struct rows {
	__u32 proto, saddr, daddr, sport, dport, detail, iface;
};

/* How far the classifier is in its loop. */
struct progress {
	__u64 word;    /* terms still to visit of these 64 */
	__u64 summary; /* words still to visit */
	__u32 base;    /* the first of these 64 */
	struct rows rows;
	__u8 cannot;	  /* PG_ASK_* that the packet cannot answer */
	__u8 missing_why; /* enum pg_reason, if it is asked nevertheless */
};

/*
 * What flow.bpf.h keeps of a packet from its state to its commit. Like all of struct pkt it lies in
 * memory that the verifier takes for any value, and so keeps its ways few.
 */
struct flow_pkt {
	__be32 addr[2][4]; /* sender, receiver; of the packet that an ICMP error quotes */
	__u16 port[2];	   /* theirs; ICMP: identifier, type << 8 | code of the query */
	__u8 proto;
	__u8 kind;     /* enum flow_kind */
	__u8 is_query; /* ICMP: the order of the ends is given */
	__u8 from;     /* the end of the key that sent it */
	__u8 event;    /* enum flow_event */
	__u8 effect;   /* enum flow_effect */
	__u8 opens;    /* it begins a flow, if it is accepted */
	__u8 unused;
	__u32 old, status; /* of the flow, before and after */
	struct pg_flow_key key;
	struct pg_flow fresh; /* an entry under construction: a stack is too small for it */
};

/*
 * A packet as the rest of the program sees it. Numbers in host order unless __be. It lives in a map
 * (pg_scratch), not on the stack: what comes back from a map is any value to the verifier, so the
 * many ways through the parser meet again behind it instead of each being followed to the end.
 */
struct pkt {
	__be32 saddr[4]; /* IPv4 in [0], the rest undefined */
	__be32 daddr[4];
	__u32 packets;	/* wire packets: 1, or what a GSO packet becomes */
	__u32 bytes;	/* IP bytes of all of them */
	__u32 gso_size; /* payload of each, 0 outside GSO */
	__u32 gso_segs; /* how many; 0 where the sender left that to others */
	__u32 ip_len;
	__u32 l3, l4; /* offsets of these headers in the frame */
	__u16 sport; /* ICMP type */
	__u16 dport; /* ICMP code */
	union {
		__u64 found[3]; /* all of these are zero at the start */
		struct {
			__u8 family;   /* enum pg_family */
			__u8 proto;    /* after IPv6 extension headers */
			__u8 l4_state; /* enum pg_l4_state */
			__u8 space;    /* enum pg_space */
			__u8 tcp_flags;
			__u8 has_ports; /* sport and dport are ports */
			__u8 has_flags;
			__u8 has_icmp;
			__u8 l4_bad; /* a length in it is wrong, which only tracking minds */
			/* For the trace only. */
			__u8 has_l3, has_proto, frag, vlans;
			__u16 frag_offset;
			__u8 untracked; /* table raw said so */
			__u8 ct_state;	/* PG_CT_*; 0: nobody asked yet */
		};
	};
	__u16 ethertype, l3_type, vlan_id[3]; /* for the trace, l3_type for the parser too */
	struct progress progress; /* the classifier's */
	struct flow_pkt flow;
};
