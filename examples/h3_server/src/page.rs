//! A page that opens a session with the server it came from.

use std::net::SocketAddr;

/// The page for a server at `address`, whose certificate has this SHA-256.
pub(crate) fn page(address: SocketAddr, hash: &[u8]) -> String {
    PAGE.replace("ADDRESS", &address.to_string())
        .replace("HASH", &format!("{hash:?}"))
}

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>h3 and WebTransport</title>
<h1>One connection: this page's server, and a session with it</h1>
<pre id="log"></pre>
<script type="module">
const log = line => { document.getElementById("log").textContent += line + "\n"; };
const text = bytes => new TextDecoder().decode(bytes);
const bytes = text => new TextEncoder().encode(text);
try {
  const value = new Uint8Array(HASH);
  const session = new WebTransport("https://ADDRESS/echo", {
    serverCertificateHashes: [{ algorithm: "sha-256", value }],
  });
  await session.ready;
  log("open");
  const datagrams = session.datagrams;
  const out = datagrams.writable ?? datagrams.createWritable();
  await out.getWriter().write(bytes("hello in a datagram"));
  log("datagram: " + text((await datagrams.readable.getReader().read()).value));
  const stream = await session.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(bytes("hello on a stream"));
  await writer.close();
  let back = "";
  for await (const chunk of stream.readable) back += text(chunk);
  log("stream: " + back);
  session.close({ closeCode: 7, reason: "seen it" });
  const end = await session.closed;
  log("closed: " + end.closeCode + " " + end.reason);
} catch (error) {
  log("error: " + error);
}
</script>
"#;
