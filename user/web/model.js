// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the stream says, as rates and a history. No DOM: it could run anywhere.

const MINUTE = 60, HISTORY = 300;
const FIELDS = ['inP', 'inB', 'drop', 'outP', 'outB', 'syn', 'rst'];

// A counter that is less than it was has begun anew: nothing is known of what was in between.
function rate(now, before, dt) {
	return before === undefined || now < before || dt <= 0 ? 0 : (now - before) / dt;
}

function push(list, value, max) {
	list.push(value);
	if (list.length > max)
		list.shift();
}

class Port {
	constructor(proto, port) {
		this.key = `${port}/${proto}`;
		this.proto = proto;
		this.port = port;
		this.total = {};
		this.rate = {};
		this.history = [];
	}

	update(row, dt) {
		const [, , service, ...rest] = row;

		this.service = service;
		this.open = rest[7];
		this.listener = rest[8];
		FIELDS.forEach((f, i) => {
			this.rate[f] = rate(rest[i], this.total[f], dt);
			this.total[f] = rest[i];
		});
		push(this.history, this.rate.inP + this.rate.outP, MINUTE);
	}

	text() {
		const [pid, comm, address] = this.listener ?? ['', '', ''];

		return `${this.key} ${this.service} ${comm} ${pid} ${address}`.toLowerCase();
	}
}

export class Model {
	constructor() {
		this.ports = new Map();
		this.series = [[], [], [], []]; // time, accepted in, accepted out, dropped
		this.bytes = [];
		this.totals = {};
		this.rate = { in: 0, out: 0, drop: 0, inB: 0, outB: 0 };
	}

	take(msg) {
		const dt = this.last ? (msg.time_ms - this.last.time_ms) / 1000 : 0;

		this.takePorts(msg, dt);
		this.takeTotals(msg, dt);
		this.last = msg;
	}

	// The server leaves out what matters least: what it does not name is not shown.
	takePorts(msg, dt) {
		const seen = new Map();

		for (const row of msg.ports) {
			const key = `${row[1]}/${row[0]}`;
			const port = this.ports.get(key) ?? new Port(row[0], row[1]);

			port.update(row, dt);
			seen.set(key, port);
		}
		this.ports = seen;
	}

	takeTotals(msg, dt) {
		const [i, o] = msg.verdicts;
		const now = { in: i[0], out: o[0], drop: i[2] + o[2], inB: i[1] + i[3], outB: o[1] + o[3] };

		for (const k of Object.keys(now))
			this.rate[k] = rate(now[k], this.totals[k], dt);
		this.totals = now;
		if (!dt)
			return;
		[msg.time_ms / 1000, this.rate.in, this.rate.out, this.rate.drop].forEach((v, k) =>
			push(this.series[k], v, HISTORY));
		push(this.bytes, this.rate.inB + this.rate.outB, MINUTE);
	}

	busiest() {
		let best = null;

		for (const p of this.ports.values()) {
			const n = p.rate.inP + p.rate.outP, t = p.total.inP + p.total.outP;

			if (t && (!best || n > best.n || (n === best.n && t > best.t)))
				best = { port: p, n, t };
		}
		return best;
	}
}

// Why packets are dropped: rules by their own counters, the rest by reason.
// Each is {key, what, why, total}; most first.
export function dropCauses(drops, chains) {
	const causes = [];
	let byRule = 0, byPolicy = 0;

	for (const c of chains) {
		if (c.policy === 'DROP' && c.packets) {
			byPolicy += c.packets;
			causes.push({ key: `${c.table} ${c.name} policy`, what: `${c.name}'s policy: DROP`,
				why: 'no rule matched', total: c.packets });
		}
		for (const r of c.rules) {
			if (!/ -j (DROP|REJECT)\b/.test(` ${r.spec}`) || !r.packets)
				continue;
			byRule += r.packets;
			causes.push({ key: `${c.table} ${c.name} ${r.num} ${r.spec}`, what: r.spec,
				why: `rule ${r.num} of ${c.name}`, total: r.packets });
		}
	}
	for (const [name, help, packets] of drops) {
		const rest = name === 'rule' ? packets - byRule : name === 'policy' ? packets - byPolicy :
			packets;
		const gone = name === 'rule' || name === 'policy';

		if (rest > 0)
			causes.push({ key: name, what: gone ? `by an earlier ${name}` : name,
				why: gone ? 'it is not in force any more' : help, total: rest });
	}
	return causes.sort((a, b) => b.total - a.total || (a.key < b.key ? -1 : 1));
}
