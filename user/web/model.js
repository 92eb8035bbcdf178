// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the stream says, as rates and a history. No DOM: it could run anywhere.

const MINUTE = 60, HISTORY = 300;
const MARKED = { closed: 1, unused: 1, published: 1 };
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
		this.total = Object.fromEntries(FIELDS.map(f => [f, 0]));
		this.rate = {};
	}

	// `away`: the event before did not name it, so what it has counted may be older, but for `since` packets.
	update(row, dt, away) {
		const [, , service, ...rest] = row;
		const numbers = rest.slice(0, FIELDS.length), [dropped, since] = rest.slice(10);
		const packets = numbers[0] + numbers[3] - this.total.inP - this.total.outP;
		const part = away ? Math.min(1, since / Math.max(1, packets)) : 1;

		this.service = service;
		this.open = rest[7];
		this.listener = rest[8];
		this.mark = Object.hasOwn(MARKED, rest[9]) ? rest[9] : null;
		numbers[2] += dropped;
		FIELDS.forEach((f, i) => {
			this.rate[f] = part * rate(numbers[i], this.total[f], dt);
			this.total[f] = numbers[i];
		});
		if (away)
			this.history = [];
		push(this.history, this.rate.inP + this.rate.outP, MINUTE);
	}

	text() {
		const [pid, comm, address] = this.listener ?? ['', '', ''];

		return `${this.key} ${this.service} ${comm} ${pid} ${address} ${this.mark ? `marked ${this.mark}` : ''}`.toLowerCase();
	}
}

// An interface: packets, bytes and drops a second of each direction, and nanoseconds a run of its program.
class Iface {
	update(row, dt) {
		const numbers = row.slice(3);

		[this.name, this.mode, this.attached] = row;
		this.rate = numbers.map((n, i) => rate(n, this.total?.[i], dt));
		// While it does not run, it costs what it did.
		this.ns = [6, 8].map((at, dir) => {
			const runs = numbers[at] - (this.total?.[at] ?? NaN);

			return runs > 0 ? (numbers[at + 1] - this.total[at + 1]) / runs : runs < 0 ? 0 : this.ns?.[dir] ?? 0;
		});
		this.total = numbers;
	}
}

export class Model {
	constructor() {
		this.ifaces = [];
		this.ports = new Map();
		this.known = new Map(); // also those that are not named now
		this.series = [[], [], [], []]; // time, accepted in, accepted out, dropped
		this.bytes = [];
		this.totals = {};
		this.rate = { in: 0, out: 0, drop: 0, inB: 0, outB: 0 };
	}

	take(msg) {
		const dt = this.last ? (msg.time_ms - this.last.time_ms) / 1000 : 0;

		this.takePorts(msg, dt);
		this.takeIfaces(msg, dt);
		this.takeTotals(msg, dt);
		this.last = msg;
	}

	// The server leaves out what matters least: what it does not name is not shown.
	takePorts(msg, dt) {
		const seen = new Map();

		for (const row of msg.ports) {
			const key = `${row[1]}/${row[0]}`;
			const port = this.known.get(key) ?? new Port(row[0], row[1]);

			port.update(row, dt, !this.ports.has(key));
			seen.set(key, port);
			this.known.set(key, port);
		}
		this.ports = seen;
	}

	takeIfaces(msg, dt) {
		this.ifaces = msg.ifaces.map((row, i) => {
			const iface = this.ifaces[i]?.name === row[0] ? this.ifaces[i] : new Iface();

			iface.update(row, dt);
			iface.key = `${i} ${row[0]}`;
			return iface;
		});
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
			const n = p.rate.inP, t = p.total.inP;

			if (t && (!best || n > best.n || (n === best.n && t > best.t)))
				best = { port: p, n, t };
		}
		return best;
	}
}

// A rule by its comment, or as it is written.
function label(spec) {
	const found = / --comment ("(?:[^"\\]|\\.)*"|\S+)/.exec(` ${spec}`)?.[1];

	return found?.startsWith('"') ? found.slice(1, -1).replace(/\\(.)/g, '$1') : found ?? spec;
}

// Rules and policies that drop, with what they have dropped: {key, what, why, total, reason}
export function droppers(chains) {
	const list = [];

	for (const c of chains) {
		if (c.policy === 'DROP' && c.packets)
			list.push({ key: `${c.table} ${c.name} policy`, what: `${c.name}'s policy: DROP`,
				why: 'no rule matched', total: c.packets, reason: 'policy' });
		for (const r of c.rules)
			if (r.drops && r.packets)
				list.push({ key: `${c.table} ${c.name} ${r.num} ${r.spec}`, what: label(r.spec),
					why: `rule ${r.num} of ${c.name}${label(r.spec) === r.spec ? '' : `: ${r.spec}`}`,
					total: r.packets, reason: 'rule' });
	}
	return list;
}

// What rules and policies dropped that are not in force any more: the rest of what was dropped for the
// reason. `list` must be younger than `drops`, so the rest is too small by what came in between; its
// maximum, which is kept in `gone`, is right soon.
export function leftOver(drops, list, gone) {
	for (const reason of ['rule', 'policy']) {
		const all = drops.find(([name]) => name === reason)?.[2] ?? 0;
		const known = list.reduce((n, c) => n + (c.reason === reason ? c.total : 0), 0);

		gone[reason] = all ? Math.max(gone[reason] ?? 0, all - known) : 0;
	}
}

// Why packets are dropped, most first: droppers by their own counters, which came at the time `at`, the
// rest by reason, as it was at `time`.
export function dropCauses(drops, time, list, at, gone) {
	const causes = list.map(c => ({ ...c, at }));

	for (const [name, help, packets] of drops)
		if (name !== 'rule' && name !== 'policy')
			causes.push({ key: name, what: name, why: help, total: packets, at: time });
	for (const [name, total] of Object.entries(gone))
		if (total)
			causes.push({ key: `gone ${name}`, what: `an earlier ${name}`,
				why: 'not in force any more', total, at, still: true });
	return causes.sort((a, b) => b.total - a.total || (a.key < b.key ? -1 : 1));
}
