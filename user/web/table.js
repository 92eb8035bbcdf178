// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A table whose rows stay where they are in the document as long as their order does.

import { el, setText } from './format.js';

export class Table {
	// columns: {name, title, key, num, cell(td), fill(td, row), sort(row), wide}
	constructor(table, columns, { limit, more, by, onSort }) {
		Object.assign(this, { table, columns, limit, more, onSort });
		this.by = by;
		this.down = true;
		this.rows = new Map();
		this.body = table.tBodies[0];
		this.all = false;
		this.head();
		more?.addEventListener('click', () => {
			this.all = !this.all;
			this.show(this.data);
		});
	}

	head() {
		for (const c of this.columns) {
			const th = el('th', { scope: 'col', class: this.classes(c) });

			if (c.title)
				th.title = c.title;
			if (c.sort) {
				const button = el('button', { type: 'button' }, c.name);

				button.addEventListener('click', () => this.sortBy(c));
				th.append(button);
			} else {
				th.append(c.name);
			}
			c.th = th;
			this.table.tHead.rows[0].append(th);
		}
		this.mark();
	}

	classes(c) {
		return [c.num && 'num', c.wide && 'wide-only', c.class].filter(Boolean).join(' ');
	}

	mark() {
		for (const c of this.columns)
			if (c.sort)
				c.th.setAttribute('aria-sort', c.name !== this.by ? 'none' :
					this.down ? 'descending' : 'ascending');
	}

	sortBy(c) {
		this.down = c.name === this.by ? !this.down : c.num;
		this.by = c.name;
		this.mark();
		this.show(this.data);
	}

	order(data) {
		const c = this.columns.find(x => x.name === this.by);

		if (!c)
			return data;
		const values = new Map(data.map(d => [d, c.sort(d)]));

		return [...data].sort((a, b) => {
			const x = values.get(a), y = values.get(b);
			const r = x < y ? -1 : x > y ? 1 : 0;

			return (this.down ? -r : r) || (a.tie ?? 0) - (b.tie ?? 0);
		});
	}

	make(key) {
		const tr = el('tr');
		const cells = this.columns.map((c, i) => {
			const td = el(i ? 'td' : 'th', { class: this.classes(c) });

			if (!i)
				td.scope = 'row';
			c.cell?.(td, key);
			tr.append(td);
			return td;
		});
		return { tr, cells };
	}

	show(data = []) {
		this.data = data;
		const sorted = this.order(data);
		const shown = this.all || !this.limit ? sorted : sorted.slice(0, this.limit);
		const rows = new Map();
		let at = this.body.firstElementChild;

		for (const d of shown) {
			const row = this.rows.get(d.key) ?? this.make(d.key);

			rows.set(d.key, row);
			this.columns.forEach((c, i) =>
				c.fill ? c.fill(row.cells[i], d, row.tr) : setText(row.cells[i], c.text(d)));
			if (row.tr === at)
				at = at.nextElementSibling;
			else
				this.body.insertBefore(row.tr, at);
		}
		for (const [key, row] of this.rows)
			if (!rows.has(key))
				row.tr.remove();
		this.rows = rows;
		if (this.more) {
			this.more.hidden = sorted.length <= this.limit;
			setText(this.more, this.all ? 'Show fewer' : `Show all ${sorted.length}`);
		}
	}
}
