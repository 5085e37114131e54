// Line plots and heat maps on a canvas: axes with units, bands, marks, zoom that survives new data. No library.

const LIGHT = { measured: '#0072B2', model: '#D55E00', predicted: '#767676', after: '#CC79A7', third: '#00805E', limit: '#B22222', laser: '#E69F00' };
const DARK = { measured: '#56B4E9', model: '#E69F00', predicted: '#A6A6A6', after: '#CC79A7', third: '#2FBF93', limit: '#FF7A6B', laser: '#F0E442' };
const VIRIDIS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]];
const FONT = '13px "Source Sans", "Source Sans Pro", "DejaVu Sans", sans-serif';
const NEAR = 10;             // px around a legend in which a point counts as hidden
const MARGIN = { left: 62, right: 14, top: 8, bottom: 40 };

export function palette(dark) { return dark ? DARK : LIGHT; }

const LUT = (() => {
  const table = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (VIRIDIS.length - 1), k = Math.min(VIRIDIS.length - 2, Math.floor(place)), f = place - k;
    for (let c = 0; c < 3; c++) table[4 * i + c] = VIRIDIS[k][c] + f * (VIRIDIS[k + 1][c] - VIRIDIS[k][c]);
    table[4 * i + 3] = 255;
  }
  return table;
})();

function niceStep(span, wanted) {
  const raw = span / wanted, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((f) => f * power).find((step) => step >= raw) ?? 10 * power;
}

function ticks(low, high, wanted) {
  const step = niceStep(high - low, wanted), found = [];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push([v, (Math.abs(v) < step * 1e-9 ? 0 : v).toFixed(Math.min(digits, 8)).replace('-', '−')]);
  return found;
}

// the range of x that holds all curves of a panel, also what is not sent while it is zoomed; y only of what is seen
export function fullRange(panel) {
  if (panel.shared) return panel.shared;
  if (panel.heat) return [panel.heat.x0, panel.heat.x1];
  if (panel.full) return panel.full;
  const x = panel.traces.find((t) => t.x.length)?.x[0] ?? 0.5;
  return [x - 0.5, x + 0.5];
}

function yRange(panel, x0, x1) {
  if (panel.heat) return [panel.heat.y0, panel.heat.y1];
  let low = Infinity, high = -Infinity;
  const take = (v) => { if (Number.isFinite(v)) { if (v < low) low = v; if (v > high) high = v; } };
  for (const t of panel.traces) for (let i = 0; i < t.x.length; i++) if (t.x[i] >= x0 && t.x[i] <= x1) { take(t.y[i]); if (t.upper) take(t.upper[i]); }
  for (const line of panel.hlines ?? []) if (line.always || (line.y <= high * 1.3 && line.y >= low)) take(line.y);
  if (panel.symmetric && Number.isFinite(low)) { high = Math.max(Math.abs(low), Math.abs(high)); low = -high; }
  if (!Number.isFinite(low)) return [0, 1];
  const pad = 0.06 * (high - low) || 0.5;
  return [low - pad, high + pad];
}

export function geometry(canvas) {
  return { left: MARGIN.left, top: MARGIN.top, width: Math.max(10, canvas.clientWidth - MARGIN.left - MARGIN.right), height: Math.max(10, canvas.clientHeight - MARGIN.top - MARGIN.bottom) };
}

export function draw(canvas, panel, zoom, look) {
  const ratio = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
  if (!w || !h) return;
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) { canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); }
  const g = canvas.getContext('2d'), box = geometry(canvas);
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, w, h);
  g.font = FONT;
  const [x0, x1] = zoom ?? fullRange(panel), [y0, y1] = yRange(panel, x0, x1);
  const px = (x) => box.left + ((x - x0) / (x1 - x0)) * box.width, py = (y) => box.top + box.height - ((y - y0) / (y1 - y0)) * box.height;
  const frame = { g, box, px, py, x0, x1, y0, y1, look };
  g.save();
  g.beginPath(); g.rect(box.left, box.top, box.width, box.height); g.clip();
  if (panel.heat) drawHeat(frame, panel.heat);
  for (const [from, to] of panel.spans ?? []) { g.fillStyle = look.colours.laser; g.globalAlpha = 0.13; g.fillRect(px(from), box.top, Math.max(1, px(to) - px(from)), box.height); g.globalAlpha = 1; }
  g.restore();
  drawAxes(frame, panel);
  g.save();
  g.beginPath(); g.rect(box.left, box.top, box.width, box.height); g.clip();
  for (const t of panel.traces) drawTrace(frame, t);
  for (const line of panel.hlines ?? []) drawLevel(frame, line);
  for (const [x, label] of panel.marks ?? []) drawMark(frame, x, label);
  g.restore();
  drawLegend(frame, panel.traces);
  if (!panel.traces.some((t) => t.x.length) && !panel.heat) { g.fillStyle = look.ink; g.textAlign = 'center'; g.fillText(panel.empty ?? 'no readings yet', box.left + box.width / 2, box.top + box.height / 2); }
  canvas.dataset.xr = `${x0},${x1}`;
}

