// SPDX-License-Identifier: Apache-2.0
// The page of `seg_ros view`. Shapes come as shares of the picture and as metres of the ground; the
// picture is fetched when the one before is drawn.
'use strict';

const LOST_MS = 1500;   // without a word from the server the page shows no old "go"
const AHEAD_M = 26, BEHIND_M = 1;   // of the ground from above
const RINGS_M = [5, 10, 20];

const $ = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const token = new URLSearchParams(location.hash.slice(1)).get('token') || '';
if (token) history.replaceState(null, '', location.pathname + location.search);

let camera = new URLSearchParams(location.search).get('camera') || '';
let source = null, lastHeardMs = 0, scene = null, bitmap = null, shownNumber = -1;
let isFetching = false, times = [];
const grid = { png: '', image: null };

// What is drawn: finished polygons, and the one under the hand

const drawing = { kind: '', frame: '', corners: [], done: [], dragged: null };

function connect() {
  if (source) source.close();
  source = new EventSource(`events?camera=${encodeURIComponent(camera)}`);
  source.onmessage = (event) => { lastHeardMs = performance.now(); show(JSON.parse(event.data)); };
}

function show(next) {
  scene = next;
  showStop(scene.stop);
  showHead();
  showTiles();
  showDiagnostics();
  if (scene.picture_number && scene.picture_number !== shownNumber) fetchPicture();
  draw();
}

function showStop(stop) {
  const go = stop.cause === 'clear' && !stop.stop;
  $('stop').className = go ? 'clear' : stop.cause === 'clear' ? 'fault' : stop.cause;
  $('word').textContent = go ? 'GO' : stop.cause === 'silence' ? 'SILENCE' : 'STOP';
  $('reason').textContent = stop.cause === 'silence' ? `Stop: ${stop.reason}.` : `${stop.reason}.`;
  const facts = [];
  if (stop.for_s != null) facts.push(`for ${stop.for_s.toFixed(1)} s`);
  if (stop.nearest_m != null) facts.push(`nearest person ${stop.nearest_m.toFixed(1)} m`);
  if (stop.to_zone_s > 0) facts.push(`in the zone in ${stop.to_zone_s.toFixed(1)} s`);
  if (stop.zone) facts.push(`zone: ${stop.zone}`);
  if (stop.delay_s != null) facts.push(`somebody new stops it within ${stop.delay_s.toFixed(2)} s`);
  $('facts').textContent = facts.join('  ·  ');
  document.title = `${go ? 'Go' : 'Stop'}: seg_ros view`;
}

function showLost(text) {
  showStop({ stop: true, cause: 'silence', reason: text, zone: '' });
  $('pace').textContent = '';
}

function showHead() {
  $('node').textContent = scene.node || 'no node';
  const names = scene.cameras.length > 1 ? scene.cameras : [];
  if ($('cameras').dataset.names !== names.join()) {
    $('cameras').dataset.names = names.join();
    $('cameras').replaceChildren(...names.map((name) => {
      const button = element('button', name);
      button.onclick = () => { camera = name; bitmap = null; shownNumber = -1; connect(); };
      return button;
    }));
  }
  for (const button of $('cameras').children) {
    button.setAttribute('aria-pressed', button.textContent === scene.camera);
  }
  $('apply').hidden = $('live').hidden = !scene.may_set;
}

function showTiles() {
  const values = (scene.diagnostics.find((row) => row.values.camera === scene.camera)
    || { values: {} }).values;
  const lane = scene.lane, number = (name) => parseFloat(values[name]);
  const tiles = [];
  if (lane) {
    tiles.push(['Lane', lane.valid ? `${signed(lane.offset_m)} m` : 'none',
      lane.valid ? `${lane.width_m.toFixed(2)} m wide, seen ${lane.reach_m.toFixed(0)} m` : lane.reason,
      !lane.valid]);
  }
  if (values.rate_hz) {
    tiles.push(['Camera', `${number('rate_hz').toFixed(1)} Hz`,
      `${values.frames_dropped} of ${values.frames_received} dropped`]);
    if (values['stamp_to_published_ms.p50']) {
      tiles.push(['Camera to label', `${number('stamp_to_published_ms.p50').toFixed(0)} ms`,
        `99 % within ${number('stamp_to_published_ms.p99').toFixed(0)} ms`]);
    }
    if (values['infer_ms.p50']) {
      tiles.push(['Inference', `${number('infer_ms.p50').toFixed(0)} ms`,
        `${values.engine} on ${values.backend}`]);
    }
    tiles.push(['Geometry', values.geometry === 'known' ? 'known' : 'unknown',
      values.geometry === 'known' ? 'calibration and mounting' : values.geometry,
      values.geometry !== 'known']);
  }
  if (scene.speed_mps != null) tiles.push(['Speed', `${scene.speed_mps.toFixed(1)} m/s`, 'odometry']);
  $('tiles').replaceChildren(...tiles.map(([name, value, note, bad]) => {
    const tile = element('div', '', bad ? 'tile bad' : 'tile');
    const small = element('span', note);
    small.title = note;
    tile.append(element('span', name), element('b', value), small);
    return tile;
  }));
}

