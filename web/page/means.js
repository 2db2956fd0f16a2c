// What optimizers reach over several seeds: means and sample standard deviations, as `velograd compare` shows them.

const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

/** Mean and sample standard deviation; the latter needs two values. */
export function spread(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length > 1 ? Math.sqrt(square / (values.length - 1)) : null };
}

function cell(values, digits) {
  if (values.length === 0) return '';
  const { mean, deviation } = spread(values);
  return deviation === null ? mean.toFixed(digits) : `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}`;
}

export class Means {
  constructor(box) { Object.assign(this, { box, results: [] }); }

  /** Forgets everything; there is nothing to show for a single seed. */
  open(labels, { seeds }, text) {
    Object.assign(this, { labels, seeds, text, results: [] });
    this.box.hidden = seeds < 2;
    this.show();
  }

  /** Notes where the optimizers have come with a seed. */
  add(seed, lanes) {
    const last = lane => lane.epochs.at(-1) ?? {};
    this.results.push({
      seed,
      optimizers: lanes.map(lane => ({
        label: lane.label, fault: lane.fault ?? undefined, diverged: lane.diverged || undefined, updates: lane.steps.length,
        train_loss: last(lane).train_loss ?? null, train_acc: last(lane).train_acc ?? null, val_loss: last(lane).val_loss ?? null, val_acc: last(lane).val_acc ?? null,
      })),
    });
    this.show();
  }

  show() {
    if (this.box.hidden) return;
    const heads = ['optimizer', 'seeds', 'loss of training', ...(this.text ? [] : ['accuracy']), 'loss on test data', ...(this.text ? [] : ['on test data'])];
    const rows = this.labels.map((label, index) => {
      // As in the program, runs that diverged count for no mean; the number of seeds says that they are missing.
      const runs = this.results.map(result => result.optimizers[index]).filter(run => !run.fault && !run.diverged);
      const of = key => runs.map(run => run[key]).filter(value => value !== null);
      const texts = [`${runs.length} of ${this.seeds}`, cell(of('train_loss'), 4), ...(this.text ? [] : [cell(of('train_acc'), 1)]), cell(of('val_loss'), 4), ...(this.text ? [] : [cell(of('val_acc'), 1)])];
      return make('tr', {}, make('th', { scope: 'row', textContent: label }), ...texts.map(textContent => make('td', { textContent })));
    });
    this.box.replaceChildren(make('table', {}, make('caption', { textContent: 'Mean ± sample standard deviation over seeds, at the end' }),
      make('thead', {}, make('tr', {}, ...heads.map(textContent => make('th', { scope: 'col', textContent })))), make('tbody', {}, ...rows)));
  }
}
