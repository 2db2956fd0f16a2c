// Trains in a worker, so that the page never waits. Messages are handled between two rounds, in their order.

import init, { Device, Dropped, Race, check_rule, tables } from './pkg/velograd_web.js';

const say = (kind, content = {}) => postMessage({ kind, ...content });
/** How long an optimizer has its turn, in milliseconds. */
const TURN = 150;
/** Milliseconds between two looks at the test samples. */
const LOOK = 1500;
/** Most bytes of files that are read. */
const MOST = 1 << 30;

const queue = [];
let wake = () => {};
onmessage = ({ data }) => { queue.push(data); wake(); };

let device = null, race = null, dropped = null, lanes = [], running = false, updates = 1, looked = 0, software = false;
/** What is wrong with the device's numbers, once something is: nothing is trained on it any more. */
let wrong = null;
/** Kernels that were compared with their references, by what they were compared for. */
const assured = new Set();

/** What an exception says, as a fault of the program's own kind. */
function fault(error) {
  if (typeof error === 'string') {
    try { return JSON.parse(error); } catch { /* not one of the program's own errors */ }
  }
  return { kind: 'fault', message: `The program has failed: ${error?.message ?? error}`, hint: 'load the page again; if it happens again, please report it' };
}

/** Gives up the race, and the device too if that is what has failed. */
function fail(error) {
  const what = fault(error);
  running = false;
  drop();
  if (what.kind !== 'config' && what.kind !== 'not finite') { device = null; assured.clear(); }
  say('fault', { fault: what });
}

function drop() {
  race?.free();
  race = null;
  lanes = [];
}

async function openDevice() {
  device ??= await Device.open(software);
}

async function open({ recipe, runners, run }) {
  drop();
  running = false;
  await openDevice();
  if (wrong) return say('refused', { fault: wrong });
  try {
    race = new Race(device, dropped, JSON.stringify(recipe));
  } catch (error) {
    return say('refused', { fault: fault(error) });
  }
  say('opening', { samples: JSON.parse(race.samples()) });
  const opened = [];
  for (const [index, runner] of runners.entries()) {
    if (queue.some(message => message.do === 'open')) return drop();
    const json = JSON.stringify(runner), name = runner.rule === null ? runner.name : 'your rule';
    const { seed, dataSeed, updates, warmup, schedule, ...kernels } = recipe;
    const key = JSON.stringify([kernels, runner.rule === null ? runner.name : '']);
    try {
      if (!assured.has(key)) {
        say('status', { text: `Comparing the kernels of ${name} with values in double precision …` });
        await race.assure(json);
        assured.add(key);
      }
      say('status', { text: `Compiling the kernels of ${name} …` });
      const about = JSON.parse(await race.add(json));
      lanes.push({ index, over: false });
      opened.push(about);
    } catch (error) {
      const what = fault(error);
      if (what.kind !== 'config' && runner.rule === null) {
        if (!what.message.includes('computes wrong numbers')) throw error;
        wrong = what;
        drop();
        return say('refused', { fault: wrong });
      }
      // A rule that the device's compiler refuses must not leave the device with its fault.
      if (what.kind !== 'config') { device = null; drop(); return say('refused', { fault: what, lane: index }); }
      opened.push({ fault: what });
    }
  }
  updates = 1;
  looked = 0;
  running = run;
  say('opened', { lanes: opened, running });
  await look();
}

/** One round: every optimizer has the same number of updates. */
async function round(count) {
  const times = [];
  for (const [nth, lane] of lanes.entries()) {
    if (lane.over) continue;
    const start = performance.now();
    const { steps, epochs, over, diverged } = JSON.parse(await race.advance(nth, count));
    const time = performance.now() - start;
    lane.over = over;
    // Rounds with an evaluation do not tell how long an update takes.
    if (epochs.length === 0 && steps.length > 0) times.push(time / steps.length);
    say('rows', { lane: lane.index, steps, epochs, over, diverged, time: epochs.length === 0 ? time : null });
  }
  if (times.length > 0) updates = Math.max(1, Math.min(64, Math.round(TURN / Math.max(...times))));
}

