// What the networks say of test samples.

const make = (name, properties = {}) => Object.assign(document.createElement(name), properties);

/** Bytes of a plane for each channel, drawn to a canvas of as many pixels. */
function paint(canvas, pixels, [channels, height, width]) {
  Object.assign(canvas, { width, height });
  const data = new ImageData(width, height), plane = width * height;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) data.data[4 * i + c] = pixels[Math.min(c, channels - 1) * plane + i];
    data.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d').putImageData(data, 0, 0);
}

export class Samples {
  constructor(box, title) { Object.assign(this, { box, title }); }

  /** Shows samples, with a line for each optimizer below. */
  open(samples, lanes) {
    this.samples = samples;
    this.box.replaceChildren();
    this.box.classList.toggle('text', !samples.images);
    this.title.textContent = samples.images ? 'What they see in test images' : 'What they expect in a test text';
    if (!samples.images) {
      this.lines = lanes.map(lane => {
        const line = make('p');
        this.box.append(line);
        return line;
      });
      return;
    }
    this.cells = samples.images.map(({ pixels, label }) => {
      const cell = make('div', { className: 'sample' }), canvas = make('canvas');
      const truth = samples.classes[label];
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', `a test image of class ${truth}`);
      paint(canvas, pixels, samples.size);
      cell.append(canvas, make('b', { textContent: truth, title: truth }));
      const lines = lanes.map(lane => {
        const line = make('div'), said = make('span', { textContent: '…' });
        line.append(make('span', { className: `swatch lane-${lane.color}` }), said);
        cell.append(line);
        return said;
      });
      this.box.append(cell);
      return { label, lines };
    });
  }

  say(lane, color, label, said) {
    if (!this.samples.images) {
      const parts = [make('span', { className: `swatch lane-${color}` }), `${label}: `];
      said.said.forEach((text, i) => parts.push(make('span', { className: said.hits[i] ? 'hit' : 'miss', textContent: text.replaceAll('\n', '↵') })));
      this.lines[lane].replaceChildren(...parts);
      return;
    }
    said.forEach(({ class: found, share }, index) => {
      const line = this.cells[index].lines[lane], name = this.samples.classes[found], hit = found === this.cells[index].label;
      line.className = hit ? 'hit' : 'miss';
      line.textContent = name;
      line.title = `${label}: ${name}, ${Math.round(100 * share)} %`;
    });
  }
}