function drawAxes({ g, box, px, py, x0, x1, y0, y1, look }, panel) {
  g.strokeStyle = look.grid; g.fillStyle = look.ink; g.lineWidth = 1;
  g.textAlign = 'center'; g.textBaseline = 'top';
  for (const [v, text] of ticks(x0, x1, Math.max(3, box.width / 90))) {
    const x = Math.round(px(v)) + 0.5;
    if (!panel.heat) { g.beginPath(); g.moveTo(x, box.top); g.lineTo(x, box.top + box.height); g.stroke(); }
    g.fillText(text, x, box.top + box.height + 5);
  }
  g.textAlign = 'right'; g.textBaseline = 'middle';
  for (const [v, text] of ticks(y0, y1, Math.max(4, box.height / 45))) {
    const y = Math.round(py(v)) + 0.5;
    if (!panel.heat) { g.beginPath(); g.moveTo(box.left, y); g.lineTo(box.left + box.width, y); g.stroke(); }
    g.fillText(text, box.left - 6, y);
  }
  g.strokeStyle = look.ink; g.strokeRect(box.left + 0.5, box.top + 0.5, box.width - 1, box.height - 1);
  g.textAlign = 'center'; g.textBaseline = 'alphabetic';
  g.fillText(panel.x, box.left + box.width / 2, box.top + box.height + 35);
  g.save(); g.translate(13, box.top + box.height / 2); g.rotate(-Math.PI / 2); g.fillText(panel.y, 0, 0); g.restore();
}

function drawTrace({ g, px, py, look }, t) {
  const colour = look.colours[t.role] ?? look.ink, n = t.x.length;
  if (t.upper && n) {
    g.fillStyle = colour; g.globalAlpha = 0.28; g.beginPath();
    for (let i = 0; i < n; i++) g.lineTo(px(t.x[i]), py(t.upper[i]));
    for (let i = n - 1; i >= 0; i--) g.lineTo(px(t.x[i]), py(t.lower[i]));
    g.closePath(); g.fill(); g.globalAlpha = 1;
  }
  if (t.style === 'points') {
    g.fillStyle = colour;
    const size = n > 600 ? 2 : n > 150 ? 3 : 5; // few points are read one by one
    for (let i = 0; i < n; i++) if (Number.isFinite(t.y[i])) g.fillRect(px(t.x[i]) - size / 2, py(t.y[i]) - size / 2, size, size);
    return;
  }
  g.strokeStyle = colour; g.lineWidth = t.style === 'dashed' ? 1.8 : 1.6;
  g.setLineDash(t.style === 'dashed' ? [7, 5] : []);
  g.beginPath();
  let pen = false;
  for (let i = 0; i < n; i++) {
    if (!Number.isFinite(t.y[i])) { pen = false; continue; }
    if (pen) g.lineTo(px(t.x[i]), py(t.y[i])); else { g.moveTo(px(t.x[i]), py(t.y[i])); pen = true; }
  }
  g.stroke(); g.setLineDash([]);
}

function drawLevel({ g, box, py, look }, line) {
  const y = py(line.y);
  // a line with a name is a limit; without one it is the zero of a diagram
  g.strokeStyle = line.label ? look.colours.limit : look.ink; g.lineWidth = line.label ? 1.5 : 1; g.setLineDash([3, 3]);
  g.beginPath(); g.moveTo(box.left, y); g.lineTo(box.left + box.width, y); g.stroke(); g.setLineDash([]);
  if (line.label) { g.fillStyle = look.colours.limit; g.textAlign = 'right'; const below = y < box.top + 20; g.textBaseline = below ? 'top' : 'bottom'; g.fillText(line.label, box.left + box.width - 6, below ? y + 4 : y - 2); }
}

