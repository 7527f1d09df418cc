"""One end of a WebTransport session on aioquic, client or server, for one thing that is tried.

Reads a JSON object from its input, and prints JSON lines: {"port": n} of a server, {"tell": text} for
what it is told, and nothing after its connection is over.

Both sides open a unidirectional stream with b"ready" when the session is open for them, and act when
they have the other's.
"""

import asyncio
import json
import os
import signal
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import (
    DatagramReceived,
    DataReceived,
    HeadersReceived,
    WebTransportStreamDataReceived,
)
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    ProtocolNegotiated,
    StopSendingReceived,
    StreamReset,
)
from aioquic.tls import load_pem_private_key, load_pem_x509_certificates


def print_line(line):
    print(json.dumps(line), flush=True)


def tell(text):
    print_line({"tell": text})


ESCAPES = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x22: '\\"', 0x27: "\\'", 0x5C: "\\\\"}


def shown(data):
    """As Rust's `escape_ascii` has it."""
    return "".join(
        ESCAPES.get(b) or (chr(b) if 0x20 <= b < 0x7F else f"\\x{b:02x}") for b in data
    )


def to_wire(code):
    """Application codes of streams (draft §4.4)."""
    return 0x52E4A40FA8DB + code + code // 0x1E


def from_wire(code):
    if 0x52E4A40FA8DB <= code <= 0x52E5AC983162 and (code - 0x21) % 0x1F:
        shifted = code - 0x52E4A40FA8DB
        return shifted - shifted // 0x1F
    return None


