// The page: what is shown, and what the worker is told.

import { Chart, Curve, picture } from './chart.js';
import { Editor } from './editor.js';
import { Form } from './form.js';
import { Means } from './means.js';
import { DROPPED, FILES, OWN, csv, decode, encode, isOfText, runner, toml, usual } from './recipe.js';
import { Samples } from './samples.js';

const $ = id => document.getElementById(id);
const worker = new Worker('worker.js', { type: 'module' });
const tell = (what, content = {}) => worker.postMessage({ do: what, ...content });

let tables, software = false, recipe, lanes = [], running = false, over = false, opened = false, form, asked = 0;
/** Whether the race was paused because the page was hidden. */
let hidden = false;
/** Whether the text of the rule is one that can be raced. */
let whole = true;

const charts = [new Chart($('loss'), 'Loss of training', 'loss', 'tested', null), new Chart($('accuracy'), 'Accuracy in percent', 'accuracy', 'right', [0, 100])];
const samples = new Samples($('samples'), $('samples-title'));
const editor = new Editor($('rule'), $('gutter'), $('rule-fault'), check);
const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** A sentence on what has gone wrong, with what to do. */
function fault(what) {
  const box = $('fault');
  box.hidden = what === null;
  box.textContent = what === null ? '' : `${what.message}${what.hint ? `\n${what.hint[0].toUpperCase()}${what.hint.slice(1)}.` : ''}`;
}

const status = text => { if ($('status').textContent !== text) $('status').textContent = text; };

function buttons() {
  const go = $('go');
  go.textContent = running ? 'Pause' : over ? 'Again' : lanes.some(lane => lane.steps.length > 0) ? 'Go on' : 'Start';
  go.disabled = !tables || (!opened && lanes.length > 0 && $('fault').hidden);
  $('step').disabled = !opened || over;
  $('reset').disabled = !tables;
  $('selftest').disabled = $('selftest-full').disabled = !tables;
}

function label(one, index) {
  const name = one.own ? 'your rule' : one.name;
  const twice = recipe.optimizers.filter(other => other.name === one.name).length > 1;
  return twice ? `${name} (${index + 1})` : name;
}

const means = new Means($('means'));
/** Which of the seeds is raced: 0 is the recipe's own. */
let nth = 0;
const seed = () => recipe.seed + nth;

/** Begins a race anew, from the first weights and the first seed. */
function start(run) {
  means.open(recipe.optimizers.map(label), recipe, isOfText(recipe));
  begin(run, 0);
}

/** Begins the race of one of the seeds. */
function begin(run, which) {
  nth = which;
  fault(null);
  opened = over = hidden = false;
  running = run;
  lanes = recipe.optimizers.map((one, index) => ({
    label: label(one, index), color: index, one, steps: [], epochs: [], loss: new Curve(), accuracy: new Curve(), tested: [], right: [], fault: null, time: null, over: false,
  }));
  const runners = recipe.optimizers.map(one => runner(recipe, one));
  tell('open', { recipe: { ...recipe, seed: seed(), dataSeed: recipe.seed, optimizers: undefined, rule: undefined }, runners, run });
  status('Drawing data …');
  table();
  buttons();
  draw();
}

/** Shows the editor if a rule of one's own races, and says whether one does. */
function edits() {
  const own = recipe.optimizers.some(one => one.own);
  $('editor').hidden = !own;
  if (own) editor.number();
  return own;
}

/** After a change of the recipe. */
function changed() {
  if (!edits()) whole = true;
  else if (recipe.rule === null) {
    recipe.rule = tables.template;
    editor.text = recipe.rule;
    check();
    return;
  }
  history.replaceState(null, '', location.pathname + location.search);
  if (whole) start(running || over || !opened);
}

function check() { asked += 1; tell('check', { id: asked, name: OWN, text: editor.text }); }

// The table ----------------------------------------------------------------------------------------------------------

