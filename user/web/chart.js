// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Packets a second by verdict, drawn by uPlot.

import { short } from './format.js';

function color(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export class Chart {
	constructor(box) {
		this.box = box;
		this.data = [[], [], [], []];
		new ResizeObserver(() => this.resize()).observe(box);
		matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
		this.draw();
	}

	size() {
		return { width: Math.max(200, this.box.clientWidth), height: 200 };
	}

	resize() {
		this.plot?.setSize(this.size());
	}

	// Colours are the theme's, so a change of it draws all anew.
	draw() {
		const axis = { stroke: color('muted'), grid: { stroke: color('line'), width: 1 },
			ticks: { show: false }, font: '12px system-ui, sans-serif' };
		const series = (label, name, fill) => ({ label, stroke: color(name), width: 2,
			fill: fill && `${color(name)}22`, points: { show: false },
			value: (u, v) => v === null || v === undefined ? '–' : `${short(v)}/s` });

		this.plot?.destroy();
		this.plot = new window.uPlot({
			...this.size(),
			scales: { x: { range: (u, min, max) => max === null ? [0, 60] :
				[max - Math.max(60, max - min), max] },
				y: { range: (u, min, max) => [0, Math.max(1, max * 1.1)] } },
			axes: [{ ...axis, space: 70 }, { ...axis, size: 48, values: (u, v) => v.map(short) }],
			series: [{ value: (u, v) => v === null || v === undefined ? 'now' :
				new Date(v * 1000).toLocaleTimeString() },
				series('accepted in', 'in', true), series('accepted out', 'out', false),
				series('dropped', 'bad', true)],
			cursor: { points: { size: 6 } },
			legend: { live: true },
		}, this.data, this.box);
	}

	show(series, rate) {
		this.data = series;
		this.plot.setData(series);
		if (this.plot.cursor.left < 0) // nobody points at anything: the legend says what is now
			this.plot.setLegend({ idx: series[0].length - 1 });
		this.box.setAttribute('aria-label', 'Chart of packets a second over the last five minutes; now ' +
			`${short(rate.in)} accepted in, ${short(rate.out)} out, ${short(rate.drop)} dropped`);
	}
}
