// The bench at a glance: banner, STOP, tiles, panels. Called again with each new payload; what it built stays.

import { Panel } from './panel.js';
import { palette } from './plot.js';

const SILENT_S = 3;          // no payload for so long: what the banner says is no longer known
const NO_ANSWER_MS = 2500;   // a stop that nobody answers in this time is called unconfirmed

// payload: length of the header (uint32), header (JSON), padding to 4, then float32 and, for heat maps, uint8
function unpack(data) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data), view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true), header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const body = bytes.slice(4 + length + ((4 - ((4 + length) % 4)) % 4)).buffer;
  let at = 0;
  const floats = (n) => { const found = new Float32Array(body, at, n); at += 4 * n; return found; };
  for (const panel of header.panels) {
    for (const t of panel.traces) { t.x = floats(t.n); t.y = floats(t.n); if (t.band) { t.lower = floats(t.n); t.upper = floats(t.n); } }
    if (panel.heat) { const n = panel.heat.w * panel.heat.h; panel.heat.values = new Uint8Array(body, at, n); at += n + ((4 - (n % 4)) % 4); }
  }
  return header;
}

function look(root) {
  const style = getComputedStyle(root), paper = style.getPropertyValue('--st-background-color').trim() || '#ffffff';
  const probe = document.createElement('canvas').getContext('2d');
  probe.fillStyle = paper; probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data, dark = 0.3 * r + 0.6 * g + 0.1 * b < 128;
  return { dark, paper, ink: style.color, grid: dark ? 'rgba(255,255,255,0.13)' : 'rgba(0,0,0,0.11)', colours: palette(dark) };
}

// what outlives the element, which goes when another page is looked at
const kept = new Map();

class Bench {
  constructor(parent) {
    this.parent = parent; this.panels = new Map(); this.header = null; this.skew = -Infinity; this.asked = 0; this.direct = {}; this.zooms = {};
    this.root = document.createElement('div');
    this.root.className = 'bench';
    this.root.innerHTML = '<div class="top"><div class="banner" role="status" aria-live="polite"><strong></strong><span class="facts"></span><em></em></div>'
      + '<button type="button" class="stop" aria-keyshortcuts="Escape"><b>STOP</b><span>Esc</span></button></div>'
      + '<div class="answer" role="alert" hidden><b></b><ul></ul></div><p class="small">STOP asks the run and the guardian to turn the laser off, and shows what they read back. It is not the emergency stop: that is the button on the wall, and the hardware interlock.</p>'
      + '<dl class="tiles"></dl><div class="panels"><div class="left"></div><div class="right"></div></div><section class="notes" hidden><h2>Notes</h2><ul></ul></section>';
    parent.appendChild(this.root);
    this.button = this.root.querySelector('.stop');
    // at the window, before anybody else hears it: under a dialog of Streamlit's own every click outside of it is swallowed
    this.onClick = (event) => { if (event.composedPath().includes(this.button)) this.stop(); };
    this.onKey = (event) => { if (event.key === 'Escape' && !this.header?.bare && !busyElsewhere(event)) this.stop(); };
    window.addEventListener('click', this.onClick, true);
    window.addEventListener('keydown', this.onKey, true);
    this.ticker = setInterval(() => this.tick(), 250);
    this.resize = new ResizeObserver(() => { for (const panel of this.panels.values()) panel.paint(); });
    this.resize.observe(this.root);
    // Streamlit makes the whole page inert under a dialog of its own (when its server is lost): STOP must stay within reach
    this.free = new MutationObserver(() => this.release());
    this.free.observe(document.documentElement, { attributes: true, attributeFilter: ['inert'], subtree: true });
  }

  release() {
    for (let at = this.root; at; at = at.parentNode ?? at.host) if (at.inert) at.inert = false;
  }

  close() { window.removeEventListener('click', this.onClick, true); window.removeEventListener('keydown', this.onKey, true); clearInterval(this.ticker); this.resize.disconnect(); this.free.disconnect(); this.root.remove(); }

  get now() { return Date.now() / 1000 + (Number.isFinite(this.skew) ? this.skew : 0); }

