'use strict';
const token = new URLSearchParams(location.search).get('token');
const COLOURS = ['#4aa8ff', '#ffa247'];
const SIDES = ['left', 'right'];
const VERDICTS = ['unseen', 'accepted', 'rejected'];
const ORIGINS = ['absent', 'fitted', 'interpolated', 'corrected'];
const $ = (id) => document.getElementById(id);
const state = { row: 0, show: { skeleton: true, outline: true }, playing: false, orbit: [0.5, 0.35],
  zoom: 1, drag: null, wanted: 0 };
let session = null, frame = null, views = [], images = {};

async function get(path) {
  const answer = await fetch(`${path}?token=${token}`);
  return checked(answer);
}
async function post(path, content) {
  const answer = await fetch(path, { method: 'POST', body: JSON.stringify(content),
    headers: { 'X-Token': token, 'Content-Type': 'application/json' } });
  return checked(answer);
}
async function checked(answer) {
  const content = await answer.json();
  if (!answer.ok) { say(content.error, true); throw new Error(content.error); }
  return content;
}
function say(text, bad = false) {
  $('message').textContent = text;
  $('message').className = bad ? 'bad' : '';
}

async function start() {
  session = await get('/session');
  document.title = `${session.name} - review`;
  $('name').textContent = session.name;
  layout();
  window.addEventListener('resize', draw);
  await go(worst() ?? 0);
}

function layout() {
  const panels = [...session.cameras.map((camera) => ({ ...camera })), { name: '3D', modality: '3d' }];
  const columns = panels.length > 4 ? 3 : 2;
  $('views').style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  $('views').style.gridAutoRows = 'minmax(0, 1fr)';
  for (const panel of panels) {
    const box = document.createElement('div');
    box.className = 'view';
    box.dataset.camera = panel.name;
    if (panel.modality === '3d' && panels.length % columns) {
      box.style.gridColumn = `span ${columns - (panels.length % columns) + 1}`;
    }
    const canvas = document.createElement('canvas');
    const label = document.createElement('span');
    label.textContent = panel.name;
    box.append(canvas, label);
    $('views').append(box);
    const view = { ...panel, canvas };
    views.push(view);
    canvas.addEventListener('pointerdown', (event) => press(view, event));
    canvas.addEventListener('pointermove', (event) => move(view, event));
    canvas.addEventListener('pointerup', (event) => release(view, event));
    if (panel.modality === '3d') {
      canvas.addEventListener('wheel', (event) => {
        state.zoom *= Math.exp(-event.deltaY * 0.001); event.preventDefault(); draw();
      }, { passive: false });
    }
  }
}