async function look() {
  for (const [nth, lane] of lanes.entries()) say('predicted', { lane: lane.index, said: JSON.parse(await race.predict(nth)) });
  looked = performance.now();
}

const over = () => lanes.every(lane => lane.over);

async function turn() {
  const message = queue.shift();
  if (message?.do === 'open') await open(message);
  else if (message?.do === 'run') { running = race !== null; say('state', { running }); }
  else if (message?.do === 'pause') { running = false; say('state', { running, over: lanes.length > 0 && over() }); if (race) await look(); }
  else if (message?.do === 'step' && race) { running = false; await round(1); await look(); say('state', { running, over: over() }); }
  else if (message?.do === 'drop') await take(message.files);
  else if (message?.do === 'weights') await weights(message.lane);
  else if (message?.do === 'check') say('checked', { id: message.id, ...JSON.parse(check_rule(message.name, message.text)) });
  else if (message?.do === 'selftest') await selftest(message.full);
  else if (running) {
    await round(updates);
    if (over()) { running = false; await look(); say('state', { running, over: true }); }
    else if (performance.now() - looked > LOOK) await look();
  }
}

/** Reads dropped files; those that were there before stay if these cannot be read. */
async function take(files) {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (bytes > MOST) {
    return say('undropped', { fault: { kind: 'data', message: `Expected files of at most ${MOST >> 20} MiB in all, found ${Math.ceil(bytes / (1 << 20))}.`, hint: 'the program reads larger ones' } });
  }
  let found = new Dropped();
  try {
    for (const file of files) found.add(file.name, new Uint8Array(await file.arrayBuffer()));
    const about = JSON.parse(found.read());
    [found, dropped] = [dropped, found];
    say('dropped', { ...about, files: files.map(file => file.name) });
  } catch (error) {
    // A file that the browser cannot read, such as a folder, is no fault of the program.
    const what = error instanceof DOMException ? { kind: 'data', message: `The browser cannot read these files: ${error.message}`, hint: 'give files, and no folders' } : fault(error);
    say('undropped', { fault: what });
  } finally {
    found.free();
  }
}

/** Hands out the weights of an optimizer as they are now. */
async function weights(index) {
  const nth = lanes.findIndex(lane => lane.index === index);
  if (race === null || nth < 0) return say('weights', { lane: index, bytes: null });
  const bytes = await race.weights(nth);
  postMessage({ kind: 'weights', lane: index, bytes }, [bytes.buffer]);
}

async function selftest(full) {
  await openDevice();
  const rows = JSON.parse(await device.selftest(full, (done, all) => say('tested', { done, all })));
  say('selftest', { rows });
  if (rows.every(row => row.passed)) return;
  wrong = { kind: 'device', message: 'This device computes wrong numbers, so nothing is trained on it.', hint: 'try another browser, or another version of the driver' };
  running = false;
  drop();
  say('refused', { fault: wrong });
}

async function main() {
  if (!navigator.gpu) {
    const hint = isSecureContext ? 'Chrome and Edge 113, Safari 26 and Firefox 141 on Windows have it; in others it may have to be switched on'
      : 'browsers offer it only to pages that come over https, or from this machine';
    return say('fault', { fault: { kind: 'none', message: 'This browser has no WebGPU.', hint } });
  }
  const begun = performance.now();
  await init();
  const started = performance.now() - begun;
  dropped = new Dropped();
  const adapter = await navigator.gpu.requestAdapter();
  const info = adapter?.info;
  const name = info ? info.description || [info.vendor, info.architecture, info.device].filter(Boolean).join(' ') : '';
  software = Boolean(info?.isFallbackAdapter) || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${name} ${info?.architecture}`);
  say('ready', { tables: JSON.parse(tables()), device: name || 'a device that does not tell its name', software, started });
  for (;;) {
    if (queue.length === 0 && !running) await new Promise(resolve => { wake = resolve; });
    try { await turn(); } catch (error) { fail(error); }
    // Messages arrive between two tasks.
    await new Promise(resolve => setTimeout(resolve));
  }
}

main().catch(fail);