function showDiagnostics() {
  const rows = scene.diagnostics;
  const worst = Math.max(0, ...rows.map((row) => row.level));
  $('level').innerHTML = '';
  if (rows.length) $('level').append(element('i', '', `dot level-${worst}`));
  if (!$('diagnostics').open) return;
  $('statuses').replaceChildren(...rows.map((row) => {
    const part = element('div', ''), head = element('div', '', 'status');
    head.append(element('i', '', `dot level-${row.level}`), `${row.name}: ${row.message}`);
    const table = element('table', '');
    for (const [name, value] of Object.entries(row.values)) {
      const line = table.insertRow();
      line.insertCell().textContent = name;
      line.insertCell().textContent = value;
    }
    part.append(head, table);
    return part;
  }));
}

async function fetchPicture() {
  if (isFetching) return;
  isFetching = true;
  const number = scene.picture_number;
  try {
    const answer = await fetch(scene.picture_data
      || `picture?camera=${encodeURIComponent(camera)}&number=${number}`);
    if (answer.ok) {
      bitmap = await createImageBitmap(await answer.blob());
      shownNumber = number;
      const now = performance.now();
      times = [...times.filter((at) => now - at < 3000), now];
      const span = now - times[0];
      const rate = span > 500 ? `${((times.length - 1) * 1000 / span).toFixed(1)} pictures/s` : '';
      $('pace').textContent = rate;
    }
  } catch { /* the connection is lost; the watch below says so */ }
  isFetching = false;
  draw();
}

// Drawing of what is shown

function fitted(canvas, width, height) {
  const scale = Math.min(window.devicePixelRatio || 1, 2);
  const size = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const pen = canvas.getContext('2d');
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineJoin = pen.lineCap = 'round';
  return pen;
}

function line(pen, points, at, { closed = false, stroke, fill, width = 2, halo = false }) {
  if (points.length < 2) return;
  pen.beginPath();
  points.forEach((point, index) => pen[index ? 'lineTo' : 'moveTo'](...at(point)));
  if (closed) pen.closePath();
  if (fill) { pen.fillStyle = fill; pen.fill(); }
  if (halo) { pen.strokeStyle = '#0009'; pen.lineWidth = width + 2; pen.stroke(); }
  if (stroke) { pen.strokeStyle = stroke; pen.lineWidth = width; pen.stroke(); }
}

function label(pen, text, x, y) {
  pen.font = '600 12px system-ui, sans-serif';
  const width = pen.measureText(text).width;
  pen.fillStyle = '#000b';
  pen.beginPath();
  pen.roundRect(x - width / 2 - 5, y - 15, width + 10, 18, 4);
  pen.fill();
  pen.fillStyle = '#fff';
  pen.fillText(text, x - width / 2, y - 2);
}

function draw() {
  if (!scene) return;
  drawPicture();
  drawGround();
}

