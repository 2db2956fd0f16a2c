// Drives the page in headless Chromium, whose WebGPU is SwiftShader's, and compares its losses with the program's.
//
// VELOGRAD_WEB is the folder of the page, VELOGRAD_PROGRAM the program, VELOGRAD_PICTURES where pictures of the page go.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { launch, linked } from './browser.mjs';
import { serve } from './serve.mjs';

const { VELOGRAD_WEB: folder, VELOGRAD_PROGRAM: program, VELOGRAD_PICTURES: pictures } = process.env;
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'velograd-web-'));
fs.mkdirSync(pictures, { recursive: true });
process.env.XDG_RUNTIME_DIR ??= scratch;

/** Milliseconds after which whatever is waited for has failed: machines differ eightfold, and a race begins with seconds of compiling. */
const PATIENCE = 900_000;
/** A network that SwiftShader trains in milliseconds. */
const RECIPE = {
  data: 'shapes10', model: 'mlp', modelSet: { width: '32', depth: '1' }, batch: 32, seed: 7, updates: 30, schedule: 'constant', warmup: 0, augment: 'none',
  optimizers: [{ name: 'velograd', set: {} }, { name: 'adam', set: { lr: '2e-3' } }], rule: null,
};

const host = await serve(folder);
const browser = await launch();
const said = [];

/** A page with this recipe; `before` is a script that the worker runs first. */
async function open(recipe, { before, on = browser, ...options } = {}) {
  const context = await on.newContext({ viewport: { width: 1280, height: 1100 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) said.push(message.text()); });
  page.on('pageerror', error => said.push(error.message));
  page.on('request', request => assert(/^(blob:)?http:\/\/127\.0\.0\.1/.test(request.url()), `a request to ${request.url()}`));
  if (before) {
    await page.route('**/worker.js', async route => {
      const response = await route.fetch();
      await route.fulfill({ response, body: `${before}\n${await response.text()}` });
    });
  }
  await page.goto(host.url + (recipe ? linked(recipe) : ''));
  return page;
}

async function downloaded(page, click, encoding = 'utf8') {
  const [download] = await Promise.all([page.waitForEvent('download'), click()]);
  return fs.readFileSync(await download.path(), encoding);
}

/** Whether the program can use Chromium's own driver: the adapter is then the same. */
const driver = '/usr/lib/chromium/vk_swiftshader_icd.json', same = fs.existsSync(driver);

const environment = { ...process.env, VELOGRAD_PORTABLE: '1', ...(same ? { VK_DRIVER_FILES: driver } : {}) };

/** Trains with the program by the recipe that the page gives for an optimizer; returns its folder and its losses. */
async function native(page, index, label, cwd = scratch) {
  const toml = path.join(scratch, `${label}.toml`), out = path.join(scratch, label);
  fs.writeFileSync(toml, await downloaded(page, () => page.click(`#table tbody tr:nth-child(${index + 1}) button`)));
  execFileSync(program, ['train', '--config', toml, '--out', out, '--selftest', 'off'],
    { cwd, env: environment, stdio: ['ignore', 'ignore', 'inherit'] });
  return { out, trained: fs.readFileSync(path.join(out, 'steps.jsonl'), 'utf8').trim().split('\n').map(line => JSON.parse(line).loss) };
}

/** Losses of page and program must be equal on the same adapter, and otherwise up to rounding. */
function equal(page, program) {
  const off = Math.max(...program.map((loss, i) => Math.abs(loss / page[i] - 1)));
  if (same) assert.deepEqual(page, program); else assert(off < 5e-5);
  return off;
}

const status = (page, text) => page.waitForFunction(text => document.getElementById('status').textContent.includes(text), text);
/** Waits until every optimizer has had so many updates. */
const updates = (page, count) => page.waitForFunction(count => {
  const cells = [...document.querySelectorAll('#table tbody tr td:nth-child(2)')];
  return cells.length > 0 && cells.every(cell => Number(cell.textContent) >= count);
}, count);
const results = async page => JSON.parse(await downloaded(page, () => page.click('#json')));
const losses = lane => lane.updates.map(row => row[1]);

/** Every kernel in every form that a page may use passes Chromium's compiler, and its numbers are right. */
async function selftest() {
  // Most of its time is compilation on one core, so it has a browser of its own beside the other checks.
  const on = await launch(), page = await open({ ...RECIPE, updates: 1 }, { on });
  await status(page, 'The race is over.');
  const start = Date.now();
  await page.click('#selftest');
  await page.waitForSelector('#selftest-box:visible');
  const text = await page.textContent('#selftest-status');
  assert.match(text, /^All \d+ results are within their bounds\.$/);
  console.log(`  ${text} ${((Date.now() - start) / 1000).toFixed(0)} s`);
  await on.close();
}

