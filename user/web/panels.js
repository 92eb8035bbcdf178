// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Drops, states, connections and rules.

import { bits, count, duration, el, setText, short } from './format.js';
import { Table } from './table.js';

const $ = id => document.getElementById(id);
const STATES = ['CLOSED', 'LISTEN', 'SYN_SENT', 'SYN_RECEIVED', 'ESTABLISHED', 'FIN_WAIT_1',
	'FIN_WAIT_2', 'CLOSE_WAIT', 'CLOSING', 'LAST_ACK', 'TIME_WAIT'];
const SHORT = ['CLOSED', 'LISTEN', 'SYN SENT', 'SYN RECV', 'ESTAB', 'FIN 1', 'FIN 2', 'CL. WAIT',
	'CLOSING', 'LAST ACK', 'TIME W.'];

// Rates of counters that come in their own time: {key, total, at}, `at` in the server's seconds. Sets .rate;
// of what is `still`, which is only known better as time goes by, to 0.
export class Rates {
	constructor() {
		this.last = new Map();
	}

	update(list) {
		const next = new Map();

		for (const item of list) {
			const was = this.last.get(item.key);

			item.rate = !was || item.still || item.total < was.total ? 0 : item.at <= was.at ? was.rate :
				(item.total - was.total) / (item.at - was.at);
			next.set(item.key, was && item.at <= was.at ? was : item);
		}
		this.last = next;
	}
}

export class Drops {
	constructor() {
		this.rates = new Rates();
		this.items = new Map();
		this.shown = 5;
	}

	show(causes) {
		const list = $('drops'), items = new Map();

		this.rates.update(causes);
		$('drops-none').hidden = causes.length > 0;
		for (const c of causes.slice(0, this.shown)) {
			const li = this.items.get(c.key) ?? el('li', {}, el('span', { class: 'what' }),
				el('span', { class: 'why' }), el('span', { class: 'n' }),
				el('progress', { max: 1, 'aria-hidden': 'true' }));
			const [what, why, n, bar] = li.children;

			setText(what, c.what);
			setText(why, c.why);
			why.title = c.why;
			setText(n, `${count(c.total)}${c.rate ? `, ${short(c.rate)}/s` : ''}`);
			bar.value = c.total / causes[0].total;
			items.set(c.key, li);
		}
		const wanted = [...items.values()];

		if (wanted.length !== list.children.length || wanted.some((li, i) => list.children[i] !== li))
			list.replaceChildren(...wanted);
		this.items = items;
	}
}

export class States {
	constructor() {
		const head = $('states-table').tHead.rows[0], body = $('states-table').tBodies[0];

		this.cells = new Map();
		head.append(el('td'));
		SHORT.forEach((s, i) => head.append(el('th', { scope: 'col' }, el('abbr', { title: STATES[i] }, s))));
		STATES.forEach((from, i) => {
			const tr = el('tr', {}, el('th', { scope: 'row' }, from));

			STATES.forEach((to, k) => {
				const td = el('td');

				this.cells.set(`${from} ${to}`, td);
				tr.append(td);
			});
			body.append(tr);
		});
	}

	show(transitions) {
		const values = new Map(transitions.map(([from, to, n]) => [`${from} ${to}`, n]));
		const top = Math.log1p(Math.max(1, ...values.values()));

		for (const [key, td] of this.cells) {
			const n = values.get(key) ?? 0;
			const heat = n ? 1 + Math.floor(Math.log1p(n) / top * 4.99) : 0;

			setText(td, n ? short(n) : '');
			if (td.className !== `h${heat}`) {
				td.className = `h${heat}`;
			}
			td.title = n ? `${key.replace(' ', ' to ')}: ${count(n)}` : '';
		}
	}
}

// Single packets, as they come.
export class LastDrops {
	constructor() {
		const column = (name, text, more = {}) => ({ name, text, ...more });

		this.table = new Table($('last-table'), [
			column('Time', d => new Date(d.time).toLocaleTimeString('en-GB')),
			column('By', d => d.who),
			column('Reason', d => d.reason),
			column('Proto', d => d.proto),
			column('From', d => d.src),
			column('To', d => d.dst),
			column('Flags', d => d.flags, { wide: true }),
			column('Length', d => count(d.length), { num: true, wide: true }),
			column('Interface', d => d.iface, { wide: true }),
		], { limit: 8, more: $('last-more') });
	}

	show({ last_drops: list, drops_seen: seen, drops_missed: missed }) {
		this.table.show(list.map(([key, time, iface, reason, who, proto, src, dst, flags, length]) =>
			({ key, time, iface, reason, who, proto, src, dst, flags, length })));
		setText($('last-count'), !seen ? 'nothing has been dropped' : `the newest ${list.length}` +
			(missed ? `; ${count(missed)} came too fast to be kept` : ''));
	}
}

export class Interfaces {
	constructor() {
		const number = (name, at, show, more = {}) =>
			({ name, num: true, text: d => show(d.rate[at]), ...more });
		const cost = (name, dir) => ({ name, num: true, title: 'nanoseconds a packet',
			text: d => d.ns[dir] ? `${count(d.ns[dir])} ns` : '–' });

		this.table = new Table($('ifaces-table'), [
			{ name: 'Interface', text: d => d.name },
			{ name: 'Mode', text: d => d.attached ? d.mode : 'gone' },
			number('In', 0, short), number('In bits', 1, bits, { wide: true }),
			number('In dropped', 2, short), cost('In cost', 0),
			number('Out', 3, short), number('Out bits', 4, bits, { wide: true }),
			number('Out dropped', 5, short), cost('Out cost', 1),
		], {});
	}