function drawPicture() {
  const canvas = $('picture'), width = canvas.parentElement.clientWidth;
  const height = bitmap ? Math.round(width * bitmap.height / bitmap.width)
    : Math.round(width * 9 / 16);
  canvas.style.height = `${height}px`;
  const pen = fitted(canvas, width, height);
  const at = ([u, v]) => [u * width, v * height];
  const isOld = scene.picture_age_s == null || scene.picture_age_s > 1.5;
  $('no-picture').hidden = Boolean(bitmap);
  if (bitmap) {
    pen.imageSmoothingQuality = 'high';
    pen.globalAlpha = isOld ? 0.35 : 1;
    pen.drawImage(bitmap, 0, 0, width, height);
    pen.globalAlpha = 1;
  }
  if (bitmap && isOld) {
    label(pen, scene.picture_age_s == null ? 'no picture comes'
      : `this picture is ${scene.picture_age_s.toFixed(1)} s old`, width / 2, height / 2);
  }
  const shapes = scene.picture;
  const stop = scene.stop.cause === 'person' ? css('--someone') : '#ffc266';
  if (!isOld) {
    for (const row of shapes.lanes) line(pen, row, at, { stroke: '#3ddc84', width: 2.5, halo: true });
    line(pen, shapes.zone, at, { closed: true, stroke: stop, fill: `${stop}22`, halo: true });
    for (const person of shapes.people) {
      const [u0, v0, u1, v1] = person.box, [x, y] = at([u0, v0]), [x1, y1] = at([u1, v1]);
      pen.lineWidth = 4; pen.strokeStyle = '#0009'; pen.strokeRect(x, y, x1 - x, y1 - y);
      pen.lineWidth = 2; pen.strokeStyle = '#fff'; pen.strokeRect(x, y, x1 - x, y1 - y);
      label(pen, `${person.distance_m.toFixed(1)} m`, (x + x1) / 2, y - 4);
    }
  }
  line(pen, shapes.ego_mask, at, { closed: true, stroke: '#6db6ff', fill: '#6db6ff33', width: 1.5 });
  drawDrawings(pen, 'image', at);
  legend('classes', scene.classes.map((row) => [row.name, `rgb(${row.colour.join()})`]));
}

const onGround = () => {
  const box = $('ground').parentElement, width = box.clientWidth, height = box.clientHeight;
  const scale = height / (AHEAD_M + BEHIND_M);
  return { width, height, scale,
    at: ([x, y]) => [width / 2 - y * scale, height - (x + BEHIND_M) * scale],
    from: ([u, v]) => [(height - v) / scale - BEHIND_M, (width / 2 - u) / scale] };
};

function drawGround() {
  const { width, height, scale, at } = onGround(), ground = scene.ground;
  const pen = fitted($('ground'), width, height);
  $('no-ground').hidden = ground.known || Boolean(ground.grid) || ground.zone.length > 0 || !scene.node;
  $('no-ground').textContent = `No ground in metres: ${scene.geometry
    || 'no calibration or mounting is known yet'}`;
  if (ground.grid) drawGrid(pen, ground.grid, at);
  pen.font = '12px system-ui, sans-serif';
  for (const radius of RINGS_M) {
    pen.beginPath();
    pen.arc(...at([0, 0]), radius * scale, Math.PI, 2 * Math.PI);
    pen.strokeStyle = css('--line'); pen.lineWidth = 1; pen.stroke();
    pen.fillStyle = css('--muted');
    pen.fillText(`${radius} m`, width / 2 + 6, at([radius, 0])[1] + 14);
  }
  const stops = scene.stop.cause === 'person';
  line(pen, ground.zone, at, { closed: true, stroke: css(stops ? '--someone' : '--zone'),
    fill: `${css(stops ? '--someone' : '--zone')}22` });
  for (const row of ground.lanes) line(pen, row, at, { stroke: css('--lane'), width: 2.5 });
  pen.fillStyle = css('--obstacle');
  for (const point of ground.obstacles) dot(pen, at(point), 1.6);
  for (const point of ground.people) {
    pen.fillStyle = css('--card'); dot(pen, at(point), 7);
    pen.fillStyle = css('--someone'); dot(pen, at(point), 5.5);
  }
  const [x, y] = at([0, 0]), half = 0.95 * scale;   // about a car's width
  pen.fillStyle = css('--own');
  pen.beginPath();
  pen.moveTo(x, y - 1.6 * half); pen.lineTo(x + half, y + half); pen.lineTo(x - half, y + half);
  pen.fill();
  drawDrawings(pen, 'ground', at);
  legend('shapes', [['stop zone', css('--zone')], ['lane', css('--lane')],
    ['person', css('--someone')], ['obstacle', css('--obstacle')], ['free ground', css('--free')]]);
}