async function go(row) {
  row = Math.max(0, Math.min(session.rows - 1, row));
  state.wanted = row;
  const [answer, loaded] = await Promise.all([get(`/frame/${row}`), load(row)]);
  if (state.wanted !== row) return;
  state.row = row; frame = answer; images = loaded;
  show();
}
async function load(row) {
  const loaded = {};
  await Promise.all(session.cameras.map((camera) => new Promise((done) => {
    const image = new Image();
    image.onload = () => { loaded[camera.name] = image; done(); };
    image.onerror = () => done();
    image.src = `/image/${camera.name}/${row}?token=${token}`;
  })));
  return loaded;
}
function show() {
  session.quality[state.row] = frame.quality;
  session.origin[state.row] = frame.origin;
  session.verdict[state.row] = frame.verdict;
  const seconds = session.seconds[state.row];
  $('where').textContent = `frame ${state.row + 1} of ${session.rows}, ${seconds.toFixed(2)} s`;
  showHands(); showList(); draw();
  document.body.dataset.row = state.row;
}
function showHands() {
  $('hands').textContent = '';
  for (const side of [0, 1]) {
    const box = document.createElement('div');
    box.className = 'hand';
    const name = document.createElement('b');
    name.className = SIDES[side];
    name.textContent = SIDES[side];
    const what = document.createElement('span');
    what.textContent = `${ORIGINS[frame.origin[side]]}, ${VERDICTS[frame.verdict[side]]}`;
    what.id = `state-${SIDES[side]}`;
    const numbers = document.createElement('div');
    const rest = Object.entries(frame.residuals).filter(([, pair]) => pair[side] !== null)
      .map(([key, pair]) => key === 'pixels' ? `${pair[side].toFixed(1)} px`
        : `${key} ${(pair[side] * 1000).toFixed(1)} mm`);
    numbers.textContent = `quality ${frame.quality[side].toFixed(2)} ${rest.join(', ')}`;
    const buttons = document.createElement('div');
    buttons.className = 'row';
    for (const [text, verdict] of [['accept', 1], ['reject', 2]]) {
      const button = document.createElement('button');
      button.textContent = text;
      button.id = `${text}-${SIDES[side]}`;
      button.className = frame.verdict[side] === verdict ? 'on' : '';
      button.onclick = () => judge([side], verdict);
      buttons.append(button);
    }
    box.append(name, what, numbers, buttons);
    $('hands').append(box);
  }
}
function open(row, side) {
  return session.origin[row][side] !== 0 && session.verdict[row][side] === 0;
}
function ranked() {
  const rows = [];
  for (let row = 0; row < session.rows; row += 1) {
    const scores = [0, 1].filter((side) => open(row, side)).map((side) => session.quality[row][side]);
    if (scores.length) rows.push([Math.min(...scores), row]);
  }
  return rows.sort((one, other) => one[0] - other[0]);
}
function worst() { const rows = ranked(); return rows.length ? rows[0][1] : null; }
function showList() {
  const rows = ranked();
  const total = session.origin.flat().filter((origin) => origin !== 0).length;
  const seen = session.verdict.flat().filter((verdict) => verdict !== 0).length;
  $('progress').textContent = `${seen} of ${total} hands judged`;
  $('left-over').textContent = rows.length ? `${rows.length} frames to look at` : 'all judged';
  $('list').textContent = '';
  for (const [quality, row] of rows.slice(0, 200)) {
    const button = document.createElement('button');
    button.className = row === state.row ? 'here' : '';
    const left = document.createElement('span');
    left.textContent = `frame ${row + 1}`;
    const right = document.createElement('span');
    right.textContent = quality.toFixed(2);
    button.append(left, right);
    button.onclick = () => go(row);
    $('list').append(button);
  }
}
async function judge(sides, verdict) {
  for (const side of sides) {
    if (frame.origin[side] === 0) continue;
    const answer = await post('/verdict', { row: state.row, side, verdict });
    frame.verdict = answer.verdict;
  }
  say(`frame ${state.row + 1}: ${VERDICTS[verdict]}, saved`);
  show();
}
async function acceptAbove() {
  const text = prompt('Accept all unseen hands with at least this quality (0 to 1):', '0.8');
  const quality = Number.parseFloat(text);
  if (!(quality >= 0 && quality <= 1)) return;
  const answer = await post('/accept', { quality });
  session.verdict = answer.verdict;
  frame.verdict = answer.verdict[state.row];
  say(`${answer.accepted} hands accepted, saved`);
  show();
}
async function undo() {
  const answer = await post('/undo', {});
  if (answer.row === null) { say('nothing to undo'); return; }
  session.verdict = answer.verdict;
  say(`frame ${answer.row + 1}: taken back`);
  await go(answer.row);
}

