// The bench at a glance: banner, STOP, tiles, panels. Called again with each new payload; what it built stays.

import { Panel } from './panel.js';
import { palette } from './plot.js';

const SILENT_S = 3;          // no payload for so long: what the banner says is no longer known
const NO_ANSWER_MS = 2500;   // a stop that is not answered in this time is called unconfirmed

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

class Bench {
  constructor(parent) {
    this.parent = parent; this.panels = new Map(); this.header = null; this.skew = -Infinity; this.asked = null; this.zooms = {};
    this.root = document.createElement('div');
    this.root.className = 'bench';
    this.root.innerHTML = '<div class="top"><div class="banner" role="status" aria-live="polite"><strong></strong><span class="facts"></span><em></em></div>'
      + '<button type="button" class="stop" aria-keyshortcuts="Escape"><b>STOP</b><span>Esc</span></button></div>'
      + '<p class="answer" role="alert" hidden></p><p class="small">STOP asks the run to turn the laser off and to end. It is not the emergency stop: that is the button on the wall, and the interlock.</p>'
      + '<dl class="tiles"></dl><div class="panels"><div class="left"></div><div class="right"></div></div><section class="notes" hidden><h2>Notes</h2><ul></ul></section>';
    parent.appendChild(this.root);
    this.button = this.root.querySelector('.stop');
    this.button.addEventListener('click', () => this.stop());
    this.onKey = (event) => { if (event.key === 'Escape' && !this.header?.bare && !event.defaultPrevented && !busyElsewhere(event)) this.stop(); };
    document.addEventListener('keydown', this.onKey);
    this.ticker = setInterval(() => this.tick(), 250);
    this.resize = new ResizeObserver(() => { for (const panel of this.panels.values()) panel.paint(); });
    this.resize.observe(this.root);
  }

  close() { document.removeEventListener('keydown', this.onKey); clearInterval(this.ticker); this.resize.disconnect(); this.root.remove(); }

  get now() { return Date.now() / 1000 + (Number.isFinite(this.skew) ? this.skew : 0); }

  show(header) {
    const local = Date.now() / 1000;
    // the payload that travelled quickest tells best how the server's clock stands against this one
    this.skew = Math.max(this.skew, header.now - local);
    this.received = local;
    if (this.header && this.header.run !== header.run) this.asked = null;
    this.header = header;
    this.root.dataset.run = header.run ?? '';
    this.root.classList.toggle('bare', Boolean(header.bare));
    this.showTiles(header.tiles);
    const shown = look(this.root), columns = this.root.querySelector('.panels').children, wanted = new Set(header.panels.map((p) => p.id));
    for (const [id, panel] of this.panels) if (!wanted.has(id)) { panel.figure.remove(); this.panels.delete(id); }
    for (const panel of header.panels) {
      if (!this.panels.has(panel.id)) { const made = new Panel(panel.id, (id, range) => this.zoomed(id, range)); this.panels.set(panel.id, made); columns[panel.area.includes('right') ? 1 : 0].appendChild(made.figure); }
      this.panels.get(panel.id).show(panel, shown);
    }
    this.showNotes(header.notes ?? []);
    this.tick();
    if (header.newest) this.root.dataset.paintAge = (this.now - header.newest).toFixed(4);
    this.root.dataset.paints = (+this.root.dataset.paints || 0) + 1;
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
    banner.dataset.state = lost ? 'unknown' : header.banner.state;
    banner.querySelector('strong').textContent = lost ? `STATE UNKNOWN: no word from the page's server for ${silent.toFixed(0)} s` : header.banner.words;
    banner.querySelector('.facts').textContent = lost ? '' : header.banner.facts.join(' · ');
    banner.querySelector('em').textContent = header.banner.simulated ? 'SIMULATED' : '';
    this.button.disabled = !header.running;
    this.button.title = header.running ? 'laser off, read back, run ended' : 'no run is going on';
    for (const panel of this.panels.values()) panel.age(this.now, header.running);
    if (header.stopped && !this.asked?.answered) this.answer(header.stopped);
    else if (!header.stopped && !this.asked) this.say('', null);
  }

  zoomed(id, range) {
    if (range) this.zooms[id] = range; else delete this.zooms[id];
    clearTimeout(this.zoomTimer);
    this.zoomTimer = setTimeout(() => this.setStateValue('zoom', { ...this.zooms }), 200);
  }

  say(words, level) {
    const place = this.root.querySelector('.answer');
    if (place.textContent !== words) place.textContent = words;
    place.hidden = !words; place.dataset.level = level ?? '';
  }

  answer(reply) {
    if (this.asked) this.asked.answered = true; else this.asked = { answered: true };
    if (reply.confirmed) this.say(`STOP carried out in ${Math.round(1000 * reply.seconds)} ms. Laser: ${reply.words}`, 'done');
    else this.say(`${reply.words ?? reply.error}`, 'bad');
    this.root.dataset.stop = reply.confirmed ? 'confirmed' : 'unconfirmed';
  }

  async stop() {
    if (!this.header?.running || (this.asked && !this.asked.failed)) return;
    const mine = (this.asked = { answered: false });
    this.say('STOP asked; waiting for the read-back of the laser …', 'asked');
    setTimeout(() => { if (!mine.answered) this.say('STOP NOT CONFIRMED: turn the laser off at its key switch', 'bad'); }, NO_ANSWER_MS);
    this.setTriggerValue('stop', this.header.run);   // the way through the page's server, for a browser elsewhere
    const address = this.header.stop;
    if (!address) return;
    try {
      const reply = await fetch(address.url, { method: 'POST', body: JSON.stringify({ key: address.key, who: 'the STOP of the live page' }) });
      if (!reply.ok) throw new Error(`${reply.status}`);
      this.answer(await reply.json());
    } catch (error) { mine.failed = true; }
  }
}

function busyElsewhere(event) {
  const target = event.composedPath()[0];
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.closest('[role="dialog"],[role="listbox"],[role="combobox"],[role="grid"]') !== null);
}

const benches = new WeakMap();

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let bench = benches.get(parentElement);
  if (!bench) { bench = new Bench(parentElement); benches.set(parentElement, bench); }
  bench.setStateValue = setStateValue; bench.setTriggerValue = setTriggerValue;
  if (data) bench.show(unpack(data));
  return () => { bench.close(); benches.delete(parentElement); };
}
