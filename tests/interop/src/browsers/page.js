'use strict';
// What the pages, frames and workers of the tests can be told to do. Runs in all of them.

const sessions = new Map();

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function describe(error) {
  const { name, message, source = null, streamErrorCode = null } = error ?? {};
  return { name, message, source, streamErrorCode };
}

/** The state of a promise as data, from here on. */
function follow(promise, show) {
  const state = { state: 'pending' };
  promise.then(
    (value) => Object.assign(state, { state: 'resolved', ...show(value) }),
    (error) => Object.assign(state, { state: 'rejected', error: describe(error) }),
  );
  return state;
}

function start(name, url, hash, options = {}) {
  const transport = new WebTransport(url, {
    serverCertificateHashes: [{ algorithm: 'sha-256', value: new Uint8Array(hash) }],
    ...options,
  });
  const session = {
    transport,
    ready: follow(transport.ready, () => ({})),
    closed: follow(transport.closed, (info) => ({
      closeCode: info?.closeCode ?? null,
      reason: info?.reason ?? null,
    })),
    draining: 'draining' in transport ? follow(transport.draining, () => ({})) : { state: 'missing' },
    kept: [],
  };
  sessions.set(name, session);
  return session;
}

/** Opens a session; gives its state when it is open, failed, or neither after `patience` ms. */
async function openSession(name, url, hash, options = {}, patience = 8000) {
  const { transport } = start(name, url, hash, options);
  await Promise.race([transport.ready.catch(() => {}), wait(patience)]);
  await wait(0);
  return sessionState(name);
}

function sessionState(name) {
  const { transport, ready, closed, draining } = sessions.get(name);
  return { ready, closed, draining, protocol: transport.protocol ?? null };
}

/** The state when `closed` is settled, or after `patience` ms. */
async function settled(name, patience) {
  const { transport } = sessions.get(name);
  await Promise.race([transport.closed.catch(() => {}), wait(patience)]);
  await wait(0);
  return sessionState(name);
}

/** The state when `draining` is settled, or after `patience` ms. */
async function drained(name, patience) {
  const { transport } = sessions.get(name);
  const draining = transport.draining ?? wait(patience);
  await Promise.race([draining.catch(() => {}), wait(patience)]);
  await wait(0);
  return sessionState(name);
}

/** Sends a small datagram every `ms` milliseconds, as long as the page lives. */
function beat(name, ms) {
  const { transport } = sessions.get(name);
  const datagrams = transport.datagrams;
  const writer = (datagrams.writable ?? datagrams.createWritable()).getWriter();
  const timer = setInterval(() => {
    writer.write(new Uint8Array([0])).catch(() => clearInterval(timer));
  }, ms);
  return true;
}

function closeSession(name, code, reason) {
  const { transport } = sessions.get(name);
  if (code === undefined) transport.close();
  else transport.close({ closeCode: code, reason });
  return true;
}

function closeOnHide(name, code, reason) {
  addEventListener('pagehide', () => closeSession(name, code, reason));
  return true;
}

/** Opens `count` streams of each kind and leaves them open with a few bytes in each. */
async function keepStreams(name, count) {
  const session = sessions.get(name);
  for (let i = 0; i < count; i++) {
    const bidi = await session.transport.createBidirectionalStream();
    const uni = await session.transport.createUnidirectionalStream();
    const writers = [bidi.writable.getWriter(), uni.getWriter()];
    for (const writer of writers) await writer.write(new Uint8Array([1, 2, 3]));
    session.kept.push(bidi, uni, ...writers);
  }
  return true;
}

// ---- streams

const pattern = (len, seed) => Uint8Array.from({ length: len }, (_, i) => (i * 7 + seed) & 255);

async function all(readable) {
  const chunks = [];
  let len = 0;
  for (const reader = readable.getReader(); ; ) {
    const { value, done } = await reader.read();
    if (done) break;
    chunks.push(value);
    len += value.byteLength;
  }
  const bytes = new Uint8Array(len);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

async function send(writable, bytes) {
  const writer = writable.getWriter();
  writer.write(bytes).catch(() => {});
  await writer.close();
}

/** Sends `len` bytes on a bidirectional stream; true if the same come back. */
async function echoBidi(name, len, seed = 1) {
  const { transport } = sessions.get(name);
  const stream = await transport.createBidirectionalStream({ waitUntilAvailable: true });
  const bytes = pattern(len, seed);
  const [back] = await Promise.all([all(stream.readable), send(stream.writable, bytes)]);
  return same(back, bytes);
}

/** Sends `len` bytes on a unidirectional stream; true if they come back on one of the server's. */
async function echoUni(name, len, seed = 2) {
  const { transport } = sessions.get(name);
  const bytes = pattern(len, seed);
  const incoming = transport.incomingUnidirectionalStreams.getReader();
  await send(await transport.createUnidirectionalStream(), bytes);
  const { value } = await incoming.read();
  incoming.releaseLock();
  return same(await all(value), bytes);
}

/** How many of `count` streams at once bring back what was sent on them. */
async function echoMany(name, count, len) {
  const one = (_, i) => echoBidi(name, len, i);
  const results = await Promise.all(Array.from({ length: count }, one));
  return results.filter(Boolean).length;
}

/** Sends datagrams, each with its number, and gives how many different ones came back. */
async function echoDatagrams(name, count, len) {
  const { datagrams } = sessions.get(name).transport;
  const writer = (datagrams.writable ?? datagrams.createWritable()).getWriter();
  const reader = datagrams.readable.getReader();
  const back = new Set();
  const read = (async () => {
    while (back.size < count) {
      const { value, done } = await reader.read();
      if (done) break;
      const good = value.length === len && value.slice(2).every((byte) => byte === 0xda);
      if (good) back.add(value[0] * 256 + value[1]);
    }
  })();
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(len).fill(0xda);
    bytes[0] = i >> 8;
    bytes[1] = i & 255;
    await writer.write(bytes);
    if (i % 8 === 7) await wait(2);
  }
  await Promise.race([read, wait(3000)]);
  writer.releaseLock();
  return back.size;
}