function drawGrid(pen, cells, at) {
  if (cells.png !== grid.png) {
    grid.png = cells.png;
    const image = new Image();
    image.onload = () => { grid.image = image; };
    image.src = `data:image/png;base64,${cells.png}`;
  }
  if (!grid.image) return;
  const [left, top] = at([cells.x_m[1], cells.y_m[1]]), [right, bottom] = at([cells.x_m[0], cells.y_m[0]]);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(grid.image, left, top, right - left, bottom - top);
}

function dot(pen, [x, y], radius) {
  pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI); pen.fill();
}

function legend(id, rows) {
  const text = JSON.stringify(rows);
  if ($(id).dataset.rows === text) return;
  $(id).dataset.rows = text;
  $(id).replaceChildren(...rows.map(([name, colour]) => {
    const row = element('span', ''), mark = element('i', '');
    mark.style.background = colour;
    row.append(mark, name);
    return row;
  }));
}

// Drawing with the mouse

function drawDrawings(pen, frame, at) {
  const own = '#6db6ff';
  const rows = [...drawing.done, { ...drawing, isOpen: true }];
  for (const row of rows) {
    if (row.frame !== frame || !row.corners.length) continue;
    line(pen, row.corners, at, { closed: !row.isOpen || row.corners.length > 2, stroke: own,
      fill: `${own}33`, halo: true });
    row.corners.forEach((corner) => {
      pen.fillStyle = '#fff'; dot(pen, at(corner), 5);
      pen.fillStyle = own; dot(pen, at(corner), 3.5);
    });
  }
}

function pointed(event, frame) {
  const box = event.currentTarget.getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  const clamp = (value) => Math.min(1, Math.max(0, value));
  if (frame === 'image') return [clamp(x / box.width), clamp(y / box.height)];
  return onGround().from([x, y]);
}

function near(event, frame) {
  const box = event.currentTarget.getBoundingClientRect(), ground = onGround();
  const place = (corner) => (frame === 'image'
    ? [corner[0] * box.width, corner[1] * box.height] : ground.at(corner));
  for (const row of [drawing, ...drawing.done]) {
    if (row.frame !== frame) continue;
    for (const corner of row.corners) {
      const [x, y] = place(corner);
      if (Math.hypot(event.clientX - box.left - x, event.clientY - box.top - y) < 10) return corner;
    }
  }
  return null;
}

for (const [id, frame] of [['picture', 'image'], ['ground', 'ground']]) {
  const canvas = $(id);
  canvas.onpointerdown = (event) => {
    if (!drawing.kind) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    drawing.dragged = near(event, frame);
    if (drawing.dragged) return;
    if (drawing.kind === 'ego_mask' && frame === 'ground') {
      hint('The own vehicle is drawn in the picture.');
      return;
    }
    if (drawing.corners.length && drawing.frame !== frame) finish();
    drawing.frame = frame;
    drawing.corners.push(pointed(event, frame));
    changed();
  };
  canvas.onpointermove = (event) => {
    if (!drawing.dragged) return;
    [drawing.dragged[0], drawing.dragged[1]] = pointed(event, frame);
    draw();
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (drawing.dragged) changed();
    drawing.dragged = null;
  };
}

function finish() {
  if (drawing.corners.length) {
    const { kind, frame, corners } = drawing, name = $('name').value, classes = $('counted').value;
    const isSame = (row) => row.kind === kind && (kind !== 'watched_zone' || row.name === name);
    drawing.done = [...drawing.done.filter((row) => !isSame(row)), { kind, frame, corners, name, classes }];
  }
  drawing.corners = [];
}

for (const button of $('kinds').children) {
  button.onclick = () => {
    finish();
    drawing.kind = button.dataset.kind;
    for (const other of $('kinds').children) {
      other.setAttribute('aria-pressed', other === button);
    }
    $('named').hidden = drawing.kind !== 'watched_zone';
    document.body.classList.add('drawing');
    changed();
  };
}
$('undo').onclick = () => {
  if (drawing.corners.length) drawing.corners.pop(); else drawing.done.pop();
  changed();
};
$('clear').onclick = () => { drawing.corners = []; drawing.done = []; changed(); };
$('name').oninput = $('counted').oninput = () => changed();
document.addEventListener('keydown', (event) => {
  if (event.target.tagName === 'INPUT') return;
  if (event.key === 'Escape' || event.key === 'Enter') { finish(); changed(); }
  if (event.key === 'Backspace') $('undo').click();
});

