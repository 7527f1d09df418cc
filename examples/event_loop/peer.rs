//! One connection of quinn's with its `Host`, and the echo that it is there for.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Instant};

use bytes::BytesMut;
use quinn_proto::{self as quic, ConnectionHandle};
use webtransport_session::host::quinn_proto::Host;
use webtransport_session::{Event, Response, SendError, SessionId, StreamId};

pub(crate) struct Peer {
    pub(crate) quic: quic::Connection,
    host: Host,
    /// What of each stream was not sent back yet, and whether it is the last.
    echoes: BTreeMap<(SessionId, StreamId), (BytesMut, bool)>,
}

impl Peer {
    pub(crate) fn new(quic: quic::Connection) -> Self {
        let (host, echoes) = (Host::server(Arc::default()), BTreeMap::new());
        Self { quic, host, echoes }
    }

    /// When it wants a turn although nothing comes: QUIC, or one of its sessions.
    pub(crate) fn due(&mut self) -> Option<Instant> {
        let both = [self.quic.poll_timeout(), self.host.poll_timeout()];
        both.into_iter().flatten().min()
    }

    /// After packets were given to QUIC, and before its own are asked for.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        endpoint: &mut quic::Endpoint,
    ) {
        if self.due().is_some_and(|due| due <= now) {
            self.quic.handle_timeout(now);
            self.host.handle_timeout(now);
        }
        // Until there is none: it also does what the application commands meanwhile.
        while let Some(event) = self.host.poll(&mut self.quic, now) {
            self.on_event(now, event);
        }
        while let Some(event) = self.quic.poll_endpoint_events() {
            if let Some(event) = endpoint.handle_event(handle, event) {
                self.quic.handle_event(event);
            }
        }
    }

    pub(crate) fn next_packet(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        let mut packet = Vec::new();
        let transmit = self.quic.poll_transmit(now, 1, &mut packet)?;
        Some((transmit.destination, packet))
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        let sessions = self.host.connection();
        match event {
            Event::SessionRequested { session, .. } => {
                let _left_meanwhile = sessions.accept(now, session, Response::default());
            }
            Event::DatagramReceived { session, payload } => {
                let _lost = self.host.send_datagram(&mut self.quic, session, &payload);
            }
            Event::StreamData {
                session,
                stream,
                data,
                fin,
            } => {
                let (bytes, ends) = self.echoes.entry((session, stream)).or_default();
                bytes.extend_from_slice(&data);
                *ends = fin;
                self.send_back(session, stream);
            }
            Event::StreamWritable { session, stream } => self.send_back(session, stream),
            Event::StreamStopped {
                session, stream, ..
            } => self.send_back(session, stream),
            Event::StreamReset {
                session, stream, ..
            } => {
                let _over = sessions.reset(stream, 0);
                self.echoes.remove(&(session, stream));
            }
            Event::SessionClosed { session, reason } => {
                self.echoes.retain(|&(of, _), _| of != session);
                println!("{}/{session}: {reason}", self.quic.remote_address());
            }
            _ => {}
        }
    }

    /// Sends back what can be sent. While something is left no more of the stream is read, so that
    /// its client can send no faster than it reads.
    fn send_back(&mut self, session: SessionId, stream: StreamId) {
        if let Some((bytes, ends)) = self.echoes.get_mut(&(session, stream)) {
            let written = self.host.write_buf(&mut self.quic, stream, bytes);
            let sessions = self.host.connection();
            match written {
                Err(SendError::Blocked) => return sessions.pause(stream),
                Ok(()) if !*ends => return sessions.resume(stream),
                Ok(()) => _ = sessions.finish(stream),
                Err(_nobody_reads) => _ = sessions.stop(stream, 0),
            }
            self.echoes.remove(&(session, stream));
        }
    }
}
