// What people see: the field, the log, the buttons. The session is the worker's business.
'use strict';

const field = document.getElementById('field');
const log = document.getElementById('log');
const headline = document.getElementById('status');
const buttons = Object.fromEntries(
  ['join', 'leave', 'silence', 'cheat'].map((id) => [id, document.getElementById(id)]),
);

const worker = new Worker('worker.js');
// Tells the other tabs of this browser when this one left, so that they can show the delay.
const tabs = new BroadcastChannel('arena');

let size = { width: 1600, height: 900 };
let own = null; // this tab's number
let phase = 'arriving'; // or 'here' or 'away'
let place = { x: 800, y: 450 };
let target = null; // where the mouse points
const keys = new Set();
const players = new Map(); // number to { x, y, toX, toY, heard }
const gone = new Set(); // numbers of those who left: a late datagram does not bring them back
const acts = new Map(); // number to the moment at which that tab left, as it said itself
const waitingForAct = new Map(); // number to the log entry that would like to know

const moment = () => performance.timeOrigin + performance.now();
const colour = (number) => `hsl(${(number * 137.508) % 360} 68% 52%)`;

// ---- the log

function entry(number, text) {
  const item = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toLocaleTimeString();
  const dot = document.createElement('span');
  dot.className = 'dot';
  dot.style.background = colour(number);
  const who = document.createElement('span');
  who.className = 'who';
  who.textContent = `Player ${number}`;
  item.append(time, dot, who, ` ${text}`);
  log.prepend(item);
  while (log.children.length > 200) log.lastChild.remove();
  return item;
}

function line(item, className, text) {
  const span = document.createElement('span');
  span.className = className;
  span.textContent = text;
  item.append(span);
}

function departed({ player, label, reason, silent }) {
  if (gone.has(player)) return; // it is told several times
  gone.add(player);
  players.delete(player);
  const item = entry(player, 'left');
  const clean = ['peer-close', 'peer-fin', 'local-close'].includes(label);
  line(item, `reason ${clean ? 'clean' : 'rough'}`, reason);
  line(item, 'delay', `last heard of ${silent.toFixed(silent < 100 ? 1 : 0)} ms before`);
  item.dataset.label = label;
  const seen = moment();
  if (acts.has(player)) delay(item, acts.get(player), seen);
  else waitingForAct.set(player, { item, seen });
}

function delay(item, act, seen) {
  item.dataset.delay = (seen - act).toFixed(1);
  line(item, 'delay', `gone here ${Math.max(0, seen - act).toFixed(1)} ms after leaving`);
}

tabs.onmessage = ({ data: { player, at } }) => {
  acts.set(player, at);
  const waiting = waitingForAct.get(player);
  if (waiting) delay(waiting.item, at, waiting.seen);
  waitingForAct.delete(player);
};

// ---- the session

worker.onmessage = ({ data }) => {
  switch (data.kind) {
    case 'server':
      size = data;
      place = { x: size.width * somewhere(), y: size.height * somewhere() };
      move();
      break;
    case 'joined':
      show('here');
      break;
    case 'state':
      if (phase === 'here') state(data);
      break;
    case 'departure':
      departed(data.departure);
      break;
    case 'over':
      show('away');
      headline.textContent = data.text;
      own = null;
      players.clear();
      break;
  }
};

const somewhere = () => 0.2 + 0.6 * Math.random();

function show(next) {
  phase = next;
  buttons.join.disabled = phase !== 'away';
  for (const id of ['leave', 'silence', 'cheat']) buttons[id].disabled = phase !== 'here';
  if (phase === 'arriving') headline.textContent = 'connecting …';
}

