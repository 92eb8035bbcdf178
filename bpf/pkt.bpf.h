/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What parsing leaves of a packet. */
#pragma once

/*
 * The rows of one packet: leaves of the tables it was led to, and the rows that name few terms,
 * where the dimension had one (its bitmap is then the base row).
 */
enum { FEW_SADDR, FEW_DPORT, FEW_DADDR, FEW_SPORT, FEW_ROWS };
struct rows {
	__u32 proto, saddr, daddr, sport, dport, detail, iface;
	__u32 few[FEW_ROWS];
	__u32 name_few; /* some of them name a term */
};

/* What next_term() is asked. */
struct query {
	__u64 first; /* what the rows' first words share */
	__be32 saddr[4], daddr[4];
	struct rows rows, block; /* and, in the HUGE form, those of the block at hand */
	__u32 cursor; /* the first term that is asked */
	__u16 sport, dport;
	__u8 v6, tcp, flags, active;
	__u8 whole; /* a whole TCP or UDP header; else the ports and flags above are not looked at */
};

/* What the classifier's steps are given beside the packet at hand. */
struct loop {
	void *ctx;
	bool xdp;
};

/* A chain that waits for a RETURN. */
struct frame {
	__u32 cursor, end;
};

/* How far the classifier is. */
struct progress {
	__u32 cursor, end; /* the chain's terms that are still to be asked */
	__u32 term;	   /* at hand: its checks are being made */
	__u32 check, checks_end;
	__u8 then_drop;	   /* the checks lead to a header that is not there */
	__u8 wants_state;  /* a check asks for the connection's state, which is not known yet */
	__u8 done;	   /* enum pg_verdict + 1 */
	__u8 cannot;	   /* PG_ASK_* that the packet cannot answer */
	__u8 missing_why;  /* enum pg_reason, if it is asked nevertheless */
	__u8 stage;	   /* enum pg_stage */
	__u8 reason;	   /* enum pg_reason, when done */
	__u8 depth;
	__u8 must_drop;	   /* a check of the term at hand says so, whatever the term says */
	__u32 walk, walk_end; /* walk.bpf.h: where the check at hand is in the frame */
	__u32 slot;	   /* when done */
	__u32 arg;	   /* of the term that decided */
	struct frame stack[PG_MAX_DEPTH];
};

enum flow_kind {
	FLOW_INVALID,	/* belongs to nothing and starts nothing */
	FLOW_TRACKED,	/* key is its flow */
	FLOW_QUOTED,	/* an ICMP error: key is the flow that it is about */
	FLOW_UNTRACKED, /* neighbour discovery and multicast listeners, NOTRACK */
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
	__u8 event;    /* enum pg_segment */
	__u8 effect;   /* enum flow_effect */
	__u8 opens;    /* it begins a flow, if it is accepted */
	__u8 twin;     /* another CPU has begun the same flow at this moment */
	/* TCP */
	__u8 flags;
	__u32 seq, ack, end; /* end is behind its last byte, SYN and FIN counted */
	__u16 window;	     /* not scaled */
	__u8 scale;	     /* of a SYN's options: PG_LAST_* */
	__u8 acks_all;	     /* it acknowledges all that the other end has sent */
	struct pg_flow_window snd, rcv; /* the sender's and the receiver's, as it leaves them */
	struct pg_flow_window snd_was, rcv_was; /* and as it found them */
	__u64 moves;	     /* changes of the ends' states, a byte each: from << 4 | to */
	__u64 trouble;	     /* PG_TROUBLE_*: what it adds */
	/* SCTP */
	__be32 vtag, init_tag; /* the tag that it bears, and that its INIT or INIT-ACK asks for */
	__u64 said;	       /* enum sctp_chunk of each that says something, 4 bits, the first lowest */
	__u16 chunks;	       /* CHUNK() of all; 0: they cannot be */
	__u8 n_said;
	__u8 ignored; /* it does not prolong the association's life */
	/* Where the flow is. */
	__u32 tag;	/* that is looked for */
	__u32 bucket;	/* and where it was found */
	__u8 way, found;
	__u8 timeout;	/* enum pg_timeout that holds behind this packet */
	__u8 out_of_window; /* why it is INVALID */
	__u8 state, next; /* enum pg_tcp_state, before and after */
	__u8 killed;	/* it has been ended from outside: the packet is to be dropped */
	__u8 succeeds;	/* likewise, and the packet begins the next: the place is free once it is accepted */
	__u8 shortens;	/* the flow's life, by what the packet is INVALID for */
	__u32 tick, claimed;
	__u64 hash;
	__u64 old, status; /* of the flow, before and after */
	struct pg_flow_key key;
};

/* What tracking on the fast path needs of a packet. */
struct fast_flow {
	struct pg_flow_key key;
	__u32 seq, ack, end, window;
	__u32 packets, bytes;
	__u32 from;	  /* which end of the key sent it */
	__u8 flags;
	bool arrives;
	bool established; /* it must be: a rule has been told so */
};

/* What rules may ask of the packet's connection; filled in where PG_NEED_FLOW. */
struct ct_view {
	struct pg_count sent[2]; /* in its direction and against it, this packet included */
	__be32 addr[4][4];	 /* by enum pg_ct_end */
	__u32 field[8];		 /* by enum pg_ct_field */
	__u8 known;		 /* there is one */
	__u8 keyed;		 /* flow.key is the packet's, or of what it quotes */
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
	__u32 active;	/* generation of the tables: read once, this is the packet's policy */
	__u32 needs;	/* PG_NEED_* of that generation */
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
	__u8 why;     /* enum pg_reason: what the parser says */
	__u8 hook;    /* enum pg_stage: filter's chain that it meets */
	__u8 departs;
	__u8 passing; /* departs, and was asked about when it arrived by another of our interfaces */
	__u32 frag_at; /* IPv6: of the fragment header in the frame */
	struct pg_fragment_key frag_key;
	struct pg_fragment frag_fresh;
	__u32 through; /* FORWARD: index of pg_tables_map.through */
	__u32 other_ifindex; /* FORWARD: where it leaves, or has come from; 0: unknown */
	__u16 ethertype, l3_type, vlan_id[3]; /* for the trace, l3_type for the parser too */
	/* For checks. */
	__u8 smac[6], dmac[6];
	__u8 has_l2, pkttype;	  /* PACKET_*, by the destination's address */
	__u8 tos, ttl;
	__u32 mark, mark_was;
	__u32 frame_len;
	__u16 have, cut;      /* bit per enum pg_field from ESP_SPI on; cut: asked for, it drops */
	__u32 field[_PG_FIELD_MAX - PG_FIELD_ESP_SPI];
	__u32 ext_off, ext_next; /* load_ext()'s walk */
	__u32 rt_at, rt_next;	 /* the routing header in the frame; its next address */
	__u32 chunks_left[8];	 /* types of which one is still wanted */
	__u8 out[PG_REPLY_MAX + 64]; /* bytes at work: headers that are read, the answer of REJECT */
	__u32 n_path;	      /* for the trace */
	__u32 path[PG_TRACE_PATH];
	struct query query; /* the classifier's, as what follows */
	struct progress progress;
	struct flow_pkt flow;
	struct ct_view ct;
	struct pg_connlimit_key connlimit; /* ct.bpf.h's, at work */
	struct pg_connlimit connlimit_new;
	__u32 connlimit_found;
	struct fast_flow fast;
};