function fit(view) {
  const { clientWidth: width, clientHeight: height } = view.canvas;
  const scale = Math.min(width / view.width, height / view.height);
  return { scale, x: (width - view.width * scale) / 2, y: (height - view.height * scale) / 2 };
}
function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const paper = canvas.getContext('2d');
  paper.scale(ratio, ratio);
  paper.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return paper;
}
function draw() {
  if (!frame) return;
  for (const view of views) (view.modality === '3d' ? drawSpace : drawView)(view);
  drawTime();
}
function drawView(view) {
  const paper = prepared(view.canvas), place = fit(view);
  paper.translate(place.x, place.y); paper.scale(place.scale, place.scale);
  if (images[view.name]) paper.drawImage(images[view.name], 0, 0, view.width, view.height);
  const seen = frame.views[view.name];
  if (!seen) return;
  const line = 1 / place.scale;
  if (state.show.outline) {
    seen.outlines.forEach((contours, side) => {
      paper.strokeStyle = COLOURS[side]; paper.lineWidth = 1.3 * line;
      for (const contour of contours) {
        paper.beginPath();
        for (let i = 0; i < contour.length; i += 2) paper.lineTo(contour[i] + .5, contour[i + 1] + .5);
        paper.closePath(); paper.stroke();
      }
    });
  }
  if (state.show.skeleton) {
    seen.pixels.forEach((points, side) => { if (points) skeleton(paper, points, side, line); });
  }
  if (state.drag && state.drag.view === view) {
    paper.strokeStyle = '#fff'; paper.lineWidth = 1.5 * line;
    paper.beginPath(); paper.arc(state.drag.x, state.drag.y, 6 * line, 0, 7); paper.stroke();
  }
}
function skeleton(paper, points, side, line) {
  paper.strokeStyle = COLOURS[side]; paper.fillStyle = COLOURS[side]; paper.lineWidth = 1.6 * line;
  for (const [from, to] of session.bones) {
    if (!points[from] || !points[to]) continue;
    paper.beginPath(); paper.moveTo(...points[from]); paper.lineTo(...points[to]); paper.stroke();
  }
  for (const point of points) {
    if (!point) continue;
    paper.beginPath(); paper.arc(point[0], point[1], 2.6 * line, 0, 7); paper.fill();
  }
}
function drawSpace(view) {
  const paper = prepared(view.canvas);
  const { clientWidth: width, clientHeight: height } = view.canvas;
  const known = frame.joints.filter((joints) => joints).flat().filter((joint) => joint);
  if (!known.length) return;
  const middle = [0, 1, 2].map((axis) => known.reduce((sum, joint) => sum + joint[axis], 0) / known.length);
  const reach = Math.max(...known.map((joint) => Math.hypot(...joint.map((v, i) => v - middle[i]))), .1);
  const [turn, tilt] = state.orbit;
  const scale = .42 * Math.min(width, height) / reach * state.zoom;
  const project = (x, y, z) => {
    x -= middle[0]; y -= middle[1]; z -= middle[2];
    const across = Math.cos(turn) * x + Math.sin(turn) * z, deep = -Math.sin(turn) * x + Math.cos(turn) * z;
    const down = Math.cos(tilt) * y - Math.sin(tilt) * deep;
    const far = Math.sin(tilt) * y + Math.cos(tilt) * deep;
    return [width / 2 + scale * across, height / 2 + scale * down, scale * far];
  };
  const triangles = [];
  frame.meshes.forEach((mesh, side) => {
    if (!mesh) return;
    const points = [];
    for (let i = 0; i < mesh.length; i += 3) points.push(project(mesh[i], mesh[i + 1], mesh[i + 2]));
    const faces = session.faces[side];
    for (let i = 0; i < faces.length; i += 3) {
      const [a, b, c] = [points[faces[i]], points[faces[i + 1]], points[faces[i + 2]]];
      const area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
      if (area >= 0) continue;
      const nx = (b[1] - a[1]) * (c[2] - a[2]) - (b[2] - a[2]) * (c[1] - a[1]);
      const ny = (b[2] - a[2]) * (c[0] - a[0]) - (b[0] - a[0]) * (c[2] - a[2]);
      // Light from the viewer's upper left.
      const light = (-area * .85 + nx * .3 + ny * .43) / (1e-9 + Math.hypot(area, nx, ny));
      triangles.push([a[2] + b[2] + c[2], a, b, c, side, .25 + .75 * Math.max(light, 0)]);
    }
  });
  triangles.sort((one, other) => other[0] - one[0]);
  for (const [, a, b, c, side, light] of triangles) {
    const base = side ? [255, 162, 71] : [74, 168, 255];
    paper.fillStyle = `rgb(${base.map((value) => Math.round(value * light)).join(',')})`;
    paper.strokeStyle = paper.fillStyle; paper.lineWidth = .6;
    paper.beginPath(); paper.moveTo(a[0], a[1]); paper.lineTo(b[0], b[1]); paper.lineTo(c[0], c[1]);
    paper.closePath(); paper.fill(); paper.stroke();
  }
}
function drawTime() {
  const paper = prepared($('time'));
  const { clientWidth: width, clientHeight: height } = $('time');
  const step = width / session.rows;
  for (let row = 0; row < session.rows; row += 1) {
    for (const side of [0, 1]) {
      if (session.origin[row][side] === 0) continue;
      const verdict = session.verdict[row][side], quality = session.quality[row][side];
      paper.fillStyle = verdict === 1 ? '#4cc38a' : verdict === 2 ? '#e5636b'
        : `hsl(${Math.round(10 + 50 * quality)} 70% ${35 + 20 * quality}%)`;
      const tall = (height / 2 - 2) * (.3 + .7 * quality);
      paper.fillRect(row * step, side ? height - tall : height / 2 - 1 - tall, Math.max(step, 1), tall);
    }
  }
  paper.fillStyle = '#fff';
  paper.fillRect(state.row * step, 0, Math.max(step, 2), height);
}

