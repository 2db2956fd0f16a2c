// Curves as SVG, drawn anew a few times a second.

const SPACE = 'http://www.w3.org/2000/svg';
const HEIGHT = 230, LEFT = 44, RIGHT = 8, TOP = 8, BOTTOM = 24;

/** The weight that a running mean gives to what was before. */
const KEEP = 0.9;
/** Points of a curve that are drawn: there are no more pixels. */
const POINTS = 500;

function make(name, attributes, text) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Adds a value to a curve and to its running mean, which begins without a bias towards zero. */
export class Curve {
  constructor() { this.x = []; this.y = []; this.mean = []; this.sum = 0; this.weight = 0; }
  push(x, y) {
    if (y === null) return;
    this.sum = KEEP * this.sum + (1 - KEEP) * y;
    this.weight = KEEP * this.weight + (1 - KEEP);
    this.x.push(x); this.y.push(y); this.mean.push(this.sum / this.weight);
  }
  get last() { return this.mean.at(-1); }
}

/** Round numbers that divide a range into about `count` parts. */
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw) ?? raw;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, i) => (first + i) * step);
}

export class Chart {
  /** `of` names the curve of a lane, `dots` its points on test data. */
  constructor(figure, title, of, dots, range) {
    Object.assign(this, { figure, title, of, dots, range });
    const caption = document.createElement('figcaption');
    caption.textContent = title;
    this.svg = make('svg', { role: 'img' });
    figure.replaceChildren(caption, this.svg);
    new ResizeObserver(() => this.lanes && this.draw(this.lanes)).observe(figure);
  }

  draw(lanes) {
    this.lanes = lanes;
    const width = Math.max(240, Math.round(this.figure.clientWidth) || 480);
    const curves = lanes.map(lane => lane[this.of]);
    const end = Math.max(20, ...curves.map(curve => curve.x.at(-1) ?? 0));
    const [low, high] = this.range ?? this.extent(curves, lanes);
    const x = update => LEFT + (width - LEFT - RIGHT) * update / end;
    const y = value => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (Math.min(Math.max(value, low), high) - low) / (high - low));
    const parts = [];
    for (const value of ticks(low, high, 4)) {
      parts.push(make('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
      parts.push(make('text', { class: 'tick', x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, String(+value.toPrecision(4))));
    }
    for (const value of ticks(0, end, width / 90)) {
      parts.push(make('text', { class: 'tick', x: x(value), y: HEIGHT - 6, 'text-anchor': value > 0.95 * end ? 'end' : 'middle' }, String(value)));
    }
    const path = (curve, values) => {
      const stride = Math.max(1, Math.ceil(values.length / POINTS));
      const points = [];
      for (let i = 0; i < values.length; i += stride) points.push(i);
      if (points.at(-1) !== values.length - 1 && values.length > 0) points.push(values.length - 1);
      return points.map(i => `${x(curve.x[i]).toFixed(1)},${y(values[i]).toFixed(1)}`).join(' ');
    };
    lanes.forEach((lane, index) => {
      const curve = curves[index];
      parts.push(make('polyline', { class: `raw line lane-${lane.color}`, points: path(curve, curve.y) }));
    });
    lanes.forEach((lane, index) => {
      const curve = curves[index];
      parts.push(make('polyline', { class: `smooth line lane-${lane.color}`, points: path(curve, curve.mean) }));
      for (const [at, value] of lane[this.dots]) {
        if (value !== null) parts.push(make('circle', { class: `dot lane-${lane.color}`, cx: x(at), cy: y(value), r: 4 }));
      }
    });
    this.svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    const said = lanes.map((lane, i) => `${lane.label} ${curves[i].last?.toPrecision(4) ?? 'not begun'}`);
    this.svg.setAttribute('aria-label', `${this.title}: ${said.join(', ')}`);
    this.svg.replaceChildren(...parts);
  }

  extent(curves, lanes) {
    const all = [...curves.flatMap(curve => curve.mean), ...lanes.flatMap(lane => lane[this.dots].map(([, value]) => value).filter(value => value !== null))];
    if (all.length === 0) return [0, 3];
    // What has diverged must not hide the others.
    const starts = curves.map(curve => curve.mean[0]).filter(value => value !== undefined);
    const most = 1.5 * Math.max(...starts, 0.1);
    let [low, high] = [Infinity, -Infinity];
    for (const value of all) { low = Math.min(low, value); high = Math.max(high, Math.min(value, most)); }
    const room = 0.06 * Math.max(high - low, 1e-3);
    return [Math.max(0, low - room), high + room];
  }
}

/** Charts below one another as one file, with the colours that they have now. */
export function picture(charts, lanes) {
  const width = Math.max(...charts.map(chart => chart.svg.viewBox.baseVal.width));
  const root = make('svg', { xmlns: SPACE, viewBox: `0 0 ${width} ${charts.length * (HEIGHT + 24) + 24 * lanes.length}`, 'font-family': 'sans-serif' });
  const style = getComputedStyle(document.documentElement);
  root.append(make('rect', { width: '100%', height: '100%', fill: style.getPropertyValue('--card') }));
  const copy = (from, to) => {
    for (const child of from.children) {
      const clone = child.cloneNode(true), computed = getComputedStyle(child);
      clone.removeAttribute('class');
      for (const key of ['fill', 'stroke', 'stroke-width', 'opacity', 'font-size']) clone.setAttribute(key, computed.getPropertyValue(key));
      to.append(clone);
    }
  };
  charts.forEach((chart, index) => {
    const group = make('g', { transform: `translate(0 ${index * (HEIGHT + 24) + 20})` });
    group.append(make('text', { x: LEFT, y: -4, 'font-size': 14, fill: style.getPropertyValue('--ink') }, chart.title));
    copy(chart.svg, group);
    root.append(group);
  });
  lanes.forEach((lane, index) => {
    const at = charts.length * (HEIGHT + 24) + 24 * index + 16;
    root.append(make('rect', { x: LEFT, y: at - 10, width: 12, height: 12, fill: style.getPropertyValue(`--lane-${lane.color}`) }));
    root.append(make('text', { x: LEFT + 18, y: at, 'font-size': 13, fill: style.getPropertyValue('--ink') }, lane.label));
  });
  return new XMLSerializer().serializeToString(root);
}