	show(ifaces) {
		this.table.show(ifaces);
		setText($('cost'), ifaces.some(i => i.ns[0] || i.ns[1]) ?
			'Cost: of a program\'s run, as the kernel measures it' :
			'Cost is not measured: the kernel does it while sysctl kernel.bpf_stats_enabled is 1, or ' +
			'while `portguard top --cost` runs, and each packet then takes some 20 ns more');
	}
}

function address(host, port) {
	return port === null ? host : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

// A row of the stream, and a flow of /api/v1/flows, which has no rates.
function talker([proto, from, to, state, sent, got, sentP, gotP, rtt_us, retr, back, age_s, rate, rateBack]) {
	return { key: `${proto} ${from} ${to}`, proto, from, to, state, bytes: [sent, got], packets: [sentP, gotP],
		rtt_us, retransmits: [retr, back], age_s, rate: rate + rateBack };
}

function flow(f) {
	return { ...f, key: `${f.proto} ${f.src} ${f.sport} ${f.dst} ${f.dport} ${f.netns} ${f.id ?? ''}`,
		from: address(f.src, f.sport), to: address(f.dst, f.dport), rate: NaN };
}

export class Flows {
	constructor() {
		const pair = (f, show = short) => d => `${show(d[f][0])} / ${show(d[f][1])}`;
		const sum = f => d => d[f][0] + d[f][1];

		this.port = '';
		this.table = new Table($('flows-table'), [
			{ name: 'From', sort: d => d.from, text: d => d.from },
			{ name: 'To', sort: d => d.to, text: d => d.to },
			{ name: 'State', sort: d => d.state, class: 'state',
				text: d => d.proto === 'tcp' ? d.state : `${d.proto} ${d.state}` },
			{ name: 'Now', title: 'bits a second, both ways', num: true, sort: d => d.rate || 0,
				text: d => Number.isNaN(d.rate) ? '–' : bits(d.rate) },
			{ name: 'Bytes', title: 'from the end that opened it / back', num: true, sort: sum('bytes'),
				text: pair('bytes') },
			{ name: 'Packets', num: true, wide: true, sort: sum('packets'), text: pair('packets') },
			{ name: 'RTT', title: 'of the handshake', num: true, sort: d => d.rtt_us,
				text: d => d.rtt_us ? `${(d.rtt_us / 1000).toFixed(1)} ms` : '–' },
			{ name: 'Retr.', title: 'segments that came again', num: true, wide: true,
				sort: sum('retransmits'), text: pair('retransmits') },
			{ name: 'Age', num: true, sort: d => d.age_s, text: d => duration(d.age_s) },
		], { limit: 12, more: $('flows-more'), by: 'Now' });
		$('flows-all').addEventListener('click', () => this.select(''));
	}

	// '': all ports, whose busiest flows come with the stream.
	select(key) {
		const [port, proto] = key.split('/');

		this.port = key;
		this.query = key ? `&port=${port}&proto=${proto}` : '';
		$('flows-all').hidden = !key;
		this.changed?.();
	}

	path() {
		return this.port ? `/api/v1/flows?top=50&by=bytes${this.query}` : '';
	}

	take({ talkers, flows }) {
		this.tracking = flows.tracking;
		if (!this.port)
			this.put(talkers.map(talker), `the ${talkers.length} busiest of ${count(flows.count + flows.half_open)}`);
	}

	show(flows) {
		this.put(flows.map(flow), `of port ${this.port}, the ${flows.length} with most bytes`);
	}

	put(list, what) {
		for (const f of list)
			f.tie = -(f.bytes[0] + f.bytes[1]);
		this.table.show(list);
		setText($('flows-count'), this.tracking === false ?
			'not tracked: no rule asks for states (portguard track on)' : what);
	}
}

export class Rules {
	constructor() {
		this.rates = new Rates();
		this.table = new Table($('rules-table'), [
			{ name: 'Chain', sort: d => d.order, class: 'chain', text: d => d.chain },
			{ name: 'Rule', class: 'spec', fill: (td, d, tr) => {
				setText(td, d.spec);
				tr.classList.toggle('never', !d.total);
			} },
			{ name: 'Packets', num: true, sort: d => d.total, text: d => count(d.total) },
			{ name: 'Bytes', num: true, wide: true, sort: d => d.bytes, text: d => short(d.bytes) },
			{ name: 'A second', num: true, sort: d => d.rate, text: d => short(d.rate) },
		], { limit: 50, more: $('rules-more') });
	}

	show(chains, at) {
		const list = [];

		for (const c of chains) {
			const name = c.table === 'filter' ? c.name : `${c.table} ${c.name}`;

			for (const r of c.rules)
				list.push({ key: `${name} ${r.num} ${r.spec}`, chain: `${name} ${r.num}`,
					order: list.length, at, spec: r.spec, total: r.packets, bytes: r.bytes });
			if (c.policy)
				list.push({ key: `${name} policy`, chain: name, order: list.length, at,
					spec: `policy ${c.policy}`, total: c.packets, bytes: c.bytes });
		}
		this.rates.update(list);
		this.table.show(list);
		const rules = chains.reduce((n, c) => n + c.rules.length, 0);
		const never = list.filter(r => !r.total && !r.spec.startsWith('policy')).length;

		setText($('rules-count'), `${rules} rule${rules === 1 ? '' : 's'}` +
			(never ? `, ${never} never hit` : ''));
		return rules;
	}
}