function pixel(view, event) {
  const box = view.canvas.getBoundingClientRect(), place = fit(view);
  return [(event.clientX - box.left - place.x) / place.scale, (event.clientY - box.top - place.y) / place.scale];
}
function press(view, event) {
  view.canvas.setPointerCapture(event.pointerId);
  if (view.modality === '3d') { state.turning = [event.clientX, event.clientY]; return; }
  const seen = frame && frame.views[view.name];
  if (!seen) return;
  const [x, y] = pixel(view, event), near = 10 / fit(view).scale;
  let best = null;
  seen.pixels.forEach((points, side) => (points || []).forEach((point, joint) => {
    if (!point) return;
    const away = Math.hypot(point[0] - x, point[1] - y);
    if (away < near && (!best || away < best.away)) best = { away, side, joint };
  }));
  if (best) state.drag = { view, side: best.side, joint: best.joint, x, y, moved: false };
}
function move(view, event) {
  if (state.turning && view.modality === '3d') {
    state.orbit[0] += (event.clientX - state.turning[0]) * .01;
    state.orbit[1] += (event.clientY - state.turning[1]) * .01;
    state.turning = [event.clientX, event.clientY];
    draw();
  } else if (state.drag && state.drag.view === view) {
    [state.drag.x, state.drag.y] = pixel(view, event);
    state.drag.moved = true;
    drawView(view);
  }
}
async function release(view) {
  state.turning = null;
  const drag = state.drag;
  state.drag = null;
  if (!drag || drag.view !== view || !drag.moved) { draw(); return; }
  say(`refitting ${SIDES[drag.side]} ${session.joints[drag.joint]}...`);
  frame = await post('/drag', { row: state.row, side: drag.side, joint: drag.joint, camera: view.name,
    x: drag.x, y: drag.y });
  say(`${SIDES[drag.side]} ${session.joints[drag.joint]} corrected, saved`);
  show();
}

function toggle(name) {
  state.show[name] = !state.show[name];
  $(name).className = state.show[name] ? 'on' : '';
  draw();
}
async function play() {
  state.playing = !state.playing;
  $('play').className = state.playing ? 'on' : '';
  while (state.playing && state.row < session.rows - 1) await go(state.row + 1);
  state.playing = false;
  $('play').className = '';
}
async function nextWorst() {
  const row = worst();
  if (row === null) say('all hands are judged'); else await go(row);
}
async function judgeAndGoOn(verdict) { await judge([0, 1], verdict); await nextWorst(); }
$('skeleton').onclick = () => toggle('skeleton');
$('outline').onclick = () => toggle('outline');
$('play').onclick = play;
$('worst').onclick = nextWorst;
$('undo').onclick = undo;
$('accept-above').onclick = acceptAbove;
$('accept').onclick = () => judge([0, 1], 1);
$('reject').onclick = () => judge([0, 1], 2);
$('time').onpointerdown = (event) => {
  const box = $('time').getBoundingClientRect();
  go(Math.floor((event.clientX - box.left) / box.width * session.rows));
};
const KEYS = { a: () => judgeAndGoOn(1), r: () => judgeAndGoOn(2), n: nextWorst, z: undo,
  j: () => toggle('skeleton'), o: () => toggle('outline'), ' ': play,
  ArrowLeft: () => go(state.row - 1), ArrowRight: () => go(state.row + 1) };
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
start().catch((error) => say(String(error.message || error), true));