function drawn() {
  const { kind, frame, corners } = drawing;
  const open = corners.length
    ? [{ kind, frame, corners, name: $('name').value, classes: $('counted').value }] : [];
  return [...drawing.done, ...open];
}

let asked = 0;
async function changed() {
  const rows = drawn();
  $('undo').disabled = $('clear').disabled = !rows.length;
  $('save').disabled = $('apply').disabled = true;
  draw();
  if (!rows.length || rows.some((row) => row.corners.length < 3)) {
    $('file').hidden = true;
    hint(drawing.kind === 'ego_mask'
      ? 'Click the corners of the own vehicle into the picture; drag a corner to move it.'
      : 'Click the corners into the picture or onto the ground from above; drag one to move it.');
    return;
  }
  const number = ++asked, answer = await post('params-file', { drawings: rows });
  if (number !== asked) return;
  $('file').hidden = Boolean(answer.error);
  hint(answer.error || 'Save it as a params file and pass it to the node after its other parameters.');
  if (answer.error) return;
  $('file').textContent = answer.text;
  $('save').disabled = $('apply').disabled = false;
  $('save').onclick = () => {
    const link = element('a', '');
    link.href = URL.createObjectURL(new Blob([answer.text], { type: 'application/yaml' }));
    link.download = answer.name;
    link.click();
    URL.revokeObjectURL(link.href);
  };
}

$('apply').onclick = () => apply({ drawings: drawn() }, hint);

async function apply(body, tell) {
  tell('Asking the node.');
  let answer = await post('apply', body);
  if (answer.status === 409) {
    if (!await confirmed(answer.error)) { tell('Nothing was changed.'); return; }
    answer = await post('apply', { ...body, confirmed: true });
  }
  tell(answer.error || answer.done);
}

function confirmed(question) {
  $('question').textContent = question;
  $('ask').returnValue = '';
  $('ask').showModal();
  return new Promise((resolve) => {
    $('ask').onclose = () => resolve($('ask').returnValue === 'yes');
  });
}

async function post(path, body) {
  try {
    const answer = await fetch(path, { method: 'POST', body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', 'X-Seg-Ros-Token': token } });
    return { ...await answer.json(), status: answer.status };
  } catch {
    return { error: 'The server does not answer.' };
  }
}

// Live parameters

$('live').ontoggle = async () => {
  if (!$('live').open) return;
  const answer = await (await fetch('parameters')).json();
  if (answer.error) { $('parameters').textContent = answer.error; return; }
  $('parameters').replaceChildren(...answer.parameters.map((row) => {
    const box = element('div', '', 'parameter'), note = element('small', row.doc);
    const field = row.choices.length || typeof row.value === 'boolean'
      ? choice(row) : element('input', '');
    if (field.tagName === 'INPUT') field.value = row.value;
    const set = element('button', 'Set');
    set.onclick = () => apply({ parameters: { [row.name]: read(row, field.value) } },
      (text) => { note.textContent = text; });
    box.append(element('span', row.name + (row.unit ? ` (${row.unit})` : '')), field, set, note);
    return box;
  }));
};

function choice(row) {
  const field = element('select', '');
  const words = row.choices.length ? row.choices : ['true', 'false'];
  field.append(...words.map((word) => {
    const option = element('option', word);
    option.selected = String(row.value) === word;
    return option;
  }));
  return field;
}

function read(row, text) {
  if (typeof row.value === 'boolean') return text === 'true';
  return typeof row.value === 'number' ? Number(text) : text;
}

// Small things

function element(kind, text, name = '') {
  const made = document.createElement(kind);
  if (text) made.textContent = text;
  if (name) made.className = name;
  return made;
}
function hint(text) { $('hint').textContent = text; }
function signed(value) { return `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(2)}`; }

const still = $('still');
if (still) {
  document.body.classList.add('is-still');
  show(JSON.parse(still.textContent));
  $('pace').textContent = 'a still';
} else {
  connect();
  setInterval(() => {
    if (document.hidden) return;
    const silentMs = performance.now() - lastHeardMs;
    if (silentMs > LOST_MS) {
      showLost(`nothing has come from seg_ros view for ${(silentMs / 1000).toFixed(0)} s`);
    }
  }, 500);
  // Who does not look costs nothing
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) { source.close(); showLost('this page was in the background'); } else connect();
  });
}
window.addEventListener('resize', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