function table() {
  const rows = lanes.map(lane => {
    const row = document.createElement('tr'), first = document.createElement('th');
    first.scope = 'row';
    const swatch = Object.assign(document.createElement('span'), { className: `swatch lane-${lane.color}` });
    const set = Object.entries(lane.one.set).map(([key, value]) => `${key} ${value}`).join(', ');
    first.append(swatch, lane.label);
    if (set) first.append(Object.assign(document.createElement('small'), { textContent: ` ${set}`, className: 'source' }));
    row.append(first);
    lane.cells = ['update', 'loss', 'accuracy', 'test', 'rate'].map(() => row.appendChild(document.createElement('td')));
    const cell = row.appendChild(document.createElement('td')), save = document.createElement('button');
    Object.assign(save, { type: 'button', className: 'small', textContent: 'TOML', title: `The recipe of ${lane.label} for velograd train` });
    save.disabled = true;
    save.addEventListener('click', () => download(`${lane.one.name}.toml`, toml(recipe, lane.one, lane.passes, seed()), 'application/toml'));
    const weights = document.createElement('button');
    Object.assign(weights, { type: 'button', className: 'small', textContent: 'weights', title: `The weights of ${lane.label} as they are now, for velograd eval` });
    weights.disabled = true;
    weights.addEventListener('click', () => { weights.disabled = true; tell('weights', { lane: lane.color }); });
    Object.assign(lane, { save, weights });
    cell.append(save, ' ', weights);
    return row;
  });
  $('table').tBodies[0].replaceChildren(...rows);
}

const shown = (value, digits) => value === undefined || value === null ? '' : value.toFixed(digits);
/** What a network is judged by: for text the loss. */
const tested = row => isOfText(recipe) ? `loss ${shown(row.val_loss, 4)}` : `${shown(row.val_acc, 1)} %`;

function numbers() {
  for (const lane of lanes) {
    if (lane.fault) {
      if (lane.cells[0].colSpan === 1) {
        for (const cell of lane.cells.slice(1)) cell.remove();
        Object.assign(lane.cells[0], { colSpan: 5, className: 'said' });
      }
      lane.cells[0].textContent = lane.fault;
      continue;
    }
    const test = lane.epochs.findLast(row => row.val_acc !== null);
    const texts = [lane.steps.at(-1)?.[0] ?? 0, shown(lane.loss.last, 4), lane.steps.length ? `${shown(lane.accuracy.last, 1)} %` : '',
      test ? tested(test) : '', lane.time ? shown(1000 / lane.time, lane.time > 100 ? 1 : 0) : ''];
    texts.forEach((text, i) => { if (lane.cells[i].textContent !== String(text)) lane.cells[i].textContent = text; });
  }
  const times = lanes.filter(lane => lane.time && !lane.over).map(lane => lane.time);
  // Optimizers take turns, so each has its own share of the time.
  const rate = times.length ? 1000 * recipe.batch * times.length / times.reduce((sum, time) => sum + time, 0) : 0;
  const unit = isOfText(recipe) ? 'blocks' : 'images';
  $('pace').textContent = rate ? `${rate < 100 ? rate.toFixed(1) : Math.round(rate)} ${unit}/s${running ? '' : ' (paused)'}` : '';
}

let drawn = 0, due = false;
/** Draws soon, and not more than a few times a second. */
function draw() {
  if (due) return;
  due = true;
  const wait = Math.max(0, (calm.matches ? 1000 : 200) - (performance.now() - drawn));
  setTimeout(() => requestAnimationFrame(() => {
    due = false;
    drawn = performance.now();
    for (const chart of charts) chart.draw(lanes.filter(lane => !lane.fault));
    numbers();
  }), wait);
}

// What the worker says -----------------------------------------------------------------------------------------------

