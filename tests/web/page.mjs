// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// page.mjs URL OUTPUT EXPECT.json: look at the page in Chromium. EXPECT has what its table of ports
// must say, {"443/tcp": {"In": "12", …}, …}, and "drops": {"text": "12"}. Prints "ok: …" or "not ok: …"
// for each thing looked at; screenshots are left in OUTPUT.

import { createRequire } from 'node:module';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [, , url, output, expectFile] = process.argv;
const modules = createRequire(join(process.env.PG_NODE_MODULES, 'x.js'));
const { chromium } = modules('playwright-core');
const axe = readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');
const expected = JSON.parse(readFileSync(expectFile, 'utf8'));
const profile = mkdtempSync(join(tmpdir(), 'pg-chromium-'));
let failed = 0;

function check(what, got, wanted = true) {
	const ok = JSON.stringify(got) === JSON.stringify(wanted);

	failed += !ok;
	console.log(ok ? `ok: ${what}` : `not ok: ${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
}

async function open(context, problems) {
	const page = await context.newPage();

	page.setDefaultTimeout(60000); // the machine may be slow
	page.on('console', m => m.type() === 'error' && problems.push(m.text()));
	page.on('pageerror', e => problems.push(String(e)));
	page.on('request', r => r.url().startsWith(url) || problems.push(`asks ${r.url()}`));
	await page.goto(url);
	await page.waitForFunction(() => document.getElementById('live').textContent === 'live');
	return page;
}

// The numbers in a row of the table of ports, by the names of their columns.
function row(page, key) {
	return page.evaluate(want => {
		const names = [...document.querySelectorAll('#ports-table thead th')].map(th => th.textContent);
		const tr = [...document.querySelectorAll('#ports-table tbody tr')]
			.find(r => r.querySelector('button').textContent === want);

		return tr && Object.fromEntries([...tr.cells].map((c, i) => [names[i], c.textContent.trim()]));
	}, key);
}

async function numbers(page) {
	await page.keyboard.press('t');
	for (const [key, wanted] of Object.entries(expected.ports)) {
		// What was sent last may still be on its way.
		await page.waitForFunction(([want, n]) => [...document.querySelectorAll('#ports-table tbody tr')]
			.some(r => r.querySelector('button').textContent === want && r.cells[3].textContent === n),
			[key, wanted.In], { timeout: 10000 }).catch(() => {});
		const got = await row(page, key) ?? {};

		for (const [name, value] of Object.entries(wanted))
			check(`${key}, ${name}`, got[name], value);
	}
	for (const [text, n] of Object.entries(expected.drops)) {
		const got = await page.locator('#drops li', { hasText: text }).locator('.n').textContent();

		check(`dropped by ${text}`, got.split(', ')[0], n);
	}
	for (const [text, n] of Object.entries(expected.rules))
		check(`rule ${text}`, await page.locator('#rules-table tr', { hasText: text })
			.locator('td').nth(1).textContent(), n);
	check('what accepts is not under drops', await page.locator('#drops li', { hasText: 'used to' }).count(), 0);
	await lastDrops(page);
	check('a state is counted', await page.locator('#states-table td[title^="SYN_SENT to ESTABLISHED"]').count(), 1);
	check('a flow is shown', await page.locator('#flows-table tbody tr', { hasText: '10.77.0.1:443' }).count() > 0);
	check('comments are text', await page.locator('#rules-table b').count(), 0);
}

// The table's rows as they come, newest first: what was sent last stands first.
async function lastDrops(page) {
	const rows = page.locator('#last-table tbody tr');
	const [reason, to, flags] = expected.last_drop;

	await page.locator('#last-table tbody tr', { hasText: reason }).first().waitFor();
	check('the last drop', (await rows.first().locator('td').allTextContents()).filter((t, i) =>
		[1, 4, 5].includes(i)), [reason, to, flags]);
	check('eight, and more on demand', await rows.count(), 8);
	await page.locator('#last-more').click();
	check('all of them', await rows.count(), 40);
	await page.locator('#last-more').click();
}

// How ports are marked, for eyes and for ears.
async function marks(page) {
	for (const [key, mark] of Object.entries(expected.marks)) {
		const who = page.locator('#ports-table tbody tr', { hasText: key }).locator('.who');

		await who.locator('.mark', { hasText: mark }).waitFor();
		check(`${key} is ${mark}`, (await who.textContent()).includes(`${mark}: `));
	}
	await page.locator('#filter').fill('unused');
	check('found by their mark', (await page.locator('#ports-table tbody button').allTextContents()),
		Object.entries(expected.marks).filter(([, m]) => m === 'unused').map(([key]) => key));
	await page.locator('#filter').fill('');
	await page.locator('#filter').blur();
	await page.locator('#ports-marked').click();
	check('all that are marked', (await page.locator('#ports-table tbody button').allTextContents()).sort(),
		Object.keys(expected.marks).sort());
	check('their number', await page.locator('#ports-marked').textContent(), `${Object.keys(expected.marks).length} marked`);
	await page.locator('#ports-marked').click();
}

// None and why; then the test has the kernel measure it, and it is a plausible number.
async function cost(page) {
	const cell = page.locator('#ifaces-table tbody td').nth(4);

	check('no cost', await cell.textContent(), '–');
	check('and why', (await page.locator('#cost').textContent()).startsWith('Cost is not measured'));
	await page.waitForFunction(() => /^[1-9][0-9,]* ns$/
		.test(document.querySelectorAll('#ifaces-table tbody td')[4]?.textContent));
	const ns = Number((await cell.textContent()).replace(/[^0-9]/g, ''));

	check('a cost', ns >= 10 && ns < 1000000);
}

// However late an answer comes, rates are by the server's clock; what is only known better has none.
async function rates() {
	const { Rates } = await import(new URL('../../user/web/panels.js', import.meta.url));
	const of = new Rates(), seen = [];

	for (const [at, total] of [[10, 1000], [12, 1200], [12, 1200], [14, 1400]]) {
		const items = [{ key: 'rule', total, at }, { key: 'gone', total, at, still: true }];

		of.update(items);
		seen.push(items.map(i => i.rate));
	}
	check('rates of rules', seen, [[0, 0], [100, 0], [100, 0], [100, 0]]);
}

async function hands(page) {
	await page.keyboard.press('/');
	await page.keyboard.type('nginx');
	check('the filter finds a listener', [...new Set(
		await page.locator('#ports-table tbody .who b').allTextContents())], ['nginx']);
	check('on both its ports', await page.locator('#ports-table tbody tr').count(), 2);
	await page.locator('#filter').fill('');
	await page.getByRole('button', { name: 'Dropped' }).click();
	check('sorted by drops', await page.locator('#ports-table th[aria-sort=descending]').textContent(), 'Dropped');
	const first = await page.locator('#ports-table tbody button').first().textContent();

	check('most dropped first', first, expected.most_dropped);
	await page.getByRole('button', { name: '443/tcp', exact: true }).click();
	await page.getByText('of port 443/tcp').waitFor();
	await page.getByRole('button', { name: 'All ports' }).click();
	await page.getByRole('button', { name: 'Pause' }).click();
	check('pause', await page.locator('#live').textContent(), 'paused');
	await page.getByRole('button', { name: 'Pause' }).click();
	await page.getByRole('button', { name: 'In', exact: true }).click();
}

async function accessible(page, what) {
	await page.evaluate(axe);
	const result = await page.evaluate(() => window.axe.run(document,
		{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));

	check(`axe: ${what}`, result.violations.map(v =>
		`${v.id}: ${v.nodes.slice(0, 3).map(n => n.target.join(' ')).join(', ')}`), []);
}

const browser = await chromium.launchPersistentContext(profile, {
	executablePath: process.env.PG_CHROMIUM ?? '/usr/bin/chromium',
	viewport: { width: 1360, height: 860 },
	bypassCSP: false,
	args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
		'--disable-background-networking', '--disable-component-update', '--disable-sync'],
	...(process.env.PG_PASSWORD && { httpCredentials: { username: 'x', password: process.env.PG_PASSWORD } }),
});
const problems = [];

try {
	const page = await open(browser, problems);

	if (process.env.PG_LOOK_MS) { // only for the pictures
		await page.waitForTimeout(Number(process.env.PG_LOOK_MS));
	} else {
		await numbers(page);
		await marks(page);
		await hands(page);
		await rates();
		await cost(page);
		await page.keyboard.press('t');
	}
	await page.evaluate(() => scrollTo(0, 0));
	for (const scheme of ['light', 'dark']) {
		await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
		await page.screenshot({ path: join(output, `${scheme}.png`) });
		await page.screenshot({ path: join(output, `${scheme}-whole.png`), fullPage: true });
		await accessible(page, scheme);
	}
	await page.setViewportSize({ width: 375, height: 800 });
	await page.screenshot({ path: join(output, 'phone.png'), fullPage: true });
	check('a phone has nothing beside its screen',
		await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
	await accessible(page, 'phone');
	check('no errors, no other host', problems, []);
} catch (e) {
	failed++;
	console.log(`not ok: ${e}`, problems);
} finally {
	await browser.close();
	rmSync(profile, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