  show(header) {
    const local = Date.now() / 1000;
    // the payload that travelled quickest tells best how the server's clock stands against this one
    this.skew = Math.max(this.skew, header.now - local);
    this.received = local;
    if (!this.header) this.restore(header);
    if (this.header && this.header.run !== header.run) { this.asked = 0; this.direct = {}; }
    this.header = header;
    this.root.dataset.run = header.run ?? '';
    this.root.classList.toggle('bare', Boolean(header.bare));
    this.showTiles(header.tiles);
    const shown = look(this.root), columns = this.root.querySelector('.panels').children, wanted = new Set(header.panels.map((p) => p.id));
    for (const [id, panel] of this.panels) if (!wanted.has(id)) { panel.figure.remove(); this.panels.delete(id); }
    share(header.panels);
    for (const panel of header.panels) {
      if (!this.panels.has(panel.id)) { const made = new Panel(panel.id, (from, range) => this.zoomed(from, range)); this.panels.set(panel.id, made); columns[panel.area.includes('right') ? 1 : 0].appendChild(made.figure); }
      const drawn = this.panels.get(panel.id);
      drawn.zoom = this.zooms[panel.id] ?? null;
      drawn.show(panel, shown);
    }
    this.showNotes(header.notes ?? []);
    this.tick();
    if (header.newest) this.root.dataset.paintAge = (this.now - header.newest).toFixed(4);
    this.root.dataset.paints = (+this.root.dataset.paints || 0) + 1;
    this.keep();
  }

  restore(header) {
    const before = kept.get(place(header));
    if (before) { this.asked = before.asked; this.direct = before.direct; this.zooms = before.zooms; this.root.dataset.paints = before.paints; }
  }

  keep() {
    const { asked, direct, zooms } = this;
    kept.set(place(this.header), { asked, direct, zooms, paints: this.root.dataset.paints });
  }

  showTiles(tiles) {
    const list = this.root.querySelector('.tiles'), key = tiles.map((t) => t.label).join('|');
    list.hidden = tiles.length === 0;
    if (list.dataset.key !== key) {
      list.dataset.key = key;
      list.innerHTML = tiles.map(() => '<div><dt></dt><dd></dd></div>').join('');
    }
    tiles.forEach((tile, i) => { const cell = list.children[i]; cell.className = tile.level ?? ''; cell.children[0].textContent = tile.label; cell.children[1].textContent = tile.value; });
  }

  showNotes(notes) {
    const section = this.root.querySelector('.notes'), key = JSON.stringify(notes);
    if (section.dataset.key === key) return;
    section.dataset.key = key; section.hidden = notes.length === 0;
    section.querySelector('ul').replaceChildren(...notes.map((note) => { const item = document.createElement('li'); item.textContent = note; return item; }));
  }

  tick() {
    const header = this.header;
    if (!header) return;
    const silent = Date.now() / 1000 - this.received, banner = this.root.querySelector('.banner');
    const lost = header.running && silent > SILENT_S;
    const newest = header.newest ? this.now - header.newest : 0;
    this.root.classList.toggle('old', lost || (header.running && newest > header.late));
    banner.dataset.state = lost ? 'unknown' : header.banner.state;
    banner.querySelector('strong').textContent = lost ? `STATE UNKNOWN: no word from the page's server for ${silent.toFixed(0)} s` : header.banner.words;
    banner.querySelector('.facts').textContent = lost ? '' : header.banner.facts.join(' · ');
    banner.querySelector('em').textContent = header.banner.simulated ? 'SIMULATED' : '';
    this.button.disabled = !header.stoppable;
    this.button.title = header.stoppable ? 'laser off, read back, run ended' : 'no run is going on';
    for (const panel of this.panels.values()) panel.age(this.now, header.running);
    this.showAnswer();
  }

  zoomed(from, range) {
    const link = from.panel?.link;
    for (const panel of this.panels.values()) {
      if (panel !== from && !(link && panel.panel?.link === link)) continue;
      if (panel !== from) { panel.zoom = range; panel.paint(); }
      if (range) this.zooms[panel.id] = range; else delete this.zooms[panel.id];
    }
    this.keep();
    clearTimeout(this.zoomTimer);
    this.zoomTimer = setTimeout(() => this.setStateValue('zoom', { ...this.zooms }), 200);
  }

  // of each the first that knows: what it told the browser itself, what stands in its folder, what it told the page's server
  said() {
    const first = (...answers) => answers.find((one) => typeof one?.confirmed === 'boolean') ?? answers.find(Boolean);
    return { run: first(this.direct.run, this.header.stopped.run, this.direct.desk?.run), guardian: first(this.direct.desk?.guardian, this.header.stopped.guardian) };
  }