const heard = {
  ready({ tables: known, device, software: soft, started }) {
    tables = known;
    software = soft;
    $('device').textContent = `${device}${software ? ' (software: no GPU, so networks are small)' : ''}`;
    document.documentElement.dataset.started = Math.round(started);
    const linked = decode(location.hash, software);
    if (location.hash.length > 1 && linked === null) status('The link holds no recipe that can be read; this is the usual one.');
    form = new Form(tables, software, changed);
    load(linked ?? usual(software));
  },
  status({ text }) { status(text); },
  opening({ samples: found }) { samples.open(found, lanes); },
  opened({ lanes: found, running: runs }) {
    opened = true;
    running = runs;
    found.forEach((one, index) => {
      Object.assign(lanes[index], { parameters: one.parameters, passes: one.epochs });
      lanes[index].save.disabled = lanes[index].weights.disabled = Boolean(one.fault);
      if (one.fault) lanes[index].fault = one.fault.message + (one.fault.hint ? ` (${one.fault.hint})` : '');
      if (one.fault && lanes[index].one.own) editor.say(one.fault, '');
    });
    const count = lanes.find(lane => lane.parameters)?.parameters;
    status(count ? `${recipe.model} with ${count.toLocaleString('en')} parameters, batches of ${recipe.batch}, the same first weights and order for all${recipe.seeds > 1 ? `; seed ${nth + 1} of ${recipe.seeds}` : ''}.` : 'No optimizer can race.');
    buttons();
    draw();
    if (document.hidden) hide();
  },
  refused({ fault: what, lane }) {
    opened = running = false;
    if (lane !== undefined && lanes[lane]) { lanes[lane].fault = what.message; editor.say(what, ''); draw(); }
    fault(what);
    status('');
    buttons();
  },
  rows({ lane: index, steps, epochs: rows, over: ended, diverged, time }) {
    const lane = lanes[index];
    for (const step of steps) {
      lane.steps.push(step);
      lane.loss.push(step[0], step[1]);
      lane.accuracy.push(step[0], step[2]);
    }
    for (const row of rows) {
      lane.epochs.push(row);
      lane.tested.push([lane.steps.length, row.val_loss]);
      lane.right.push([lane.steps.length, row.val_acc]);
    }
    if (time !== null && steps.length > 0) lane.time = lane.time === null ? time / steps.length : 0.7 * lane.time + 0.3 * time / steps.length;
    lane.over = ended;
    lane.diverged = Boolean(diverged);
    if (diverged) status(`${lane.label} has diverged: its numbers are not finite from update ${diverged} on. A smaller learning rate may help.`);
    draw();
  },
  predicted({ lane: index, said }) { samples.say(index, lanes[index].color, lanes[index].label, said); },
  state({ running: runs, over: ended }) {
    const [raced, was] = [running, over];
    running = runs;
    over = Boolean(ended);
    // A race that is over says so again when it is paused.
    if (over && !was) {
      means.add(seed(), lanes);
      if (nth + 1 < recipe.seeds) { begin(raced, nth + 1); return; }
      status(recipe.seeds > 1 ? `The race is over, with ${recipe.seeds} seeds.` : 'The race is over.');
    }
    buttons();
    draw();
  },
  dropped({ name, text, about, notes, files }) {
    const takes = isOfText(recipe) ? 'tokens' : 'images';
    recipe.dropped = { name, text, files };
    $('dropped').className = 'sentence';
    $('dropped').textContent = `${name}: ${about}.${notes.map(note => `\n${note}.`).join('')}`;
    form.toData(DROPPED, takes);
    form.show(recipe);
    changed();
  },
  undropped({ fault: { message, hint } }) {
    $('dropped').className = 'sentence fault';
    $('dropped').textContent = `${message}${hint ? ` ${hint[0].toUpperCase()}${hint.slice(1)}.` : ''}`;
  },
  weights({ lane: index, bytes }) {
    const lane = lanes[index];
    if (!lane) return;
    lane.weights.disabled = false;
    if (bytes) download(`${lane.one.name}.safetensors`, bytes, 'application/octet-stream');
  },
  checked({ id, error, source, settings }) {
    if (id !== asked) return;
    whole = error === undefined;
    editor.say(error ?? null, 'The rule is whole.');
    if (!whole) return;
    const news = recipe.rule !== editor.text || form.rule === null;
    recipe.rule = editor.text;
    form.toRule({ source, settings });
    if (news) changed();
  },
  tested({ done, all }) { $('selftest-progress').value = done / all; $('selftest-status').textContent = `${done} of ${all} cases`; },
  selftest({ rows }) {
    const failed = rows.filter(row => !row.passed);
    const bodies = [...failed, ...rows.filter(row => row.passed)].map(row => {
      const line = document.createElement('tr');
      for (const text of [row.kernel, row.form, row.case, row.worst.toPrecision(3), row.bound.toExponential(1)]) line.append(Object.assign(document.createElement('td'), { textContent: text }));
      line.append(Object.assign(document.createElement('td'), { textContent: row.passed ? 'ok' : 'WRONG', className: row.passed ? 'ok' : 'bad' }));
      return line;
    });
    $('selftest-table').tBodies[0].replaceChildren(...bodies);
    $('selftest-box').hidden = false;
    $('selftest-progress').hidden = true;
    $('selftest-status').textContent = failed.length === 0 ? `All ${rows.length} results are within their bounds.` : `${failed.length} of ${rows.length} results are wrong.`;
    buttons();
  },
  fault({ fault: what }) {
    opened = running = false;
    const lost = what.kind === 'lost' || what.kind === 'device';
    fault(lost ? { ...what, hint: `${what.hint ? `${what.hint}. ` : ''}“Reset” opens the device anew and begins the race again; what was measured so far can still be downloaded` } : what);
    if (what.kind === 'none') $('device').textContent = '';
    status('');
    $('selftest-progress').hidden = true;
    buttons();
  },
};

