// SPDX-License-Identifier: Apache-2.0
// The timeline of a report: draws the rows, follows the pointer, zooms. Needs nothing else.
'use strict';

const report = JSON.parse(document.getElementById('data').textContent);
const timeline = document.getElementById('timeline');
const say = document.getElementById('say');
const command = document.getElementById('command');
const whole = { from: report.from_s, to: report.to_s };
const view = { ...whole };
const SVG = 'http://www.w3.org/2000/svg';
const plots = [];
let pointed = null, pressed = null;

const make = (tag, parent, name, text) => {
  const element = parent.appendChild(document.createElement(tag));
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
};

const draw = (svg, tag, attributes) => {
  const element = svg.appendChild(document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

const short = value => Math.abs(value) >= 100 ? value.toFixed(0)
  : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);

// Rows

function drawRow(row) {
  const line = make('div', timeline, 'row');
  line.style.height = (row.bands.length ? 14 + 18 * row.bands.length : 74) + 'px';
  const name = make('div', line, 'name', row.title);
  if (row.unit) make('div', name, 'muted', row.unit);
  const plot = make('div', line, 'plot');
  plots.push(plot);
  if (row.missing) { make('div', plot, 'missing', row.missing); return; }
  const svg = draw(plot, 'svg', { preserveAspectRatio: 'none' });
  const [low, high] = row.limits;
  const y = value => (100 * (high - value) / (high - low)).toFixed(2);
  for (const area of row.areas) {
    const top = area.at_s.map((t, i) => `${t} ${y(area.high[i])}`);
    const bottom = area.at_s.map((t, i) => `${t} ${y(area.low[i])}`).reverse();
    draw(svg, 'path', { d: `M${top.join('L')}L${bottom.join('L')}Z`, fill: area.colour });
  }
  row.bands.forEach((bands, track) => {
    const step = 100 / row.bands.length;
    for (const band of bands) {
      draw(svg, 'rect', { x: band.from_s, width: Math.max(0.02, band.to_s - band.from_s),
        y: step * (track + 0.12), height: step * 0.76, fill: band.colour });
    }
    if (row.bands.length > 1) {
      make('div', plot, 'track', 'AB'[track]).style.top = `${step * track + 8}%`;
    }
  });
  if (row.zero) {
    draw(svg, 'line', { x1: whole.from, x2: whole.to, y1: y(0), y2: y(0), class: 'zero',
      'vector-effect': 'non-scaling-stroke' });
  }
  for (const tick of row.ticks) {
    draw(svg, 'line', { x1: tick, x2: tick, y1: 70, y2: 100, stroke: '#e53935', 'stroke-width': 2,
      'vector-effect': 'non-scaling-stroke' });
  }
  for (const curve of row.lines) {
    let pen = 'M';
    let path = '';
    curve.at_s.forEach((t, i) => {
      if (curve.values[i] === null) { pen = 'M'; return; }
      path += `${pen}${t} ${y(curve.values[i])}`;
      pen = 'L';
    });
    draw(svg, 'path', { d: path, fill: 'none', stroke: curve.colour, 'stroke-width': 1.6,
      'stroke-linecap': 'round', 'vector-effect': 'non-scaling-stroke' });
  }
  if (row.lines.length || row.areas.length) {
    make('div', plot, 'high', short(high));
    make('div', plot, 'low', short(low));
  }
}

function strip(name, title) {
  const line = make('div', timeline, `row ${name}`);
  make('div', line, 'name muted', title);
  return make('div', line, 'plot');
}

// What is under the pointer

function indexAt(times, t) {
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= t) low = middle; else high = middle - 1;
  }
  return low;
}

function wordsAt(row, t) {
  const words = [];
  row.bands.forEach((bands, track) => {
    const band = bands.find(b => b.from_s <= t && t < b.to_s);
    const who = row.bands.length > 1 ? ` ${'AB'[track]}` : '';
    if (band) words.push(`${row.title}${who}: ${band.text}`);
  });
  for (const curve of row.lines) {
    const value = curve.values[indexAt(curve.at_s, t)];
    if (value !== null) words.push(`${row.title}${curve.name ? ' ' + curve.name : ''} ` +
      `${short(value)} ${row.unit}`);
  }
  return words;
}

// The picture nearest to the pointer, beside it, inside of the timeline
function peek(event) {
  const rows = report.thumbnails;
  const box = timeline.getBoundingClientRect();
  const x = event.clientX - box.left;
  thumb.hidden = !rows.length || x < plots[0].getBoundingClientRect().left - box.left;
  if (thumb.hidden) return;
  const times = rows.map(row => row.at_s);
  const before = indexAt(times, pointed);
  const after = Math.min(before + 1, rows.length - 1);
  const near = times[after] - pointed < pointed - times[before] ? after : before;
  if (thumb.dataset.at !== String(rows[near].at_s)) {
    thumb.src = rows[near].picture;
    thumb.dataset.at = rows[near].at_s;
  }
  const width = thumb.offsetWidth;
  thumb.style.left = `${x + 16 + width < box.width ? x + 16 : Math.max(0, x - 16 - width)}px`;
  thumb.style.top = `${event.clientY - box.top + 16}px`;
}

