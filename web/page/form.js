// The form of a recipe, made from the program's own tables.

import { DROPPED, MOST, OWN, SEEDS, isOfText, small } from './recipe.js';

const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

function field(label, control, doc) {
  control.title = doc ?? '';
  return make('label', { className: 'field', title: doc ?? '' }, make('span', { textContent: label }), control);
}

function select(values, value, changed) {
  const control = make('select');
  for (const [known, text] of values) control.append(make('option', { value: known, textContent: text }));
  if (!values.some(([known]) => known === value)) control.append(make('option', { value, textContent: value }));
  control.value = value;
  control.addEventListener('change', () => changed(control.value));
  return control;
}

function whole(value, least, changed) {
  const control = make('input', { type: 'number', min: least, step: 1, value, required: true, inputMode: 'numeric' });
  control.addEventListener('change', () => { if (control.checkValidity()) changed(Number(control.value)); else control.reportValidity(); });
  return control;
}

/** Whether a text is a number within a setting's range. */
function fits(setting, text) {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || (setting.kind === 'whole' && !Number.isInteger(value))) return false;
  const { low, high } = setting;
  return !(low && (low.included ? value < low.value : value <= low.value)) && !(high && (high.included ? value > high.value : value >= high.value));
}

/** A control for one setting of the registry; `set` holds only what differs from the defaults. */
function setting(one, set, changed) {
  const value = set[one.key] ?? one.default;
  const put = text => {
    if (text === one.default) delete set[one.key]; else set[one.key] = text;
    changed();
  };
  const doc = one.range ? `${one.doc} (a number ${one.range})` : one.doc;
  if (one.kind === 'flag') return field(one.key, select([['false', 'no'], ['true', 'yes']], value, put), doc);
  if (one.kind === 'choice') return field(one.key, select(one.words.map(word => [word, word]), value, put), doc);
  const control = make('input', { type: 'text', value, inputMode: 'decimal', spellcheck: false });
  control.addEventListener('input', () => control.setAttribute('aria-invalid', String(!fits(one, control.value))));
  control.addEventListener('change', () => {
    const text = control.value.trim();
    if (text === '') { control.value = one.default; control.removeAttribute('aria-invalid'); put(one.default); }
    else if (fits(one, text)) put(text);
  });
  return field(one.key, control, doc);
}

export class Form {
  /** `changed` is called after every change of the recipe. */
  constructor(tables, software, changed) {
    Object.assign(this, { tables, software, changed, rule: null });
    this.list = document.getElementById('optimizers');
    document.getElementById('form').addEventListener('submit', event => event.preventDefault());
  }

  show(recipe) {
    this.recipe = recipe;
    this.common();
    this.network();
    this.optimizers();
  }

  /** The settings of an optimizer, which those of one's own rule are known for once it is whole. */
  settingsOf(one) {
    return (one.own ? this.rule : this.tables.optimizers.find(known => known.name === one.name))?.settings ?? [];
  }

  common() {
    const { recipe, tables } = this, changed = () => this.changed();
    const put = key => value => { recipe[key] = value; changed(); };
    const takes = isOfText(recipe) ? 'tokens' : 'images';
    const data = { shapes10: 'shapes10 (drawn shapes)', digits28: 'digits28 (drawn digits)', grammar: 'grammar (drawn text)' };
    const toData = value => {
      this.toData(value, takes);
      this.show(recipe);
      changed();
    };
    const dropped = recipe.dropped ? [[DROPPED, `your files (${recipe.dropped.name})`]] : [];
    const seeds = Array.from({ length: SEEDS }, (_, i) => [String(i + 1), String(i + 1)]);
    const toModel = value => { this.toModel(value); this.show(recipe); changed(); };
    const models = tables.models.filter(model => model.takes === takes).map(({ name }) => [name, name]);
    const schedules = tables.schedules.map(([name, choices]) => [choices.includes('UPDATES') ? `${name}:${choices.replace('UPDATES', 200).split(',')[0]}` : name, name]);
    const known = schedules.map(([value]) => value);
    const fields = [
      field('data', select([...tables.data.map(name => [name, data[name] ?? name]), ...dropped], recipe.data, toData), 'Drawn in the page from the seed, or read from your files'),
      field('network', select(models, recipe.model, toModel), tables.models.find(model => model.name === recipe.model)?.about),
      field('batch size', whole(recipe.batch, 1, put('batch')), 'Samples of an update'),
      field('updates', whole(recipe.updates, 1, put('updates')), 'Updates of the whole race; the schedule ends with them'),
      field('seed', whole(recipe.seed, 0, put('seed')), 'Of first weights, data and their order: the same for all'),
      field('seeds', select(seeds, String(recipe.seeds), value => { recipe.seeds = Number(value); changed(); }), 'How many races, each with the next seed for weights and order, on the same data; the table shows means and standard deviations'),
      field('schedule', select(known.includes(recipe.schedule) ? schedules : [...schedules, [recipe.schedule, recipe.schedule]], recipe.schedule, put('schedule')), 'How the learning rate moves'),
      field('warm-up', whole(recipe.warmup, 0, put('warmup')), 'Updates over which the learning rate rises'),
    ];
    if (takes === 'images') {
      const lists = [['none', 'none'], ['paper', 'crop, flip, rotate'], ['crop:4', 'crop'], ['flip', 'flip']];
      fields.push(field('augmentation', select(lists, recipe.augment, put('augment')), 'What is done to training images'));
    }
    document.getElementById('common').replaceChildren(...fields);
  }

