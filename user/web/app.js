// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The page: a stream of snapshots, and what is asked for beside it while somebody looks.

import { Chart } from './chart.js';
import { bits, count, el, setText, short, spark } from './format.js';
import { dropCauses, droppers, leftOver, Model } from './model.js';
import { Drops, Flows, Interfaces, LastDrops, Rules, States } from './panels.js';
import { Ports } from './ports.js';

const $ = id => document.getElementById(id);

const model = new Model();
const chart = new Chart($('chart'));
const drops = new Drops(), states = new States(), flows = new Flows(), rules = new Rules();
const lastDrops = new LastDrops(), interfaces = new Interfaces();
const ports = new Ports(key => {
	flows.select(key);
	$('h-flows').scrollIntoView({ block: 'start' });
});
const gone = {};
let dropping = [], droppingAt = 0, causes = [], paused = false, heard = 0;

// Cards ------------------------------------------------------------------------------------------

function percent(share) {
	return share < 0.01 ? 'less than 1 %' : `${Math.round(share * 100)} %`;
}

function who(port) {
	if (!port.listener)
		return 'nobody listens';
	return `${port.listener[1] || 'somebody'} listens on ${port.listener[2]}`;
}

function showCards() {
	const best = model.busiest(), rate = model.rate, f = model.last.flows;

	if (best) {
		const p = best.port;

		setText($('top-port'), `${p.key}${p.service ? ` ${p.service}` : ''}`);
		setText($('top-who'), `${who(p)}; ${short(best.n)} packets/s arrive, ${count(best.t)} in all`);
		spark($('top-spark'), p.history);
	}
	const all = rate.in + rate.out + rate.drop;

	setText($('drop-rate'), `${short(rate.drop)}/s`);
	const { totals } = model;

	setText($('drop-why'), totals.drop ? `${rate.drop ? `${percent(rate.drop / all)} of packets, ` : ''}` +
		`${count(totals.drop)} in all${causes.length ? `; most: ${causes[0].what}` : ''}` :
		'nothing has been dropped');
	spark($('drop-spark'), model.series[3]);
	setText($('bits'), bits(rate.inB + rate.outB));
	setText($('packets'), `${short(rate.in + rate.drop)} packets/s in, ${short(rate.out)} out`);
	spark($('bits-spark'), model.bytes);
	const open = f.states.ESTABLISHED + f.states.REPLIED + f.states.ASSURED;

	setText($('conns'), f.tracking ? count(open) : 'off');
	setText($('conns-sub'), f.tracking ? `open, ${count(f.half_open)} half-open; ` +
		`${count(f.count)} of ${count(f.capacity)} places` : 'no rule asks for states');
	$('conns-fill').style.width = `${f.capacity ? 100 * f.count / f.capacity : 0}%`;
}

function showHead() {
	const { ifaces, generation, rules: n, confirm_s, tried, exists, host } = model.last;

	setText($('host'), host);
	document.title = `${host}: ${short(model.rate.drop)} dropped/s – portguard`;
	const chips = ifaces.map(([name, mode, attached]) =>
		el('li', attached ? {} : { class: 'gone' }, name, ' ', el('span', {}, attached ? mode : 'gone')));

	if ($('ifaces').textContent !== chips.map(c => c.textContent).join(''))
		$('ifaces').replaceChildren(...chips);
	setText($('policy'), exists ? `policy ${generation}, ${n} rule${n === 1 ? '' : 's'}` : '');
	$('notice').hidden = exists && !confirm_s && !tried;
	setText($('notice'), !exists ? 'Nothing is attached: portguard attach IFACE begins.' : confirm_s ?
		`The policy is taken back in ${confirm_s} s, unless somebody confirms it.` : tried ?
		'Another policy is tried beside this one: portguard shadow compares them.' : '');
}

function show() {
	if (paused || !model.last)
		return;
	causes = dropCauses(model.last.drops, model.last.time_ms / 1000, dropping, droppingAt, gone);
	showHead();
	showCards();
	chart.show(model.series, model.rate);
	drops.show(causes);
	lastDrops.show(model.last);
	ports.show(model);
	flows.take(model.last);
	interfaces.show(model.ifaces);
	states.show(model.last.transitions);
}

// Stream -----------------------------------------------------------------------------------------

function live(text, state) {
	setText($('live'), text);
	$('dot').className = `dot ${state}`;
}

function listen() {
	const stream = new EventSource('/api/v1/stream');

	stream.addEventListener('message', e => {
		heard = performance.now();
		model.take(JSON.parse(e.data));
		live(paused ? 'paused' : 'live', paused ? 'wait' : 'ok');
		show();
	});
	stream.addEventListener('error', () => {
		live('no connection', 'bad');
		// A browser gives up where the server has refused; then it is on us to try again.
		if (stream.readyState === EventSource.CLOSED)
			setTimeout(listen, 3000);
	});
}
setInterval(() => {
	if (heard && performance.now() - heard > 4000)
		live('nothing comes', 'bad');
}, 1000);

// What is asked for beside it --------------------------------------------------------------------

async function ask(path) {
	const r = await fetch(path);

	if (!r.ok)
		throw new Error(`${path}: ${r.status}`);
	return r.json();
}

// Again and again, one at a time, while the page is looked at.
function poll(task) {
	let timer = 0, busy = false;
	const again = async () => {
		clearTimeout(timer);
		if (busy)
			return;
		busy = true;
		let wait = 2000;

		try {
			if (!document.hidden && !paused)
				wait = await task() ?? wait;
		} catch {
			wait = 4000; /* the stream says what is wrong */
		}
		busy = false;
		timer = setTimeout(again, wait);
	};

	again();
	return again;
}

poll(async () => {
	const { chains, time_ms } = await ask('/api/v1/rules'), at = time_ms / 1000;

	dropping = droppers(chains);
	droppingAt = at;
	if (model.last && time_ms >= model.last.time_ms)
		leftOver(model.last.drops, dropping, gone);
	show();
	return rules.show(chains, at) > 1000 ? 10000 : 2000;
});
flows.changed = poll(async () => {
	const asked = flows.path();

	if (!asked)
		return show();
	const answer = await ask(asked);

	if (asked === flows.path())
		flows.show(answer.flows);
	return 1000;
});

// Hands ------------------------------------------------------------------------------------------

function setTotal(total) {
	ports.total = total;
	document.querySelector(`input[name=unit][value=${total ? 'total' : 'rate'}]`).checked = true;
	ports.show();
}

function pause() {
	paused = !paused;
	$('pause').setAttribute('aria-pressed', paused);
	live(paused ? 'paused' : 'live', paused ? 'wait' : 'ok');
	show();
}

function setFilter(text) {
	$('filter').value = ports.filter = text;
	ports.show();
}

$('filter').addEventListener('input', e => setFilter(e.target.value));
$('ports-marked').addEventListener('click', () => setFilter(ports.filter === 'marked' ? '' : 'marked'));
for (const input of document.querySelectorAll('input[name=unit]'))
	input.addEventListener('change', () => setTotal(input.value === 'total'));
$('pause').addEventListener('click', pause);
document.addEventListener('keydown', e => {
	if (e.ctrlKey || e.altKey || e.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName))
		return;
	if (e.key === '/')
		$('filter').focus();
	else if (e.key === 'p')
		pause();
	else if (e.key === 't')
		setTotal(!ports.total);
	else
		return;
	e.preventDefault();
});
listen();