  // what run and guardian said to a STOP; the guardian's word counts before the run's: it has its own way to the laser
  showAnswer() {
    const said = this.said(), place = this.root.querySelector('.answer');
    const first = [said.guardian, said.run].find((one) => typeof one?.confirmed === 'boolean');
    const patient = performance.now() - this.asked < NO_ANSWER_MS;
    let words = '', level = '';
    if (first?.confirmed) { words = `LASER OFF, read back ${Math.round(1000 * first.seconds)} ms after STOP was asked`; level = 'done'; }
    else if (this.asked && !first && patient) { words = 'STOP asked; waiting for the read-back of the laser …'; level = 'asked'; }
    else if (this.asked || first) { words = 'LASER OFF NOT CONFIRMED: turn the laser off at its key switch'; level = 'bad'; }
    place.hidden = !words; place.dataset.level = level;
    this.root.dataset.stop = words ? (first?.confirmed ? 'confirmed' : level === 'bad' ? 'unconfirmed' : 'asked') : '';
    const list = words ? ['run', 'guardian'].map((who) => `${who}: ${said[who]?.words ?? 'has not answered'}`) : [];
    const key = [words, ...list].join('|');
    if (place.dataset.key === key) return;
    place.dataset.key = key;
    place.querySelector('b').textContent = words;
    place.querySelector('ul').replaceChildren(...list.map((text) => { const item = document.createElement('li'); item.textContent = text; return item; }));
  }

  // three ways at once, each enough: the run itself, the desk in the page's server (run and guardian), Streamlit's own
  stop() {
    const header = this.header;
    if (!header?.stoppable) return;
    this.asked = performance.now();
    this.direct = {};
    this.keep();
    if (header.stop) this.ask(header.stop.url, { key: header.stop.key, who: 'the STOP of the live page' }, (reply) => ({ run: { ...reply, seconds: (performance.now() - this.asked) / 1000 } }));
    if (header.desk) this.ask(header.desk.url, { key: header.desk.key, run: header.desk.run }, (reply) => ({ desk: reply }));
    this.showAnswer();
    try { this.setTriggerValue('stop', header.run); } catch (error) { /* the page's server is lost: the other ways do not need it */ }
    setTimeout(() => this.showAnswer(), NO_ANSWER_MS + 50);
  }

  async ask(url, body, read) {
    try {
      const reply = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
      if (reply.ok) { Object.assign(this.direct, read(await reply.json())); this.showAnswer(); }
    } catch (error) { /* this way does not lead anywhere: the others are on theirs, and silence is shown as such */ }
  }
}

function place(header) { return `${header.run}|${Boolean(header.bare)}`; }

// linked panels show the same stretch of x, however far the curves of each of them reach
function share(panels) {
  const ranges = new Map();
  for (const panel of panels) {
    if (!panel.link || !panel.full) continue;
    const [a, b] = panel.full, [low, high] = ranges.get(panel.link) ?? [Infinity, -Infinity];
    ranges.set(panel.link, [Math.min(a, low), Math.max(b, high)]);
  }
  for (const panel of panels) if (panel.link && ranges.has(panel.link)) panel.shared = ranges.get(panel.link);
}

function busyElsewhere(event) {
  const target = event.composedPath()[0];
  if (target instanceof HTMLElement && target.closest('[data-testid="stDialog"]')) return false;
  return target instanceof HTMLElement && (target.isContentEditable || target.tagName === 'SELECT' || target.closest('[role="dialog"],[role="listbox"],[role="combobox"],[role="grid"]') !== null);
}

// Streamlit 1.67 writes each of its runs into the browser's performance timeline and forgets none: three entries a refresh,
// 4 MB in a thousand. Nobody reads them, and it minds no entry that is missing.
function forgetRuns() {
  for (const name of ['running', 'notRunning']) performance.clearMarks(name);
  performance.clearMeasures('script-run-cycle');
}

const benches = new WeakMap();

// Streamlit 1.67 calls what we return for two reasons: the element was taken away, or its next payload came before this one
// was shown. In the second case the place is still in the document and what stands there is to be drawn on, not made anew.
function leave(bench, parentElement) {
  if (parentElement.isConnected) return;
  bench.close();
  benches.delete(parentElement);
}

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let bench = benches.get(parentElement);
  if (!bench) { bench = new Bench(parentElement); benches.set(parentElement, bench); }
  bench.setStateValue = setStateValue; bench.setTriggerValue = setTriggerValue;
  if (data) bench.show(unpack(data));
  forgetRuns();
  return () => leave(bench, parentElement);
}