  /** Changes the data, and the network if the one there is does not take them; `takes` says what it takes. */
  toData(name, takes) {
    this.recipe.data = name;
    const now = isOfText(this.recipe) ? 'tokens' : 'images';
    if (now !== takes) this.toModel(now === 'tokens' ? 'gpt' : this.software ? 'mlp' : 'cnn');
    if (now === 'tokens') this.recipe.augment = 'none';
  }

  toModel(name) {
    const known = this.tables.models.find(model => model.name === name)?.settings.map(one => one.key) ?? [];
    this.recipe.model = name;
    this.recipe.modelSet = Object.fromEntries(Object.entries(small(name, this.software)).filter(([key, value]) => known.includes(key) && value !== ''));
  }

  network() {
    const settings = this.tables.models.find(model => model.name === this.recipe.model)?.settings ?? [];
    const controls = settings.map(one => setting(one, this.recipe.modelSet, () => this.changed()));
    document.getElementById('network').replaceChildren(...controls);
  }

  optimizers() {
    const { recipe, tables } = this;
    const names = tables.optimizers.map(({ name }) => [name, name]);
    const items = recipe.optimizers.map((one, index) => {
      const settings = this.settingsOf(one);
      const again = () => { this.optimizers(); this.changed(); };
      const to = name => { one.set = {}; one.own = name === OWN || undefined; if (!one.own) delete one.own; one.name = name; again(); };
      const all = one.own || !recipe.optimizers.some(other => other.own) ? [...names, [OWN, 'your rule']] : names;
      const lr = settings.find(other => other.key === 'lr');
      const remove = make('button', { type: 'button', textContent: '×', title: 'Remove', className: 'small' });
      remove.setAttribute('aria-label', `Remove ${one.own ? 'your rule' : one.name}`);
      remove.disabled = recipe.optimizers.length === 1;
      remove.addEventListener('click', () => { recipe.optimizers.splice(index, 1); again(); document.getElementById('add').focus(); });
      const head = make('div', { className: 'runner' }, field(`optimizer ${index + 1}`, select(all, one.name, to)),
        lr ? setting(lr, one.set, () => this.changed()) : make('span'), remove);
      const rest = settings.filter(other => other.key !== 'lr').map(other => setting(other, one.set, () => this.changed()));
      const source = (one.own ? this.rule : tables.optimizers.find(known => known.name === one.name))?.source ?? '';
      const details = make('details', {}, make('summary', { textContent: 'Settings' }), make('p', { className: 'source', textContent: source }), make('div', { className: 'fields' }, ...rest));
      details.open = this.list.children[index]?.querySelector('details')?.open ?? false;
      return make('li', { className: `lane-${index}` }, head, details);
    });
    this.list.replaceChildren(...items);
    document.getElementById('add').disabled = document.getElementById('add-own').disabled = recipe.optimizers.length >= MOST;
    if (recipe.optimizers.some(one => one.own)) document.getElementById('add-own').disabled = true;
  }

  add(name, own) {
    const { optimizers } = this.recipe;
    if (optimizers.length >= MOST) return;
    optimizers.push({ name, set: {}, ...(own ? { own: true } : {}) });
    this.optimizers();
    this.changed();
    this.list.lastChild.querySelector('select').focus();
  }

  /** What the text of one's own rule says of its settings; controls are made anew only if they change. */
  toRule(rule) {
    const same = JSON.stringify(this.rule) === JSON.stringify(rule);
    this.rule = rule;
    if (same) return;
    const controls = () => [...this.list.querySelectorAll('input, select, button')];
    const at = controls().indexOf(document.activeElement), tag = document.activeElement.tagName;
    this.optimizers();
    // New settings come behind the one that has the focus, unless it is of a rule further down.
    const now = controls()[at];
    if (now?.tagName === tag) now.focus();
  }
}
