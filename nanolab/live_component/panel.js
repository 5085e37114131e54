// One panel: title, age of its data, canvas; wheel, drag and keys zoom along x, and the zoom stays when data come.

import { draw, fullRange, geometry } from './plot.js';

export class Panel {
  constructor(id, onZoom) {
    this.id = id; this.zoom = null; this.panel = null; this.onZoom = onZoom;
    this.figure = document.createElement('figure');
    this.figure.innerHTML = '<figcaption><h2></h2><span class="points"></span><span class="age"></span></figcaption><canvas role="img" tabindex="0"></canvas>';
    this.canvas = this.figure.querySelector('canvas');
    this.canvas.addEventListener('wheel', (e) => this.wheel(e), { passive: false });
    this.canvas.addEventListener('dblclick', () => this.setZoom(null));
    this.canvas.addEventListener('pointerdown', (e) => this.drag(e));
    this.canvas.addEventListener('keydown', (e) => this.key(e));
  }

  show(panel, look) {
    this.panel = panel; this.look = look;
    this.figure.className = `panel ${panel.area ?? ''}`;
    this.figure.querySelector('h2').textContent = panel.title;
    this.figure.querySelector('.points').textContent = panel.words ?? '';
    this.canvas.setAttribute('aria-label', panel.alt ?? panel.title);
    this.paint();
    const data = this.canvas.dataset;
    data.n = (+data.n || 0) + 1;
    data.points = panel.points ?? '';
  }

  paint() { if (this.panel) draw(this.canvas, this.panel, this.zoom, this.look); }

  age(now, running) {
    const span = this.figure.querySelector('.age'), from = this.panel?.newest;
    const age = from ? Math.max(0, now - from) : null;
    const limit = this.panel?.stale ?? 2;
    span.textContent = age === null ? '' : running ? `data age ${age < 99.95 ? age.toFixed(1) + ' s' : Math.round(age / 60) + ' min'}` : 'recorded';
    span.dataset.level = !running || age === null || age < limit ? 'fresh' : age < 2.5 * limit ? 'late' : 'stale';
  }

  setZoom(range) {
    this.zoom = range; this.paint(); this.onZoom(this, range);
  }

  scaled(factor, at) {
    const [full0, full1] = fullRange(this.panel), [a, b] = this.zoom ?? [full0, full1];
    const low = at - (at - a) * factor, high = at + (b - at) * factor;
    this.setZoom(high - low >= full1 - full0 ? null : [low, high]);
  }

  place(event) {
    const box = geometry(this.canvas), [a, b] = this.zoom ?? fullRange(this.panel);
    const inside = event.clientX - this.canvas.getBoundingClientRect().left - box.left;
    return { x: a + (inside / box.width) * (b - a), perPixel: (b - a) / box.width };
  }

  wheel(event) {
    if (!this.panel) return;
    event.preventDefault();
    this.scaled(event.deltaY < 0 ? 0.8 : 1.25, this.place(event).x);
  }

  drag(event) {
    if (!this.panel || !this.zoom) return;
    const begun = [...this.zoom], { perPixel } = this.place(event), from = event.clientX;
    this.canvas.setPointerCapture(event.pointerId);
    const move = (e) => { const shift = (from - e.clientX) * perPixel; this.setZoom([begun[0] + shift, begun[1] + shift]); };
    const end = () => this.canvas.removeEventListener('pointermove', move);
    this.canvas.addEventListener('pointermove', move);
    this.canvas.addEventListener('pointerup', end, { once: true });
    this.canvas.addEventListener('pointercancel', end, { once: true });
  }

  key(event) {
    if (!this.panel) return;
    const [a, b] = this.zoom ?? fullRange(this.panel), step = 0.1 * (b - a);
    if (event.key === '+') this.scaled(0.8, (a + b) / 2);
    else if (event.key === '-') this.scaled(1.25, (a + b) / 2);
    else if (event.key === '0') this.setZoom(null);
    else if (event.key === 'ArrowLeft' && this.zoom) this.setZoom([a - step, b - step]);
    else if (event.key === 'ArrowRight' && this.zoom) this.setZoom([a + step, b + step]);
    else return;
    event.preventDefault();
  }
}
