// The editor of a rule: a text with numbers of lines, of which one can be marked.

export class Editor {
  /** `changed` is called a moment after the text was changed. */
  constructor(area, gutter, fault, changed) {
    Object.assign(this, { area, gutter, fault });
    let timer;
    area.addEventListener('input', () => {
      this.number();
      clearTimeout(timer);
      timer = setTimeout(() => changed(area.value), 500);
    });
    area.addEventListener('scroll', () => { gutter.scrollTop = area.scrollTop; });
    new ResizeObserver(() => this.fit()).observe(area);
  }

  get text() { return this.area.value; }
  set text(text) { this.area.value = text; this.number(); }

  number() {
    const lines = this.area.value.split('\n').length;
    while (this.gutter.children.length > lines) this.gutter.lastChild.remove();
    while (this.gutter.children.length < lines) {
      const line = document.createElement('div');
      line.textContent = this.gutter.children.length + 1;
      this.gutter.append(line);
    }
    this.fit();
  }

  fit() {
    this.gutter.style.height = `${this.area.offsetHeight}px`;
    this.gutter.scrollTop = this.area.scrollTop;
  }

  /** Shows what is wrong at its line, or in what order the text is. */
  say(fault, text) {
    for (const line of this.gutter.children) { line.classList.remove('here'); line.removeAttribute('title'); }
    this.fault.classList.toggle('bad', fault !== null);
    this.area.setAttribute('aria-invalid', String(fault !== null));
    if (fault === null) { this.fault.textContent = text; return; }
    const line = this.gutter.children[(fault.line ?? 0) - 1];
    if (line) { line.classList.add('here'); line.title = fault.message; }
    const place = fault.line ? `Line ${fault.line}, column ${fault.column}: ` : '';
    this.fault.textContent = `${place}${fault.message}${fault.hint ? ` (${fault.hint})` : ''}`;
  }
}