function drawMark({ g, box, px, look }, x, label) {
  const at = Math.round(px(x)) + 0.5;
  g.strokeStyle = look.ink; g.globalAlpha = 0.7; g.setLineDash([2, 4]); g.lineWidth = 1;
  g.beginPath(); g.moveTo(at, box.top); g.lineTo(at, box.top + box.height); g.stroke(); g.setLineDash([]); g.globalAlpha = 1;
  const fits = at + 3 + g.measureText(label).width < box.left + box.width;
  g.fillStyle = look.ink; g.textAlign = fits ? 'left' : 'right'; g.textBaseline = 'bottom'; g.fillText(label, fits ? at + 3 : at - 3, box.top + box.height - 3);
}

// places in px where a curve is seen: its points, and where they are joined or bound a band also the middles between them
function* inked(t, px, py) {
  for (const y of t.upper ? [t.y, t.upper, t.lower] : [t.y]) for (let i = 0; i < t.x.length; i++) {
    yield [px(t.x[i]), py(y[i])];
    if (i && t.style !== 'points') yield [px((t.x[i] + t.x[i - 1]) / 2), py((y[i] + y[i - 1]) / 2)];
  }
}

// the corner in which the legend hides the least; the upper left one where several hide as little
function quietCorner({ box, px, py }, traces, width, height) {
  const lefts = [box.left + 8, box.left + box.width - width - 8], tops = [box.top + 6, box.top + box.height - height - 24];
  let best = [lefts[0], tops[0]], fewest = Infinity;
  for (const top of tops) for (const left of lefts) {
    let hidden = 0;
    for (const t of traces) for (const [x, y] of inked(t, px, py)) if (x >= left - NEAR && x <= left + width + NEAR && y >= top - NEAR && y <= top + height + NEAR) hidden++;
    if (hidden < fewest) { fewest = hidden; best = [left, top]; }
  }
  return best;
}

function drawLegend(frame, traces) {
  const { g, look } = frame;
  const named = traces.filter((t) => t.label && t.x.length);
  if (!named.length) return;
  const width = Math.max(...named.map((t) => g.measureText(t.label).width)) + 34, height = 18 * named.length + 6;
  const [left, top] = quietCorner(frame, traces, width, height);
  g.globalAlpha = 0.8; g.fillStyle = look.paper; g.fillRect(left, top, width, height); g.globalAlpha = 1;
  g.textAlign = 'left'; g.textBaseline = 'middle';
  named.forEach((t, i) => {
    const y = top + 12 + 18 * i, colour = look.colours[t.role] ?? look.ink;
    g.strokeStyle = colour; g.fillStyle = colour; g.lineWidth = 2.5;
    if (t.upper) { g.globalAlpha = 0.35; g.fillRect(left + 5, y - 6, 20, 12); g.globalAlpha = 1; }
    if (t.style === 'points') { for (const dx of [8, 15, 22]) g.fillRect(left + dx - 1.5, y - 1.5, 3, 3); } else {
      g.setLineDash(t.style === 'dashed' ? [6, 4] : []); g.beginPath(); g.moveTo(left + 5, y); g.lineTo(left + 25, y); g.stroke(); g.setLineDash([]);
    }
    g.fillStyle = look.ink; g.fillText(t.label, left + 30, y);
  });
}

function drawHeat({ g, px, py }, heat) {
  if (!heat.image) {
    const pixels = new ImageData(heat.w, heat.h);
    for (let i = 0; i < heat.values.length; i++) { const k = 4 * heat.values[i]; pixels.data.set(LUT.subarray(k, k + 4), 4 * i); }
    heat.image = new OffscreenCanvas(heat.w, heat.h);
    heat.image.getContext('2d').putImageData(pixels, 0, 0);
  }
  g.imageSmoothingEnabled = false;
  const left = px(heat.x0), right = px(heat.x1), top = py(heat.y1), bottom = py(heat.y0);
  // the first row is the newest spectrum and lies at y1, the top
  g.save(); g.translate(0, top); g.scale(1, (bottom - top) / heat.h); g.drawImage(heat.image, left, 0, right - left, heat.h); g.restore();
}