worker.onmessage = ({ data }) => heard[data.kind](data);
worker.onerror = event => { event.preventDefault(); heard.fault({ fault: { kind: 'fault', message: 'The page could not be loaded whole.', hint: 'load it again' } }); };

// What the visitor does ----------------------------------------------------------------------------------------------

function load(found) {
  recipe = found;
  if (recipe.rule !== null) { editor.text = recipe.rule; check(); }
  form.show(recipe);
  edits();
  start(!document.hidden);
}

function pause() { running = false; tell('pause'); status('Paused.'); buttons(); }
function goOn() {
  if (over || !opened) return start(true);
  running = true;
  tell('run');
  status('');
  buttons();
}

function hide() {
  if (document.hidden && running) { pause(); hidden = true; status('Paused while the page is in the background; it goes on when it is seen again.'); }
  else if (!document.hidden && hidden) { hidden = false; goOn(); }
}

function download(name, text, type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

$('go').addEventListener('click', () => (running ? pause() : goOn()));
$('step').addEventListener('click', () => { running = false; tell('step'); status('One update.'); buttons(); });
$('reset').addEventListener('click', () => start(false));
$('add').addEventListener('click', () => {
  const free = ['adamw', 'sgd', 'muon', 'lion', 'schedulefree', 'radam'].find(name => !recipe.optimizers.some(one => one.name === name));
  form.add(free ?? 'adam', false);
});
$('add-own').addEventListener('click', () => form.add(OWN, true));
$('rule-template').addEventListener('click', () => { editor.text = tables.template; check(); });
$('rule-save').addEventListener('click', () => download(`${OWN}.wgsl`, editor.text, 'text/plain'));
$('link').addEventListener('click', async () => {
  history.replaceState(null, '', encode(recipe));
  try {
    await navigator.clipboard.writeText(location.href);
    $('copied').textContent = 'Copied: the link holds the whole recipe.';
  } catch {
    $('copied').textContent = 'The link is in the address bar.';
  }
});
$('json').addEventListener('click', () => download('velograd-race.json', JSON.stringify({
  version: tables.version, seed: seed(), seeds: means.results, device: $('device').textContent, recipe,
  columns: ['update', 'loss', 'accuracy', 'grad_norm', 'lr', 'skipped'],
  optimizers: lanes.map(({ label: name, one, parameters, steps, epochs: rows, fault: what }) => ({ label: name, ...one, parameters, fault: what ?? undefined, updates: steps, epochs: rows })),
}), 'application/json'));
$('csv').addEventListener('click', () => download('velograd-race.csv', csv(lanes), 'text/csv'));
$('svg').addEventListener('click', () => download('velograd-race.svg', picture(charts, lanes), 'image/svg+xml'));
for (const [id, full] of [['selftest', false], ['selftest-full', true]]) {
  $(id).addEventListener('click', () => {
    $('selftest-progress').hidden = false;
    $('selftest-progress').value = 0;
    $('selftest').disabled = $('selftest-full').disabled = true;
    $('selftest-status').textContent = 'Comparing …';
    tell('selftest', { full });
  });
}
document.addEventListener('visibilitychange', hide);

/** Hands files to the worker, which reads them. */
function take(files) {
  if (!tables || files.length === 0) return;
  $('dropped').className = 'sentence';
  $('dropped').textContent = `Reading ${files.length === 1 ? files[0].name : `${files.length} files`} …`;
  if (files.length > FILES) heard.undropped({ fault: { message: `Expected at most ${FILES} files, found ${files.length}.`, hint: 'give the files of one set alone' } });
  else tell('drop', { files });
}

$('files').addEventListener('change', event => { take([...event.target.files]); event.target.value = ''; });
// A file that is dropped beside the place for it would replace the page.
const holds = event => event.dataTransfer?.types.includes('Files');
addEventListener('dragover', event => { if (holds(event)) { event.preventDefault(); event.dataTransfer.dropEffect = 'copy'; document.body.classList.add('dragging'); } });
for (const kind of ['dragleave', 'dragend', 'drop']) addEventListener(kind, () => document.body.classList.remove('dragging'));
addEventListener('drop', event => { if (holds(event)) { event.preventDefault(); take([...event.dataTransfer.files]); } });
addEventListener('hashchange', () => {
  const linked = tables && decode(location.hash, software);
  if (linked) load(linked);
});
