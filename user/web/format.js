// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Numbers as people read them. What comes from the server goes into the page by textContent only.

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export function count(n) {
	return whole.format(n);
}

// 3 digits: 0, 0.4, 12, 1.2k, 34M
export function short(n) {
	const units = ['', 'k', 'M', 'G', 'T'];
	let u = 0;

	while (n >= 999.5 && u < units.length - 1) {
		n /= 1000;
		u++;
	}
	const digits = n === 0 || n >= 9.95 || (u === 0 && Number.isInteger(n)) ? 0 : 1;
	return n.toFixed(digits) + units[u];
}

export function bits(bytes) {
	const text = short(bytes * 8);
	const unit = /[kMGT]$/.test(text) ? text.slice(-1) : '';

	return `${unit ? text.slice(0, -1) : text} ${unit}bit/s`;
}

export function duration(s) {
	if (s < 60)
		return `${s}s`;
	if (s < 3600)
		return `${Math.floor(s / 60)}m`;
	if (s < 86400)
		return `${Math.floor(s / 3600)}h${String(Math.floor(s / 60) % 60).padStart(2, '0')}m`;
	return `${Math.floor(s / 86400)}d${String(Math.floor(s / 3600) % 24).padStart(2, '0')}h`;
}

export function el(name, attrs = {}, ...children) {
	const e = document.createElement(name);

	for (const [k, v] of Object.entries(attrs))
		e.setAttribute(k, v);
	e.append(...children);
	return e;
}

// Only what has changed: the browser then has nothing to lay out, nor a screen reader to say.
export function setText(e, text) {
	if (e.textContent !== text)
		e.textContent = text;
}

// Draw values into an svg with a path of class `area` and one of class `line`.
export function spark(svg, values, max) {
	const [, , w, h] = svg.getAttribute('viewBox').split(' ').map(Number);
	const top = Math.max(max ?? 0, ...values, 1e-9), n = 60;
	let line = '';

	values.slice(-n).forEach((v, i, all) => {
		const x = (i + n - all.length) * w / (n - 1), y = h - 1 - v / top * (h - 2);

		line += `${line ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
	});
	const from = ((n - Math.min(values.length, n)) * w / (n - 1)).toFixed(1);

	svg.querySelector('.line').setAttribute('d', line);
	svg.querySelector('.area').setAttribute('d', line && `${line}L${w} ${h}L${from} ${h}Z`);
}