function state({ you, others }) {
  const first = own !== you;
  if (first) {
    own = you;
    headline.innerHTML = `<span class="dot"></span>you are <b>player ${you}</b>`;
    headline.firstChild.style.background = colour(you);
    document.title = `The arena: player ${you}`;
  }
  const now = performance.now();
  for (const { id, x, y } of others) {
    if (gone.has(id)) continue;
    const player = players.get(id);
    if (player) Object.assign(player, { toX: x, toY: y, heard: now });
    else {
      players.set(id, { x, y, toX: x, toY: y, heard: now });
      entry(id, id === you ? 'joined: this is you' : first ? 'was here already' : 'joined');
    }
  }
  // Every datagram about a departure may be lost; then the silence about the player tells.
  for (const [id, { heard }] of players) if (now - heard > 2000) players.delete(id);
}

function act(kind) {
  if (own === null) return;
  tabs.postMessage({ player: own, at: moment() });
  worker.postMessage({ kind });
}
buttons.leave.onclick = () => act('leave');
buttons.silence.onclick = () => act('silence');
buttons.cheat.onclick = () => act('cheat');
buttons.join.onclick = () => {
  show('arriving');
  worker.postMessage({ kind: 'join' });
};
// Deliberately no farewell to the server: what it notices by itself is the point.
addEventListener('pagehide', () => {
  if (own !== null) tabs.postMessage({ player: own, at: moment() });
});

// ---- moving

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
addEventListener('keydown', (event) => {
  if (!(event.key in STEPS)) return;
  keys.add(event.key);
  target = null;
  event.preventDefault();
});
addEventListener('keyup', (event) => keys.delete(event.key));
addEventListener('blur', () => keys.clear());
field.addEventListener('pointermove', (event) => {
  target = {
    x: (event.offsetX / field.clientWidth) * size.width,
    y: (event.offsetY / field.clientHeight) * size.height,
  };
});
field.addEventListener('pointerdown', () => field.focus());

function move() {
  place.x = Math.min(Math.max(place.x, 0), size.width - 1);
  place.y = Math.min(Math.max(place.y, 0), size.height - 1);
  worker.postMessage({ kind: 'at', x: Math.floor(place.x), y: Math.floor(place.y) });
}

// ---- drawing

const colours = getComputedStyle(document.documentElement);
let drawn = performance.now();

function draw(now) {
  const passed = Math.min(now - drawn, 100) / 1000;
  drawn = now;
  for (const key of keys) {
    place.x += STEPS[key][0] * 500 * passed;
    place.y += STEPS[key][1] * 500 * passed;
  }
  if (target) {
    const nearer = 1 - Math.exp(-10 * passed);
    place.x += (target.x - place.x) * nearer;
    place.y += (target.y - place.y) * nearer;
  }
  if (phase === 'here') move();

  const scale = (field.clientWidth * devicePixelRatio) / size.width;
  const width = Math.round(size.width * scale);
  const height = Math.round(size.height * scale);
  if (field.width !== width || field.height !== height) Object.assign(field, { width, height });
  const context = field.getContext('2d');
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, size.width, size.height);
  context.strokeStyle = colours.getPropertyValue('--lines');
  context.lineWidth = 1.5;
  context.beginPath();
  for (let x = 100; x < size.width; x += 100) { context.moveTo(x, 0); context.lineTo(x, size.height); }
  for (let y = 100; y < size.height; y += 100) { context.moveTo(0, y); context.lineTo(size.width, y); }
  context.stroke();

  const ink = colours.getPropertyValue('--ink');
  context.font = '600 20px system-ui, sans-serif';
  context.textAlign = 'center';
  for (const [id, player] of players) {
    const nearer = 1 - Math.exp(-25 * passed);
    player.x += (player.toX - player.x) * nearer;
    player.y += (player.toY - player.y) * nearer;
    const at = id === own ? place : player;
    context.fillStyle = colour(id);
    context.beginPath();
    context.arc(at.x, at.y, 22, 0, 2 * Math.PI);
    context.fill();
    if (id === own) {
      context.strokeStyle = ink;
      context.lineWidth = 4;
      context.stroke();
    }
    context.fillStyle = ink;
    context.fillText(id, at.x, at.y - 32);
  }
  requestAnimationFrame(draw);
}
requestAnimationFrame(draw);
