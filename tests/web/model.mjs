// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// model.mjs MODEL: what the page makes of the stream's ports, without a browser. MODEL is user/web/model.js
// under a name that says that it is a module. Prints "ok: …" or "not ok: …" as page.mjs does.

import { pathToFileURL } from 'node:url';

const { Model } = await import(pathToFileURL(process.argv[2]));
let failed = 0;

function check(what, got, wanted) {
	const ok = JSON.stringify(got) === JSON.stringify(wanted);

	failed += !ok;
	console.log(ok ? `ok: ${what}` : `not ok: ${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
}

// An event, `ms` after the first; a port: [number, packets in, dropped, packets out, dropped, packets since]
function event(ms, ...ports) {
	const none = [0, 0, 0, 0];

	return { time_ms: 1e12 + ms, ifaces: [], verdicts: [none, none], drops: [], n_ports: 1000,
		ports: ports.map(([port, i, dropped, o, outDropped, since]) => ['tcp', port, '', i, 0, dropped, o, 0,
			0, 0, 0, null, null, outDropped, since]) };
}

function rates(model, port) {
	const { inP, outP, drop } = model.ports.get(`${port}/tcp`).rate;

	return [inP, outP, drop];
}

const model = new Model();

model.take(event(0, [22, 500, 100, 400, 20, 0]));
check('at first there are no rates', rates(model, 22), [0, 0, 0]);
model.take(event(2000, [22, 540, 110, 400, 30, 40], [80, 600, 600, 0, 0, 600]));
check('a rate, drops both ways', rates(model, 22), [20, 0, 10]);
check('a port that is new has its first second', rates(model, 80), [300, 0, 300]);
model.take(event(3000, [22, 540, 110, 400, 30, 0], [443, 1000, 0, 1000, 0, 200]));
check('of one that counted before, what is of now', rates(model, 443), [100, 100, 0]);
model.take(event(4000, [22, 540, 110, 400, 30, 0], [80, 650, 610, 0, 0, 50], [443, 1000, 0, 1000, 0, 0]));
check('one that comes back goes on', rates(model, 80), [50, 0, 10]);
process.exit(failed ? 1 : 0);