const checks = [];
const check = (name, run) => checks.push([name, run]);

check('a race falls, and has the program\'s losses', async () => {
  const page = await open(RECIPE);
  await status(page, 'The race is over.');
  const { optimizers } = await results(page);
  assert.equal(optimizers.length, 2);
  for (const [index, lane] of optimizers.entries()) {
    assert.equal(lane.updates.length, 30);
    const [first, last] = [losses(lane).slice(0, 5), losses(lane).slice(-5)].map(part => part.reduce((sum, loss) => sum + loss) / 5);
    assert(last < 0.97 * first, `${lane.label}: ${first} to ${last}`);
    const { out, trained } = await native(page, index, lane.label);
    const { images_per_second: rate } = JSON.parse(fs.readFileSync(path.join(out, 'metrics.jsonl'), 'utf8').trim().split('\n').at(-1));
    console.log(`  ${(rate / RECIPE.batch).toFixed(1)} updates/s in the program`);
    const off = equal(losses(lane), trained);
    console.log(`  ${lane.label}: ${first.toFixed(4)} to ${last.toFixed(4)}, at most ${off.toExponential(1)} from the program${same ? ' on the same adapter' : ''}`);
    // The file of weights is the program's, to the byte, and the program reads it.
    const file = path.join(scratch, `${lane.label}.safetensors`);
    fs.writeFileSync(file, await downloaded(page, () => page.click(`#table tbody tr:nth-child(${index + 1}) button:nth-of-type(2)`), null));
    if (same) assert(fs.readFileSync(file).equals(fs.readFileSync(path.join(out, 'model.safetensors'))), 'the same file of weights');
    const said = execFileSync(program, ['eval', '--weights', file, '--dataset', 'shapes10'], { env: environment, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const right = lane.epochs.at(-1).val_acc, found = Number(said.match(/^accuracy ([\d.]+) %/m)?.[1]);
    assert(Math.abs(found - right) < 0.06, `${right} % in the page, and the program says of its weights:\n${said}`);
  }
  const rates = await page.locator('#table tbody tr td:nth-child(6)').allTextContents();
  console.log(`  wasm is ready after ${await page.evaluate(() => document.documentElement.dataset.started)} ms; ${rates.join(' and ')} updates/s in the page`);
  const csv = await downloaded(page, () => page.click('#csv'));
  assert.equal(csv.trim().split('\n').length, 61);
  assert((await downloaded(page, () => page.click('#svg'))).startsWith('<svg'));
  await page.context().close();
});

check('what opens trains by itself, pauses, steps and goes on', async () => {
  const page = await open(null);
  await updates(page, 10);
  assert.equal(await page.locator('#samples canvas').count(), 12);
  await page.click('#go');
  await page.waitForFunction(() => document.getElementById('pace').textContent.includes('paused'));
  const count = async () => (await results(page)).optimizers.map(lane => lane.updates.length);
  await page.waitForTimeout(1000);
  const before = await count();
  assert.equal(before[0], before[1]);
  await page.waitForTimeout(1000);
  assert.deepEqual(await count(), before);
  await page.click('#step');
  await updates(page, before[0] + 1);
  await page.waitForTimeout(500);
  assert.deepEqual(await count(), before.map(updates => updates + 1));
  await page.click('#go');
  await updates(page, before[0] + 5);
  // The main thread is free: whatever it does takes less than 50 ms.
  const longest = await page.evaluate(() => new Promise(resolve => {
    let longest = 0;
    new PerformanceObserver(list => { for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration); }).observe({ entryTypes: ['longtask'] });
    setTimeout(() => resolve(longest), 3000);
  }));
  console.log(`  longest task of the page: ${longest.toFixed(0)} ms`);
  await page.screenshot({ path: path.join(pictures, 'page.png'), fullPage: true });
  await page.click('#link');
  const url = page.url(), mine = await results(page);
  assert(url.includes('#'));
  await page.context().close();

  const other = await (await browser.newContext()).newPage();
  other.setDefaultTimeout(PATIENCE);
  await other.goto(url);
  await updates(other, 10);
  const found = await downloaded(other, () => other.click('#json')).then(JSON.parse);
  assert.deepEqual(found.recipe, mine.recipe);
  found.optimizers.forEach((lane, i) => assert.deepEqual(losses(lane).slice(0, 10), losses(mine.optimizers[i]).slice(0, 10)));
  await other.context().close();
});

check('a rule that is typed races, and its mistakes are shown at their line', async () => {
  const page = await open({ ...RECIPE, optimizers: [{ name: 'adamw', set: {} }] });
  await status(page, 'The race is over.');
  await page.click('#add-own');
  await page.waitForFunction(() => document.querySelectorAll('#table tbody tr').length === 2);
  await status(page, 'The race is over.');
  const [adamw, own] = (await results(page)).optimizers;
  // The template is AdamW.
  losses(own).forEach((loss, i) => assert(Math.abs(loss / losses(adamw)[i] - 1) < 1e-4));
  const text = await page.inputValue('#rule');
  await page.fill('#rule', text.replace('return e;', 'e.p += 1.0 * nonsense;\n    return e;'));
  await page.waitForSelector('#gutter .here');
  const line = text.split('\n').findIndex(line => line.includes('return e;')) + 1;
  assert.equal(await page.textContent('#gutter .here'), String(line));
  assert.match(await page.textContent('#rule-fault'), new RegExp(`^Line ${line}, column \\d+: .*nonsense`, 's'));
  await page.screenshot({ path: path.join(pictures, 'rule.png'), fullPage: true });
  await page.fill('#rule', text.replace('at.lr * at.first', '0.1 * at.lr * at.first'));
  await page.waitForFunction(() => document.getElementById('rule-fault').textContent === 'The rule is whole.');
  await updates(page, 30);
  await status(page, 'The race is over.');
  const changed = (await results(page)).optimizers[1];
  assert.equal(losses(changed)[0], losses(own)[0]);
  assert(losses(changed).at(-1) > losses(own).at(-1), 'a tenth of the rate learns less');
  await page.context().close();
});

/** A tar archive of files. */
function tar(files) {
  const parts = files.flatMap(([name, bytes]) => {
    const header = Buffer.alloc(512);
    header.write(name);
    for (const [text, at] of [['0000644\0', 100], ['0000000\0', 108], ['0000000\0', 116], [`${bytes.length.toString(8).padStart(11, '0')}\0`, 124], ['00000000000\0', 136], ['        ', 148], ['0', 156], ['ustar\0' + '00', 257]]) header.write(text, at);
    header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
    return [header, bytes, Buffer.alloc((512 - bytes.length % 512) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Images of two brightnesses, which are the classes, and a bit of noise that is always the same. */
const pixels = (label, index, count) => Buffer.from(Array.from({ length: count }, (_, i) => 20 + 180 * label + (index * 31 + i * 17) % 50));
const record = (_, index) => Buffer.concat([Buffer.from([index % 2]), pixels(index % 2, index, 3072)]);
const records = count => Buffer.concat(Array.from({ length: count }, record));
const idx = (count, ofImages) => {
  const axes = ofImages ? [count, 14, 14] : [count], header = Buffer.alloc(4 + 4 * axes.length);
  header.set([0, 0, 8, axes.length]);
  axes.forEach((axis, i) => header.writeUInt32BE(axis, 4 + 4 * i));
  return Buffer.concat([header, ...Array.from({ length: count }, (_, i) => (ofImages ? pixels(i % 2, i, 196) : Buffer.from([i % 2])))]);
};

check('dropped files train as in the program, and wrong ones are refused in a sentence', async () => {
  const page = await open({ ...RECIPE, batch: 8, updates: 12, optimizers: [{ name: 'adam', set: {} }] });
  await status(page, 'The race is over.');
  const said = text => page.waitForFunction(text => document.getElementById('dropped').textContent.includes(text), text);
  const choose = files => page.setInputFiles('#files', files.map(([name, buffer]) => ({ name, mimeType: 'application/octet-stream', buffer })));
  // As from a file manager: the page takes what is dropped on it.
  const drop = async files => {
    const moved = await page.evaluateHandle(files => {
      const moved = new DataTransfer();
      for (const [name, text] of files) moved.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name));
      return moved;
    }, files.map(([name, buffer]) => [name, buffer.toString('base64')]));
    for (const kind of ['dragover', 'drop']) await page.dispatchEvent('main', kind, { dataTransfer: moved });
  };
  const raced = async (name, files, take) => {
    const cwd = fs.mkdtempSync(path.join(scratch, 'dropped-'));
    for (const [file, bytes] of files) fs.writeFileSync(path.join(cwd, file), bytes);
    await take(files);
    await said(`${name}: `);
    await updates(page, 12);
    await status(page, 'The race is over.');
    const { optimizers: [lane], recipe } = await results(page);
    assert.equal(recipe.data, 'dropped');
    assert.equal(lane.updates.length, 12);
    const { trained } = await native(page, 0, path.basename(cwd), cwd);
    console.log(`  ${name}: ${losses(lane)[0]} to ${losses(lane).at(-1)}, at most ${equal(losses(lane), trained).toExponential(1)} from the program`);
    return lane;
  };
  const archive = gzipSync(tar([['cifar-10-batches-bin/data_batch_1.bin', records(64)], ['cifar-10-batches-bin/test_batch.bin', records(32)]]));
  const learned = await raced('cifar10', [['cifar-10-binary.tar.gz', archive]], drop);
  assert(losses(learned).at(-1) < losses(learned)[0]);
  assert.equal(await page.locator('#samples canvas').count(), 12);
  await raced('cifar10', [['data_batch_1.bin', records(48)], ['test_batch.bin', records(16)]], choose);
  await raced('mnist', [['train-images-idx3-ubyte.gz', gzipSync(idx(64, true))], ['train-labels-idx1-ubyte', idx(64, false)], ['t10k-images-idx3-ubyte', idx(24, true)], ['t10k-labels-idx1-ubyte.gz', gzipSync(idx(24, false))]], choose);
  for (const [files, text] of [
    [[['train-images-idx3-ubyte', idx(8, true)]], 'found train-images-idx3-ubyte alone'],
    [[['train-images-idx3-ubyte', idx(8, true)], ['train-labels-idx1-ubyte', idx(9, false)]], 'expected as many labels as there are images, 8, found 9'],
    [[['data_batch_1.bin', records(2).subarray(0, 5000)]], 'data_batch_1.bin: expected whole records of 3,073 bytes'],
    [[['cifar-10-binary.tar.gz', archive.subarray(0, 900)]], 'cifar-10-binary.tar.gz: expected a tar archive'],
    [[['cat.png', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0])]], 'found an image file'],
  ]) {
    await choose(files);
    await said(text);
  }
  // What could be read before is still there, and goes on.
  await page.click('#reset');
  await page.click('#go');
  await status(page, 'The race is over.');
  await page.screenshot({ path: path.join(pictures, 'dropped.png'), fullPage: true });
  // A link names the files, and does not hold them.
  await page.click('#link');
  const url = page.url();
  const text = Buffer.from('Twelve of them are here, and so on and on. '.repeat(200));
  await choose([['story.txt', text]]);
  await said('text: ');
  await page.waitForFunction(() => document.querySelectorAll('#samples canvas').length === 0);
  assert.equal((await results(page)).recipe.model, 'gpt');
  await page.context().close();
  const other = await open(null);
  await other.goto(url);
  await other.waitForFunction(() => document.getElementById('fault').textContent.includes('not here'));
  await other.context().close();
});

check('several seeds give means and deviations, and a page in the background waits', async () => {
  const page = await open({ ...RECIPE, updates: 12, seeds: 3 });
  await status(page, 'The race is over, with 3 seeds.');
  const { seeds } = await results(page);
  assert.deepEqual(seeds.map(({ seed }) => seed), [7, 8, 9]);
  const loss = seeds.map(({ optimizers }) => optimizers[1].train_loss);
  assert.equal(new Set(loss).size, 3);
  const mean = loss.reduce((sum, value) => sum + value) / 3, deviation = Math.sqrt(loss.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 2);
  const cells = await page.locator('#means tbody tr:nth-child(2) td').allTextContents();
  assert.deepEqual(cells.slice(0, 2), ['3 of 3', `${mean.toFixed(4)} ± ${deviation.toFixed(4)}`]);
  assert.match(cells[4], /^\d+\.\d ± \d+\.\d$/);
  await page.screenshot({ path: path.join(pictures, 'seeds.png'), fullPage: true });
  // The last seed's recipe names the data of the first, as in the program's comparison.
  const { trained } = await native(page, 1, 'third');
  equal(losses((await results(page)).optimizers[1]), trained);
  await page.context().close();

  const back = await open({ ...RECIPE, updates: 400 });
  await updates(back, 5);
  const show = hidden => back.evaluate(hidden => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await show(true);
  await status(back, 'Paused while the page is in the background');
  await back.waitForFunction(() => document.getElementById('pace').textContent.includes('paused'));
  await back.waitForTimeout(1000);
  const count = async () => (await results(back)).optimizers.map(lane => lane.updates.length);
  const before = await count();
  await back.waitForTimeout(1500);
  assert.deepEqual(await count(), before);
  await show(false);
  await updates(back, before[0] + 5);
  const steps = (await results(back)).optimizers[0].updates.map(row => row[0]);
  assert.deepEqual(steps, steps.map((_, i) => i + 1), 'no update is lost or made twice');
  await back.context().close();
});

check('text, settings out of their range, and a small, dark screen', async () => {
  const text = { ...RECIPE, data: 'grammar', model: 'gpt', modelSet: { block: '32', width: '16', depth: '1', heads: '2' }, batch: 4, updates: 1000,
    optimizers: [{ name: 'adamw', set: {} }, { name: 'adam', set: { beta1: '2' } }, { name: 'adamm', set: {} }] };
  const page = await open(text, { viewport: { width: 380, height: 800 }, colorScheme: 'dark', reducedMotion: 'reduce' });
  await page.waitForFunction(() => Number(document.querySelector('#table tbody td')?.textContent) >= 3);
  assert((await page.textContent('#samples')).length > 35);
  await page.screenshot({ path: path.join(pictures, 'dark.png'), fullPage: true });
  const wide = await page.evaluate(() => [...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > innerWidth && !one.closest('.wide, svg, textarea'))
    .map(one => `${one.tagName} ${one.id} ${one.className}`));
  assert.deepEqual(wide, [], 'what is wider than the screen');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 380, 'the page is wider than the screen');
  const cells = await page.locator('#table td.said').allTextContents();
  assert.match(cells[0], /beta1/);
  assert.match(cells[1], /adam/);
  await page.context().close();
  // A network for text is judged by its loss.
  const short = await open({ ...text, updates: 3, optimizers: [{ name: 'adamw', set: {} }] });
  await short.waitForFunction(() => /^loss \d\.\d{4}$/.test(document.querySelectorAll('#table tbody td')[3]?.textContent));
  await short.context().close();
});

check('what cannot be trained on is refused in a sentence', async () => {
  const none = await open(RECIPE, { before: 'Object.defineProperty(navigator, "gpu", { value: undefined });' });
  await none.waitForFunction(() => document.getElementById('fault').textContent.includes('no WebGPU'));
  await none.context().close();
  // A compiler that gets one function wrong.
  const wrong = await open(RECIPE, { before: `{
    const make = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function (module) { return make.call(this, { ...module, code: module.code.replaceAll('exp(', 'exp(1e-3 + ') }); };
  }` });
  await wrong.waitForFunction(() => document.getElementById('fault').textContent.includes('computes wrong numbers'));
  assert.equal((await results(wrong)).optimizers[0].updates.length, 0);
  // Nor after a reset, which first takes the sentence away.
  await wrong.click('#reset');
  await wrong.waitForFunction(() => document.getElementById('fault').textContent.includes('computes wrong numbers'));
  await wrong.context().close();
  // A device that is lost, and one that is opened anew.
  const lost = await open({ ...RECIPE, updates: 400 }, { before: `{
    const request = GPUAdapter.prototype.requestDevice;
    let first = true;
    GPUAdapter.prototype.requestDevice = async function (...all) {
      const device = await request.apply(this, all);
      if (first) onmessage = (handle => event => { if (event.data === 'lose') device.destroy(); else handle(event); })(onmessage);
      first = false;
      return device;
    };
    const post = postMessage;
    postMessage = message => { post(message); if (message.kind === 'rows' && message.steps.at(-1)?.[0] >= 3) dispatchEvent(new MessageEvent('message', { data: 'lose' })); };
  }` });
  await lost.waitForFunction(() => document.getElementById('fault').textContent.includes('“Reset”'));
  await lost.click('#reset');
  await lost.waitForFunction(() => document.getElementById('status').textContent.startsWith('Comparing') && document.getElementById('fault').hidden);
  await lost.context().close();
});

check('the self-test passes', () => tested);

const only = process.argv[2];
let failed = 0, tested;
for (const [name, run] of checks.filter(([name]) => !only || name.includes(only))) {
  const start = Date.now();
  // The first check measures, and has the machine to itself.
  if (name !== checks[0][0] && tested === undefined && (!only || only.includes('self'))) { tested = selftest(); tested.catch(() => {}); }
  try {
    await run();
    assert.deepEqual(said.splice(0), [], 'the console is quiet');
    console.log(`ok   ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.stack}\n${said.splice(0).join('\n')}`);
  }
}
await browser.close();
host.close();
fs.rmSync(scratch, { recursive: true });
process.exit(failed === 0 ? 0 : 1);
