// The page: asks the server, shows one frame, and says what a person decides.
'use strict';
const token = new URLSearchParams(location.search).get('token');
const SIDES = ['left', 'right'];
const VERDICTS = ['unseen', 'accepted', 'rejected'];
const ORIGINS = ['absent', 'fitted', 'interpolated', 'corrected'];
const [ABSENT, CORRECTED, UNSEEN, ACCEPTED, REJECTED] = [0, 3, 0, 1, 2];
const LISTED = 100;
const $ = (id) => document.getElementById(id);
const state = { row: 0, wanted: 0, going: null, busy: false, playing: false, hold: null, adding: null, chosen: [0, 1],
  show: { joints: true, outline: true, points: false } };
let session = null, frame = null, views = [], images = {}, cloud = [];

async function ask(path, options) {
  const answer = await fetch(path, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  return content;
}
const get = (path) => ask(`${path}?token=${token}`);
const post = (path, content) => ask(path, { method: 'POST', body: JSON.stringify(content),
  headers: { 'X-Token': token, 'Content-Type': 'application/json' } });
function say(text, bad = false) {
  $('message').textContent = text;
  $('message').className = bad ? 'bad' : '';
}
function fail(error) {
  const gone = error instanceof TypeError;
  say(gone ? 'hand-pose review does not answer: start it again; all that was saved is kept.' : error.message, true);
}

async function start() {
  session = await get('/session');
  document.title = `${session.name} - review`;
  $('name').textContent = $('name').title = session.name;
  if (!session.rows) { say('this session has no frames', true); return; }
  makeViews();
  new ResizeObserver(() => { layout(); draw(); }).observe($('views'));
  await go(worst() ?? 0);
}
function makeViews() {
  for (const panel of [...session.cameras, { name: '3D' }]) {
    const box = document.createElement('div'), canvas = document.createElement('canvas');
    const label = document.createElement('span');
    box.className = 'view';
    label.textContent = panel.name;
    box.append(canvas, label);
    $('views').append(box);
    const view = { ...panel, canvas, box };
    views.push(view);
    if (panel.modality) { reset(view); watchImage(view); } else { resetSpace(view); watchSpace(view); }
  }
  layout();
}
// The number of columns in which images of 4 : 3 become largest; 3D takes what is left of its row.
function layout() {
  const { clientWidth: width, clientHeight: height } = $('views'), count = views.length;
  const size = (columns) => Math.min(width / columns, height / Math.ceil(count / columns) * 4 / 3);
  let columns = 1;
  for (let more = 2; more <= count; more += 1) if (size(more) > size(columns)) columns = more;
  $('views').style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  $('views').style.gridAutoRows = 'minmax(0, 1fr)';
  views[count - 1].box.style.gridColumn = `span ${(columns - count % columns) % columns + 1}`;
}

// Shows a row; while one is being loaded only the last of the rows asked for follows it.
function go(row) {
  state.wanted = Math.max(0, Math.min(session.rows - 1, row));
  state.going ??= follow().finally(() => { state.going = null; });
  return state.going;
}
async function follow() {
  do {
    const row = state.wanted;
    const found = await Promise.all([get(`/frame/${row}`), load(row), points(row)]);
    state.row = row;
    [frame, images, cloud] = found;
    show();
  } while (state.wanted !== state.row);
}
const points = (row) => (state.show.points ? get(`/cloud/${row}`) : []);
async function load(row) {
  const loaded = {};
  await Promise.all(session.cameras.map((camera) => new Promise((done) => {
    const image = new Image();
    image.onload = () => { loaded[camera.name] = image; done(); };
    image.onerror = () => done(); // the set has none of this camera
    image.src = `/image/${camera.name}/${row}?token=${token}`;
  })));
  return loaded;
}

function show() {
  if (state.adding !== null && frame.origin[state.adding] !== ABSENT) state.adding = null;
  session.quality[state.row] = frame.quality;
  session.origin[state.row] = frame.origin;
  session.verdict[state.row] = frame.verdict;
  $('where').textContent = `frame ${state.row + 1} of ${session.rows}, ${session.seconds[state.row].toFixed(2)} s`;
  showHands();
  showList();
  draw();
  document.body.dataset.row = state.row;
}
function draw() {
  if (!frame) return;
  for (const view of views) (view.modality ? drawImage : drawSpace)(view);
  drawTime();
}
function showHands() {
  $('hands').textContent = '';
  for (const side of [0, 1]) {
    const box = document.createElement('div'), name = document.createElement('b');
    box.className = state.chosen.includes(side) ? 'hand chosen' : 'hand';
    name.className = name.textContent = SIDES[side];
    const what = document.createElement('span');
    what.id = `state-${SIDES[side]}`;
    const absent = frame.origin[side] === ABSENT;
    what.textContent = absent ? 'absent' : `${ORIGINS[frame.origin[side]]}, ${VERDICTS[frame.verdict[side]]}`;
    box.append(name, what);
    box.append(...(absent ? [addButton(side)] : [numbers(side), buttons(side)]));
    $('hands').append(box);
  }
  const whose = state.chosen.length === 2 ? 'both' : SIDES[state.chosen[0]];
  for (const [id, key] of [['accept', 'A'], ['reject', 'R']]) $(id).innerHTML = `${id} ${whose}<kbd>${key}</kbd>`;
}
function addButton(side) {
  const row = document.createElement('div'), button = document.createElement('button');
  row.className = 'row';
  button.id = `add-${SIDES[side]}`;
  button.innerHTML = 'add<kbd>H</kbd>';
  button.className = state.adding === side ? 'on' : '';
  button.onclick = () => point(state.adding === side ? null : side);
  row.append(button);
  return row;
}
function numbers(side) {
  const line = document.createElement('div');
  line.className = 'numbers';
  const rest = Object.entries(frame.residuals).filter(([, pair]) => pair[side] !== null)
    .map(([key, pair]) => (key === 'pixels' ? `${pair[side].toFixed(1)} px` : `${key} ${(pair[side] * 1000).toFixed(1)} mm`));
  line.textContent = [`quality ${frame.quality[side].toFixed(2)}`, ...rest].join(', ');
  return line;
}
function buttons(side) {
  const row = document.createElement('div');
  row.className = 'row';
  for (const [text, verdict] of [['accept', ACCEPTED], ['reject', REJECTED]]) {
    const button = document.createElement('button');
    button.textContent = text;
    button.id = `${text}-${SIDES[side]}`;
    button.className = frame.verdict[side] === verdict ? 'on' : '';
    button.onclick = () => act(() => judge([side], frame.verdict[side] === verdict ? UNSEEN : verdict));
    row.append(button);
  }
  return row;
}
const isOpen = (row, side) => session.origin[row][side] !== ABSENT && session.verdict[row][side] === UNSEEN;
function ranked() {
  const rows = [];
  for (let row = 0; row < session.rows; row += 1) {
    const scores = [0, 1].filter((side) => isOpen(row, side)).map((side) => session.quality[row][side]);
    if (scores.length) rows.push([Math.min(...scores), row]);
  }
  return rows.sort((one, other) => one[0] - other[0]);
}
function worst() { return ranked()[0]?.[1] ?? null; }
function showList() {
  const rows = ranked(), scroll = $('list').scrollTop;
  const total = session.origin.flat().filter((origin) => origin !== ABSENT).length;
  const open = session.verdict.flatMap((pair, row) => [0, 1].filter((side) => isOpen(row, side))).length;
  $('progress').textContent = `${total - open} of ${total} hands judged`;
  $('left-over').textContent = rows.length ? `${rows.length} frames to look at` : 'all judged';
  $('list').replaceChildren(...rows.slice(0, LISTED).map(([quality, row]) => {
    const button = document.createElement('button');
    button.className = row === state.row ? 'here' : '';
    for (const text of [`frame ${row + 1}`, quality.toFixed(2)]) button.append(Object.assign(document.createElement('span'), { textContent: text }));
    button.onclick = () => travel(row);
    return button;
  }));
  $('list').scrollTop = scroll;
}
// One bar a frame and hand, left above right; where frames are narrower than a pixel the worst of them.
function drawTime() {
  const paper = prepared($('time')), { clientWidth: width, clientHeight: height } = $('time');
  const bars = Math.min(session.rows, Math.floor(width)), step = width / bars, half = height / 2;
  const rank = (row, side) => (isOpen(row, side) ? session.quality[row][side] : 2 - session.verdict[row][side] / 4);
  for (let bar = 0; bar < bars; bar += 1) {
    const first = Math.floor(bar * session.rows / bars), last = Math.floor((bar + 1) * session.rows / bars);
    for (const side of [0, 1]) {
      let row = null;
      for (let other = first; other < last; other += 1) {
        if (session.origin[other][side] !== ABSENT && (row === null || rank(other, side) < rank(row, side))) row = other;
      }
      if (row === null) continue;
      const quality = session.quality[row][side], tall = (half - 2) * (.25 + .75 * quality);
      paper.fillStyle = colour(row, side);
      paper.fillRect(bar * step, side ? height - tall : half - 1 - tall, Math.max(step - (step > 4 ? 1 : 0), 1), tall);
    }
  }
  paper.fillStyle = '#ffffff';
  paper.fillRect((state.row + .5) * width / session.rows - 1, 0, 2, height);
}
function colour(row, side) {
  const verdict = session.verdict[row][side];
  if (verdict === REJECTED) return '#e0525c';
  if (session.origin[row][side] === CORRECTED) return '#3fb6c9';
  return verdict === ACCEPTED ? '#4cc38a' : `hsl(42 68% ${28 + 34 * session.quality[row][side]}%)`;
}

// One change at a time; what is asked for meanwhile is dropped, so that nothing unseen is judged.
async function act(work) {
  if (state.busy || !frame) return;
  state.busy = true;
  try { await work(); } catch (error) { fail(error); } finally { state.busy = false; }
}
function travel(row) { if (session?.rows) go(row).catch(fail); }
async function judge(sides, verdict) {
  const { row } = state;
  const answer = await post('/verdict', { row, sides, verdict });
  session.verdict[row] = answer.verdict;
  if (row === state.row) frame.verdict = answer.verdict;
  say(`frame ${row + 1} ${sides.map((side) => SIDES[side]).join(' and ')}: ${VERDICTS[verdict]}, saved`);
  show();
}
// On to the next frame once nothing of this one is left to judge.
async function judgeAndGoOn(verdict) {
  await judge(state.chosen, verdict);
  if (![0, 1].some((side) => isOpen(state.row, side))) await nextWorst();
}
async function nextWorst() {
  const row = worst();
  if (row === null) say('all hands are judged'); else await go(row);
}
async function undo() {
  const answer = await post('/undo', {});
  if (answer.row === null) { say('nothing to take back'); return; }
  Object.assign(session, answer.session);
  say(`frame ${answer.row + 1}: taken back, saved`);
  await go(answer.row);
}
async function drag(hold) {
  drawImage(hold.view);
  await act(async () => {
    const what = `frame ${hold.row + 1} ${SIDES[hold.side]} ${session.joints[hold.joint]}`;
    say(`${what}: fitting...`);
    await post('/drag', { row: hold.row, side: hold.side, joint: hold.joint, camera: hold.view.name, x: hold.x, y: hold.y });
    say(`${what}: corrected, saved`);
    await go(hold.row);
  });
}
// The next click into an image is the palm of a hand that is not there yet; null: no more.
function point(side) {
  state.adding = side;
  say(side === null ? 'no hand is added' : `click on the middle of the ${SIDES[side]} palm in any image; Escape leaves it`);
  showHands();
}
function pointNext() {
  const absent = state.chosen.filter((side) => frame.origin[side] === ABSENT);
  if (state.adding !== null || absent.length === 1) point(state.adding === null ? absent[0] : null);
  else say(absent.length ? 'choose one hand to add with 1 or 2' : 'the hands you chose are there: drag their joints', true);
}
async function add(view, x, y) {
  await act(async () => {
    const { row, adding: side } = state;
    await post('/add', { row, side, camera: view.name, x, y });
    state.adding = null;
    say(`frame ${row + 1} ${SIDES[side]}: added, saved; drag its joints to where they are`);
    await go(row);
  });
}
function aboveLimit() {
  const limit = Number($('limit').value);
  let count = 0;
  for (let row = 0; row < session.rows; row += 1) {
    count += [0, 1].filter((side) => isOpen(row, side) && session.quality[row][side] >= limit).length;
  }
  $('so-many').textContent = `${count} unseen hands have a quality of ${limit.toFixed(2)} or more. One undo takes all of it back.`;
  $('above-yes').textContent = `accept ${count} hands`;
}
async function acceptAbove() {
  $('above').close();
  const answer = await post('/accept', { quality: Number($('limit').value) });
  session.verdict = answer.verdict;
  frame.verdict = answer.verdict[state.row];
  say(`${answer.accepted} hands accepted, saved`);
  show();
}
async function toggle(name) {
  state.show[name] = !state.show[name];
  $(name).className = state.show[name] ? 'on' : '';
  if (name === 'points') cloud = await points(state.row);
  draw();
}
function choose(sides) { state.chosen = sides; showHands(); }
async function play() {
  state.playing = !state.playing;
  $('play').className = state.playing ? 'on' : '';
  while (state.playing && state.row < session.rows - 1) {
    const begun = performance.now(), pause = 1000 * (session.seconds[state.row + 1] - session.seconds[state.row]);
    await go(state.row + 1);
    await new Promise((done) => { setTimeout(done, Math.max(0, Math.min(1000, pause) - performance.now() + begun)); });
  }
  state.playing = false;
  $('play').className = '';
}

for (const name of ['joints', 'outline', 'points']) $(name).onclick = () => toggle(name).catch(fail);
$('play').onclick = () => play().catch(fail);
$('worst').onclick = () => act(nextWorst);
$('undo').onclick = () => act(undo);
$('accept').onclick = () => act(() => judgeAndGoOn(ACCEPTED));
$('reject').onclick = () => act(() => judgeAndGoOn(REJECTED));
$('accept-above').onclick = () => { aboveLimit(); $('above').showModal(); };
$('limit').oninput = aboveLimit;
$('above-yes').onclick = () => act(acceptAbove);
$('above-no').onclick = () => $('above').close();
const scrub = (event) => {
  const box = $('time').getBoundingClientRect();
  travel(Math.floor((event.clientX - box.left) / box.width * session.rows));
};
$('time').onpointerdown = (event) => { $('time').setPointerCapture(event.pointerId); scrub(event); };
$('time').onpointermove = (event) => { if (event.buttons & 1) scrub(event); };
const KEYS = { a: $('accept').onclick, r: $('reject').onclick, n: $('worst').onclick, z: $('undo').onclick,
  j: $('joints').onclick, o: $('outline').onclick, p: $('points').onclick, ' ': $('play').onclick,
  h: pointNext, escape: () => state.adding !== null && point(null),
  1: () => choose([0]), 2: () => choose([1]), 3: () => choose([0, 1]) };
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -Infinity, End: Infinity };
document.addEventListener('keydown', (event) => {
  const step = STEPS[event.key], key = KEYS[event.key.toLowerCase()];
  if (!frame || event.ctrlKey || event.metaKey || event.altKey || $('above').open || !(step || key)) return;
  event.preventDefault();
  if (step) travel(state.wanted + step * (event.shiftKey ? 10 : 1));
  else if (!event.repeat) key(); // a key held down shall not judge what nobody has seen
});
start().catch(fail);
