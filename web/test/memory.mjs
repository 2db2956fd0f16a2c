// Prints the memory of the page after each thousand of 10,000 updates of a tiny network, and fails if what trains grows.
//
// VELOGRAD_WEB is the folder of the page.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { launch, linked } from './browser.mjs';
import { serve } from './serve.mjs';

const UPDATES = 10_000, EACH = 1000;
const RECIPE = { data: 'digits28', model: 'mlp', modelSet: { width: '8', depth: '1' }, batch: 4, seed: 1, updates: UPDATES + 200, schedule: 'constant', warmup: 0, augment: 'none',
  optimizers: [{ name: 'adam', set: {} }], rule: null };

const host = await serve(process.env.VELOGRAD_WEB), browser = await launch();
const page = await browser.newPage(), tools = await page.context().newCDPSession(page), all = await browser.newBrowserCDPSession();
page.setDefaultTimeout(0);
await page.goto(host.url + linked(RECIPE));

/** What the system says that a process has in memory, in bytes. */
const resident = pid => 1024 * Number(fs.readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+)/m)[1]);

async function measured() {
  await tools.send('HeapProfiler.collectGarbage');
  const { usedSize } = await tools.send('Runtime.getHeapUsage');
  // The module is initialized already, and then gives what it has.
  const wasm = await page.workers()[0].evaluate(async url => (await (await import(url)).default()).memory.buffer.byteLength, new URL('pkg/velograd_web.js', host.url).href);
  const { processInfo } = await all.send('SystemInfo.getProcessInfo');
  const gpu = processInfo.filter(({ type }) => type === 'GPU').reduce((sum, { id }) => sum + resident(id), 0);
  return { heap: usedSize, wasm, gpu };
}

const mb = bytes => (bytes / 1e6).toFixed(2).padStart(9);
const begun = Date.now(), rows = [];
console.log('  updates  JS heap MB    wasm MB  GPU process MB  seconds');
for (let at = EACH; at <= UPDATES; at += EACH) {
  await page.waitForFunction(at => Number(document.querySelector('#table tbody td')?.textContent) >= at, at);
  const row = await measured();
  rows.push(row);
  console.log(`${String(at).padStart(9)}  ${mb(row.heap)}   ${mb(row.wasm)}  ${mb(row.gpu)}       ${((Date.now() - begun) / 1000).toFixed(0)}`);
}
await browser.close();
host.close();
const [first, last] = [rows[0], rows.at(-1)];
// Images are drawn as they are first seen and are kept, and the page keeps a row for each update, for downloads.
assert(last.heap - first.heap < 500 * (UPDATES - EACH), 'the page keeps more than a row for each update');
assert(last.wasm - first.wasm < 64e6, 'wasm memory grows with updates');
assert(last.gpu - first.gpu < 32e6, 'the GPU process grows with updates');
process.exit(0);