class Peer(QuicConnectionProtocol):
    """What is tried is in `plan`: its "deed" and the numbers of that."""

    plan = {}
    over = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = None
        self.is_client = self._quic.configuration.is_client
        self.sessions = []
        self.bodies = {}
        self.streams = {}
        self.ours = set()
        self.awaited = 0
        self.is_sent = False

    @property
    def deed(self):
        return self.plan["deed"]

    # ---- what happens

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic, enable_webtransport=True)
        elif isinstance(event, ConnectionTerminated):
            kind = "app" if event.frame_type is None else "quic"
            tell(f"connection: {kind} {event.error_code:#x} {shown(event.reason_phrase.encode())}".strip())
            Peer.over.set()
        elif isinstance(event, StreamReset):
            self.reset_received(event.stream_id, event.error_code)
        elif isinstance(event, StopSendingReceived):
            self.stop_received(event.stream_id, event.error_code)
        if self.http is not None:
            for http_event in self.http.handle_event(event):
                self.http_event(http_event)
            had = self.http.received_settings is not None
            if self.is_client and had and not self.sessions:
                self.request()

    def http_event(self, event):
        if isinstance(event, HeadersReceived):
            if self.is_client:
                self.answered(event)
            else:
                self.requested(event)
        elif isinstance(event, DataReceived):
            body = self.bodies.setdefault(event.stream_id, b"") + event.data
            self.bodies[event.stream_id] = body
            if event.stream_ended:
                self.body_ended(event.stream_id)
            elif self.deed == "answer" and len(body) == 5:
                self.send_body(event.stream_id)  # a drain, which has no end
        elif isinstance(event, DatagramReceived):
            text = event.data.decode()
            tell(f"{event.stream_id}: datagram {text}")
            if text.startswith("o-"):
                self.http.send_datagram(event.stream_id, event.data)
            else:
                self.came_back(event.stream_id)
        elif isinstance(event, WebTransportStreamDataReceived):
            self.stream_data(event)

    def stream_data(self, event):
        stream, session = event.stream_id, event.session_id
        data = self.streams.get(stream, b"") + event.data
        self.streams[stream] = data
        if data == b"abort" and stream not in self.ours:
            self._quic.reset_stream(stream, to_wire(73))
            self._quic.stop_stream(stream, to_wire(74))
        if not event.stream_ended:
            return
        if data == b"ready":
            self.act(session)
            return
        kind = "Uni" if stream & 2 else "Bi"
        tell(f"{session}: {kind} {shown(data)}")
        if stream in self.ours:
            self.came_back(session)
        elif kind == "Bi":
            self._quic.send_stream_data(stream, data, end_stream=True)

    def reset_received(self, stream, code):
        if stream in self.sessions:
            tell(f"reset with {code:#x}")
            if self.deed == "answer":
                self.send_body(stream)
        else:
            tell(f"stream reset with {from_wire(code)}")
            self.came_back(next(iter(self.sessions), None))

    def stop_received(self, stream, code):
        if stream in self.sessions:
            tell(f"stopped with {code:#x}")
        else:
            tell(f"stream stopped with {from_wire(code)}")
            self.came_back(next(iter(self.sessions), None))

    def body_ended(self, session):
        if session in self.sessions:
            body = self.bodies.get(session, b"")
            if body:
                tell(f"body {shown(body)}")
            tell("end")
            if self.deed == "answer":
                self.send_body(session)

    # ---- the opening

    def request(self):
        session = self._quic.get_next_available_stream_id()
        self.sessions.append(session)
        headers = [
            (b":method", b"CONNECT"),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            (b":path", b"/peers"),
            (b":protocol", b"webtransport"),
            (b"sec-webtransport-http3-draft02", b"1"),
        ]
        self.http.send_headers(session, headers, end_stream=self.deed == "fin-early")
        if self.deed == "reset-at-once":
            self.take_back(session)
        elif self.deed in ("reset-early", "stop-early", "close-early"):
            self._loop.call_later(0.2, self.take_back, session)
        self.transmit()

    def take_back(self, session):
        if self.deed == "close-early":
            self.close_connection()
        elif self.deed == "stop-early":
            self._quic.stop_stream(session, self.plan["code"])
        else:
            self._quic.reset_stream(session, self.plan["code"])
        self.transmit()

    def answered(self, event):
        headers = dict(event.headers)
        status = headers[b":status"].decode()
        if status != "200":
            tell(f"status {status}")
            if b"location" in headers:
                tell(f"location {headers[b'location'].decode()}")
            if event.stream_ended:
                tell("end")
            return
        self.opened(event.stream_id)
        if event.stream_ended:
            self.body_ended(event.stream_id)

    def requested(self, event):
        session = event.stream_id
        self.sessions.append(session)
        deed, plan = self.deed, self.plan
        if deed == "withhold":
            return
        if deed == "reset-early":
            self._quic.reset_stream(session, plan["code"])
        elif deed == "fin-early":
            self._quic.send_stream_data(session, b"", end_stream=True)
        elif deed == "reject":
            headers = [(b":status", str(plan["code"]).encode())]
            if plan.get("location"):
                headers.append((b"location", plan["location"].encode()))
            self.http.send_headers(session, headers, end_stream=True)
        elif deed == "interim":
            self.http.send_headers(session, [(b":status", b"103")])
            self.accept(session)
        elif deed == "malformed":
            self.http.send_headers(session, [(b":status", b"200"), (b"content-length", b"1")])
        elif deed == "go-away-early":
            self._quic.send_stream_data(
                self.http._local_control_stream_id, b"\x07\x01" + encode_uint_var(session)
            )
        else:
            self.accept(session)
        self.transmit()

    def accept(self, session):
        self.http.send_headers(
            session, [(b":status", b"200"), (b"sec-webtransport-http3-draft", b"draft02")]
        )
        self.opened(session)

    def opened(self, session):
        stream = self.http.create_webtransport_stream(session, is_unidirectional=True)
        self._quic.send_stream_data(stream, b"ready", end_stream=True)
        self.transmit()

    # ---- what is tried

    def act(self, session):
        deed, plan, quic = self.deed, self.plan, self._quic
        if deed == "body":
            self.send_body(session)
        elif deed == "reset":
            quic.reset_stream(session, plan["code"])
        elif deed == "stop":
            quic.stop_stream(session, plan["code"])
        elif deed == "reset-and-stop":
            quic.reset_stream(session, plan["code"])
            quic.stop_stream(session, plan["code"])
        elif deed == "stop-and-body":
            quic.stop_stream(session, plan["code"])
            self.send_body(session)
        elif deed == "trailers":
            self.http.send_headers(session, [(b"a", b"b")], end_stream=True)
        elif deed == "raw":
            quic.send_stream_data(session, bytes.fromhex(plan["data"]), end_stream=False)
        elif deed in ("close-connection", "close-quic"):
            self.close_connection()
        elif deed == "go-away":
            # A server names the first request that it does not process, a client a push.
            quic.send_stream_data(
                self.http._local_control_stream_id, b"\x07\x01" + encode_uint_var(session + 4 if not self.is_client else 0)
            )
        elif deed == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif deed == "end-control":
            quic.send_stream_data(self.http._local_control_stream_id, b"", end_stream=True)
        elif deed == "datagram":
            quic.send_datagram_frame(bytes.fromhex(plan["data"]))
        elif deed == "converse":
            self.awaited = 1
            self.http.send_datagram(session, b"p-datagram")
        elif deed == "ask":
            stream = self.http.create_webtransport_stream(session)
            self.ours.add(stream)
            quic.send_stream_data(stream, b"p-bi", end_stream=True)
        elif deed == "abort-streams":
            self.awaited = 2
            stream = self.http.create_webtransport_stream(session)
            self.ours.add(stream)
            quic.send_stream_data(stream, b"abort")
        elif deed == "two":
            if self.is_client and len(self.sessions) == 1:
                self.request()
            elif len(self.sessions) == 2:
                for number, of in enumerate(self.sessions):
                    self.http.send_datagram(of, f"p-{number}".encode())
                self.awaited = 2
                self.sessions.append(None)
        self.transmit()

    def came_back(self, session):
        self.awaited -= 1
        if self.awaited or session is None:
            return
        if self.deed in ("converse", "abort-streams"):
            stream = self.http.create_webtransport_stream(session, is_unidirectional=True)
            self._quic.send_stream_data(stream, b"done", end_stream=True)
        elif self.deed == "two":
            for number, of in enumerate(self.sessions[:2]):
                body = b"\x68\x43\x04" + (number + 1).to_bytes(4, "big")
                self.http.send_data(of, body, end_stream=True)
        self.transmit()

    def send_body(self, session):
        if self.is_sent:
            return
        self.is_sent = True
        data = bytes.fromhex(self.plan["data"])
        fin = self.plan["fin"]
        if self.plan.get("pieces"):
            # Each byte in a DATA frame and, if the network is quick, a packet of its own.
            for index in range(len(data)):
                last = index + 1 == len(data)
                self.http.send_data(session, data[index : index + 1], end_stream=fin and last)
                self.transmit()
        elif data:
            self.http.send_data(session, data, end_stream=fin)
        else:
            self._quic.send_stream_data(session, b"", end_stream=fin)
        self.transmit()

    def close_connection(self):
        frame_type = 0 if self.deed == "close-quic" else None
        self._quic.close(self.plan["code"], frame_type, self.plan.get("reason", ""))
        self.transmit()