const MiB = 1 << 20;

/** Sends so many MiB to a session of `/sink`; gives the length that the server says came. */
async function upload(name, mib) {
  const { transport } = sessions.get(name);
  const { datagrams } = transport;
  const told = datagrams.readable.getReader();
  const writer = (await transport.createUnidirectionalStream()).getWriter();
  const bytes = new Uint8Array(MiB).fill(0x75);
  for (let i = 0; i < mib; i++) {
    await writer.ready;
    writer.write(bytes).catch(() => {});
  }
  await writer.close();
  const { value } = await told.read();
  return Number(new TextDecoder().decode(value));
}

/** Reads the one stream of a session of `/source`; gives its length if all bytes are right. */
async function download(name) {
  const { transport } = sessions.get(name);
  const incoming = transport.incomingUnidirectionalStreams.getReader();
  const { value: stream } = await incoming.read();
  let len = 0;
  for (const reader = stream.getReader(); ; ) {
    const { value, done } = await reader.read();
    if (done) return len;
    if (!value.every((byte) => byte === 0x73)) return -1;
    len += value.byteLength;
  }
}

/** Aborts a stream to the server with this code. */
async function abortStream(name, code) {
  const stream = await sessions.get(name).transport.createUnidirectionalStream();
  const writer = stream.getWriter();
  await writer.write(new Uint8Array([1]));
  await wait(100);
  await writer.abort(new WebTransportError({ message: 'abort', streamErrorCode: code }));
  return true;
}

/** Tells the server with this code that the answers on a stream are not wanted. */
async function cancelStream(name, code) {
  const stream = await sessions.get(name).transport.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(new Uint8Array([1]));
  await wait(100);
  await stream.readable.cancel(new WebTransportError({ message: 'stop', streamErrorCode: code }));
  return true;
}

/** Opens a bidirectional stream with a byte in it; how its two halves end is told by `halves`. */
async function watchStream(name) {
  const session = sessions.get(name);
  const stream = await session.transport.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(new Uint8Array([1]));
  const reader = stream.readable.getReader();
  const read = async () => {
    while (!(await reader.read()).done);
  };
  session.watched = {
    read: follow(read(), () => ({})),
    write: follow(writer.closed, () => ({})),
  };
  return true;
}

/** What becomes of a code in an error of the page's own. */
const ownCode = (code) =>
  new WebTransportError({ message: 'own', streamErrorCode: code }).streamErrorCode;

async function halves(name, patience) {
  const { watched } = sessions.get(name);
  for (let i = 0; i < patience / 20; i++) {
    if (watched.read.state !== 'pending' || watched.write.state !== 'pending') break;
    await wait(20);
  }
  await wait(100);
  return watched;
}

/** Echoes one bidirectional stream of the server's. */
async function answerBidi(name) {
  const { transport } = sessions.get(name);
  const { value: stream } = await transport.incomingBidirectionalStreams.getReader().read();
  await send(stream.writable, await all(stream.readable));
  return true;
}

// ---- frames and workers

let worker;

/** Calls a function of this file in a worker. */
function inWorker(call, ...args) {
  worker ??= new Worker('/worker.js');
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (error) => reject(new Error(error.message));
    worker.postMessage([call, args]);
  });
}

function endWorker() {
  worker.terminate();
  return true;
}

/** Calls a function of this file in a frame. */
async function inFrame(call, ...args) {
  let frame = document.querySelector('iframe');
  if (!frame) {
    frame = document.createElement('iframe');
    const loaded = new Promise((done) => (frame.onload = done));
    frame.src = '/';
    document.body.append(frame);
    await loaded;
  }
  return frame.contentWindow[call](...args);
}

function removeFrame() {
  document.querySelector('iframe').remove();
  return true;
}
