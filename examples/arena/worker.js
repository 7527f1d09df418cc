// Owns the session, and sends the heartbeat: this tab's position, twenty times a second. A worker's
// timers run on in a tab in the background, so that such a tab is not taken for dead.
// What is in the datagrams is written down in format.rs.
'use strict';

const place = { x: 800, y: 450 };
let transport = null;
let silent = false;
let cheating = false;

self.onmessage = ({ data }) => {
  switch (data.kind) {
    case 'at':
      place.x = data.x;
      place.y = data.y;
      break;
    case 'join':
      join();
      break;
    case 'leave':
      transport?.close({ closeCode: 1, reason: 'left with the button' });
      break;
    case 'silence':
      silent = true;
      break;
    case 'cheat':
      cheating = true;
      break;
  }
};

join();

async function join() {
  if (transport) return;
  silent = cheating = false;
  try {
    // Asked anew each time: the server may have been started again, with another certificate.
    const server = await (await fetch('server.json', { cache: 'no-store' })).json();
    self.postMessage({ kind: 'server', width: server.width, height: server.height });
    transport = await connect(server);
    self.postMessage({ kind: 'joined' });
    heartbeat(transport, server.tick);
    listen(transport);
    const { closeCode, reason } = await transport.closed;
    over(`the session is closed: code ${closeCode}${reason ? `, “${reason}”` : ''}`);
  } catch (error) {
    over(`the session is lost: ${error.message || error}`);
  }
}

function over(text) {
  transport = null;
  self.postMessage({ kind: 'over', text });
}

async function connect({ url, hash, hashOnly }) {
  const byHash = { serverCertificateHashes: [{ algorithm: 'sha-256', value: new Uint8Array(hash) }] };
  // A certificate that the machine trusts may be too long-lived to be accepted by its hash.
  const ways = hashOnly ? [byHash] : [byHash, {}];
  for (const [index, options] of ways.entries()) {
    const attempt = new WebTransport(url, options);
    attempt.closed.catch(() => {});
    try {
      await attempt.ready;
      return attempt;
    } catch (error) {
      if (index === ways.length - 1) throw error;
    }
  }
}

function heartbeat(session, tick) {
  const { datagrams } = session;
  const writer = (datagrams.createWritable?.() ?? datagrams.writable).getWriter();
  const datagram = new DataView(new ArrayBuffer(6));
  datagram.setUint16(0, 0x6174); // "at"
  const timer = setInterval(() => {
    if (silent) return;
    datagram.setUint16(2, cheating ? 0xffff : place.x);
    datagram.setUint16(4, place.y);
    writer.write(new Uint8Array(datagram.buffer.slice(0))).catch(() => {});
  }, tick);
  session.closed.catch(() => {}).finally(() => clearInterval(timer));
}

async function listen(session) {
  const reader = session.datagrams.readable.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
      if (view.getUint8(0) === 0x53) state(view);
      if (view.getUint8(0) === 0x4c) {
        const text = new TextDecoder().decode(value.subarray(1));
        self.postMessage({ kind: 'departure', departure: JSON.parse(text) });
      }
    }
  } catch {
    // `closed` says why.
  }
}

function state(view) {
  const others = [];
  for (let at = 5; at + 8 <= view.byteLength; at += 8) {
    others.push({ id: view.getUint32(at), x: view.getUint16(at + 4), y: view.getUint16(at + 6) });
  }
  self.postMessage({ kind: 'state', you: view.getUint32(1), others });
}