function pointTo(t) {
  pointed = Math.min(Math.max(t, whole.from), whole.to);
  const words = report.rows.flatMap(row => wordsAt(row, pointed));
  say.replaceChildren();
  make('b', say, '', `${pointed.toFixed(2)} s`);
  make('span', say, '', `  ${words.join('  ·  ')}`);
  command.textContent = `${report.play} --start ${Math.max(0, pointed).toFixed(2)}`;
  place();
}

// Zoom

function place() {
  const width = view.to - view.from;
  for (const plot of plots) {
    const svg = plot.querySelector('svg');
    if (svg) svg.setAttribute('viewBox', `${view.from} 0 ${width} 100`);
  }
  const share = t => 100 * (t - view.from) / width;
  pins.replaceChildren();
  report.moments.forEach((moment, index) => {
    if (moment.at_s < view.from || moment.at_s > view.to) return;
    const pin = make('div', pins, `pin sort-${moment.sort}`, index + 1);
    pin.style.left = `${share(moment.at_s)}%`;
    pin.style.zIndex = 100 - index;
    pin.title = moment.title;
    pin.onclick = () => show(index);
  });
  axis.replaceChildren();
  const most = Math.min(12, Math.max(1, axis.clientWidth / 48)); // a label and its gap, in px
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find(s => width / s <= most)
    || 1200;
  for (let t = Math.ceil(view.from / step) * step; t <= view.to; t += step) {
    const label = make('span', axis, '', `${+t.toFixed(2)} s`);
    label.style.left = `${share(t)}%`;
    if (share(t) < 3) label.style.transform = 'none'; // else its half is beyond the border
  }
  cross.hidden = pointed === null || pointed < view.from || pointed > view.to;
  cross.style.left = `calc(150px + (100% - 150px) * ${share(pointed ?? view.from) / 100})`;
  document.getElementById('whole').disabled = view.from === whole.from && view.to === whole.to;
}

function timeOf(event) {
  const box = plots[0].getBoundingClientRect();
  return view.from + (view.to - view.from) * (event.clientX - box.left) / box.width;
}

function zoom(from, to) {
  view.from = Math.max(whole.from, Math.min(from, to));
  view.to = Math.min(whole.to, Math.max(from, to));
  place();
}

function show(index) {
  pointTo(report.moments[index].at_s);
  location.hash = `moment-${index + 1}`;
}

function copy() {
  const text = command.textContent;
  const done = () => { document.getElementById('copy').textContent = 'Copied'; };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => {});
  getSelection().selectAllChildren(command);
  setTimeout(() => { document.getElementById('copy').textContent = 'Copy'; }, 1200);
}

const pins = strip('pins', 'Worst moments');
plots.push(pins);
for (const row of report.rows) drawRow(row);
const axis = strip('axis', 'time in the bag');
const cross = make('div', timeline, 'cross');
const chosen = make('div', timeline, 'chosen');
chosen.hidden = true;
const thumb = make('img', timeline, 'thumb');
thumb.alt = '';
thumb.hidden = true;
timeline.onpointerleave = () => { thumb.hidden = true; };

timeline.onpointermove = event => {
  const t = timeOf(event);
  pointTo(t);
  peek(event);
  if (pressed === null) return;
  const box = timeline.getBoundingClientRect();
  const [a, b] = [pressed.x, event.clientX].sort((p, q) => p - q);
  chosen.hidden = b - a < 5;
  chosen.style.left = `${a - box.left}px`;
  chosen.style.width = `${b - a}px`;
};
timeline.onpointerdown = event => { pressed = { x: event.clientX, t: timeOf(event) }; };
addEventListener('pointerup', event => {
  if (pressed !== null && Math.abs(event.clientX - pressed.x) >= 5) zoom(pressed.t, timeOf(event));
  pressed = null;
  chosen.hidden = true;
});
timeline.ondblclick = () => zoom(whole.from, whole.to);
document.getElementById('whole').onclick = () => zoom(whole.from, whole.to);
document.getElementById('copy').onclick = copy;
document.querySelectorAll('[data-at]').forEach(element => {
  element.onclick = () => pointTo(Number(element.dataset.at));
});
const asked = /^#t=([0-9.]+)$/.exec(location.hash);
pointTo(asked ? Number(asked[1]) : report.moments.length ? report.moments[0].at_s : whole.from);