async def main(plan):
    Peer.plan = plan
    Peer.over = asyncio.Event()
    is_client = plan["role"] == "client"
    configuration = QuicConfiguration(
        is_client=is_client,
        alpn_protocols=["h3"],
        max_datagram_frame_size=65536,
        idle_timeout=plan["idle"],
    )
    if is_client:
        configuration.load_verify_locations(cadata=plan["certificate"].encode())
        configuration.server_name = "localhost"
        # Not aioquic's `connect`, which binds to all addresses.
        transport, peer = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Peer(QuicConnection(configuration=configuration)),
            local_addr=("127.0.0.1", 0),
        )
        peer.connect(("127.0.0.1", plan["port"]))
        await asyncio.wait_for(Peer.over.wait(), plan["patience"])
        await asyncio.sleep(0.05)
        transport.close()
    else:
        # Not `load_cert_chain`, which reads files: several servers run at a time, each with its own.
        [configuration.certificate] = load_pem_x509_certificates(plan["certificate"].encode())
        configuration.private_key = load_pem_private_key(plan["key"].encode())
        server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Peer)
        print_line({"port": server._transport.get_extra_info("sockname")[1]})
        await asyncio.wait_for(Peer.over.wait(), plan["patience"])
        await asyncio.sleep(0.05)
        server.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(json.load(sys.stdin)))
    except TimeoutError:
        tell("hangs")
    except Exception as error:
        tell(f"{type(error).__name__}: {error}")
