// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The table of ports.

import { bits, count, el, setText, short, spark } from './format.js';
import { Table } from './table.js';

// What is marked, as `portguard ports --listening` words it.
const MARKS = {
	closed: 'listens, but the policy lets nobody in',
	unused: 'a rule opens it, but nobody listens',
	published: 'goes on to a container or another host',
};
const SVG = 'http://www.w3.org/2000/svg';

function sparkCell(td) {
	const svg = document.createElementNS(SVG, 'svg');

	svg.setAttribute('class', 'spark');
	svg.setAttribute('viewBox', '0 0 90 22');
	svg.setAttribute('preserveAspectRatio', 'none');
	svg.setAttribute('aria-hidden', 'true');
	for (const name of ['area', 'line']) {
		const path = document.createElementNS(SVG, 'path');

		path.setAttribute('class', name);
		svg.append(path);
	}
	td.append(svg);
}

export class Ports {
	constructor(onPort) {
		this.total = false;
		this.filter = '';
		this.list = [];
		this.table = new Table(document.getElementById('ports-table'), this.columns(onPort), {
			limit: 15, more: document.getElementById('ports-more'), by: 'In',
		});
	}

	// A counter as it is, or a second; bytes as bits a second.
	number(field, asBits) {
		const at = p => (this.total ? p.total : p.rate)[field];

		return {
			num: true,
			sort: at,
			text: p => this.total ? count(at(p)) : asBits ? bits(at(p)) : short(at(p)),
		};
	}

	columns(onPort) {
		const volume = p => this.total ? p.total.inB + p.total.outB : p.rate.inB + p.rate.outB;

		return [
			{ name: 'Port', sort: p => p.port, class: 'port',
				cell: (td, key) => {
					const b = el('button', { type: 'button', title: `Connections of ${key}` }, key);

					b.addEventListener('click', () => onPort(key));
					td.append(b, el('span', { class: 'service' }));
				},
				fill: (td, p) => setText(td.lastChild, p.service) },
			{ name: 'Listener', sort: p => p.listener ? p.listener[1] || '~' : '~~',
				class: 'who', cell: td => td.append(el('b'), ' ', el('span', { class: 'muted' }), ' ',
					el('span', { class: 'mark' }), el('span', { class: 'hidden' })),
				fill: (td, p) => {
					const [pid, comm, address] = p.listener ?? [0, '', ''];

					setText(td.firstChild, comm || (p.listener ? 'somebody' : ''));
					setText(td.children[1], p.listener ? `${pid ? `${pid} on ` : ''}${address}` :
						'nobody');
					setText(td.children[2], p.mark ?? '');
					td.children[2].title = MARKS[p.mark] ?? '';
					setText(td.lastChild, p.mark ? `: ${MARKS[p.mark]}` : '');
				} },
			{ name: 'Last minute', class: 'minute', wide: true, cell: sparkCell,
				fill: (td, p) => spark(td.firstChild, p.history) },
			{ name: 'In', title: 'packets that arrived', ...this.number('inP') },
			{ name: 'In bits', title: 'IP bytes that arrived', wide: true, ...this.number('inB', true) },
			{ name: 'Out', title: 'packets that were sent', ...this.number('outP') },
			{ name: 'Out bits', title: 'IP bytes that were sent', wide: true,
				...this.number('outB', true) },
			{ name: 'Dropped', title: 'packets that were dropped or rejected, both ways', class: 'dropped',
				...this.number('drop'),
				fill: (td, p) => {
					const n = (this.total ? p.total : p.rate).drop;

					setText(td, this.total ? count(n) : short(n));
					td.classList.toggle('hot', n > 0);
				} },
			{ name: 'SYN', wide: true, ...this.number('syn') },
			{ name: 'RST', wide: true, ...this.number('rst') },
			{ name: 'Open', title: 'connections that are open now', num: true, sort: p => p.open,
				text: p => count(p.open) },
			{ name: 'Share', title: 'of all ports\' bytes', wide: true, sort: volume, num: true,
				class: 'share', cell: td => td.append(el('progress', { max: 1, value: 0 })),
				fill: (td, p) => {
					const share = this.volume ? volume(p) / this.volume : 0;
					const bar = td.firstChild, text = `${Math.round(share * 100)} %`;

					if (bar.title !== text) {
						bar.value = share;
						bar.title = text;
						bar.setAttribute('aria-label', `share ${text}`);
					}
				} },
		];
	}

	show(model) {
		if (model)
			this.model = model;
		if (!this.model)
			return;
		const words = this.filter.toLowerCase().split(/[\s,]+/).filter(Boolean);
		const all = [...this.model.ports.values()];
		const list = words.length ? all.filter(p => words.some(w =>
			/^\d+$/.test(w) ? String(p.port) === w : p.text().includes(w))) : all;
		const n = this.model.last.n_ports;

		// What nothing tells apart stays in the order of what it has carried.
		for (const p of list)
			p.tie = -(p.total.inP + p.total.outP);
		this.volume = all.reduce((sum, p) => sum + (this.total ? p.total.inB + p.total.outB :
			p.rate.inB + p.rate.outB), 0);
		this.table.show(list);
		const listening = all.filter(p => p.listener).length, marked = all.filter(p => p.mark).length;
		const error = this.model.last.marks_error, button = document.getElementById('ports-marked');

		button.hidden = !marked && this.filter !== 'marked';
		button.setAttribute('aria-pressed', this.filter === 'marked');
		setText(button, `${marked} marked`);
		setText(document.getElementById('ports-count'), (words.length ? `${list.length} of ` : '') +
			(n > all.length ? `the ${all.length} busiest of ${count(n)}` : `${n}`) +
			` ports, ${listening} with a listener` + (error ? `; no marks: ${error}` : ''));
	}
}
