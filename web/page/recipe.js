// What is raced: its usual form, its form in a link, and the form that the program takes.

/** The most seeds of a race, and files that are dropped. */
export const SEEDS = 5, FILES = 40;
/** What data are called that the visitor has dropped. */
export const DROPPED = 'dropped';
/** Whether a recipe's data are text. */
export const isOfText = recipe => recipe.data === 'grammar' || (recipe.data === DROPPED && recipe.dropped?.text === true);
/** The most optimizers of a race. */
export const MOST = 6;
/** What a rule of one's own is called. */
export const OWN = 'mine';

/** The race that a page opens with; `software` says that no GPU computes it. */
export function usual(software) {
  return {
    data: 'shapes10', seed: 0, ...(software ? { model: 'mlp', modelSet: { width: '32', depth: '1' }, batch: 32, updates: 1000 }
      : { model: 'cnn', modelSet: { width: '16' }, batch: 64, updates: 1500 }),
    schedule: 'constant', warmup: 0, augment: 'none', seeds: 1, dropped: null,
    optimizers: [{ name: 'velograd', set: {} }, { name: 'adam', set: {} }],
    rule: null,
  };
}

/** Settings of a network that suit a page, where its own defaults are those of an experiment of hours. */
export function small(model, software) {
  const width = software ? '4' : '16';
  return {
    mlp: { width: software ? '32' : '128', depth: '1' }, cnn: { width }, vit: {}, gpt: { preset: '' },
  }[model] ?? (model.startsWith('resnet') ? { stem: 'cifar', width: software ? '4' : '8' } : {});
}

const isText = value => typeof value === 'string' && value.length < 1 << 16;

function set(value) {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([key, text]) => isText(key) && isText(text)).slice(0, 40));
}

/** A recipe from what a link has, with the usual values where it has none; null if it is no recipe. */
export function read(found, software) {
  if (typeof found !== 'object' || found === null || !Array.isArray(found.optimizers)) return null;
  const recipe = usual(software);
  for (const key of ['data', 'model', 'schedule', 'augment']) if (isText(found[key])) recipe[key] = found[key];
  for (const key of ['batch', 'seed', 'updates', 'warmup']) if (Number.isSafeInteger(found[key]) && found[key] >= 0) recipe[key] = found[key];
  recipe.batch = Math.min(recipe.batch, 2 ** 31);
  if (Number.isSafeInteger(found.seeds)) recipe.seeds = Math.max(1, Math.min(SEEDS, found.seeds));
  const { name, text, files } = found.dropped ?? {};
  if (isText(name) && Array.isArray(files) && files.length > 0) recipe.dropped = { name, text: text === true, files: files.filter(isText).slice(0, FILES) };
  recipe.modelSet = set(found.modelSet);
  recipe.rule = isText(found.rule) ? found.rule : null;
  recipe.optimizers = found.optimizers.filter(one => isText(one?.name)).slice(0, MOST)
    .map(one => ({ name: one.name, set: set(one.set), ...(one.own === true ? { own: true } : {}) }));
  return recipe;
}

/** A recipe as the fragment of a link. */
export function encode(recipe) {
  const bytes = new TextEncoder().encode(JSON.stringify(recipe));
  const text = Array.from(bytes, byte => String.fromCharCode(byte)).join('');
  return '#' + btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** The recipe of a link's fragment; null if there is none, or it is damaged. */
export function decode(fragment, software) {
  if (fragment.length < 2) return null;
  try {
    const text = atob(fragment.slice(1).replaceAll('-', '+').replaceAll('_', '/'));
    return read(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(text, c => c.charCodeAt(0)))), software);
  } catch {
    return null;
  }
}

/** The recipe of one optimizer for the worker. */
export function runner(recipe, one) {
  return { name: one.name, set: one.set, rule: one.own ? recipe.rule : null };
}

const quoted = text => JSON.stringify(text).replaceAll('\u007f', '\\u007f');
const table = (name, set) => Object.keys(set).length === 0 ? '' : `\n[${name}]\n` + Object.entries(set).map(([key, value]) => `${quoted(key)} = ${quoted(value)}\n`).join('');

/** The lines that name the data; dropped files are looked for in the folder that the program runs in. */
const dataset = ({ data, dropped }) => data === DROPPED && dropped
  ? `dataset = ${quoted(dropped.name)}\ndata = ${quoted(dropped.files[0])}\n` : `dataset = ${quoted(data)}\n`;

/** The same run as a recipe of `velograd train --config`. */
export function toml(recipe, one, epochs, seed = recipe.seed) {
  const file = one.own ? `${one.name}.wgsl` : one.name;
  return `# velograd train --config FILE.toml\n`
    + `# VELOGRAD_PORTABLE=1 lets the program use the kernels that the page uses: on the same adapter the losses are the same to the bit.\n`
    + `command = "train"\npreset = "paper"\n`
    + `seed = ${seed}\n${seed === recipe.seed ? '' : `data-seed = ${recipe.seed}\n`}${dataset(recipe)}model = ${quoted(recipe.model)}\noptimizer = ${quoted(file)}\n`
    + `batch-size = ${recipe.batch}\naccumulate = 1\nepochs = ${epochs}\nmax-steps = ${recipe.updates}\n`
    + `schedule = ${quoted(recipe.schedule)}\nwarmup = ${recipe.warmup}\naugment = ${quoted(recipe.augment)}\n`
    + table('model-set', recipe.modelSet) + table('set', one.set);
}

/** Every update of every optimizer, a line each. */
export function csv(lanes) {
  const cell = value => value === null || value === undefined ? '' : String(value);
  const name = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const lines = lanes.flatMap(lane => lane.steps.map(([step, loss, accuracy, norm, lr, skipped]) =>
    [name(lane.label), step, cell(loss), cell(accuracy), cell(norm), cell(lr), skipped ? 1 : 0].join(',')));
  return ['optimizer,update,loss,accuracy,grad_norm,lr,skipped', ...lines].join('\n') + '\n';
}
