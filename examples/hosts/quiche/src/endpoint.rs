//! Many connections on one socket: which of them a packet is for, and what to say to one that is for
//! none. quiche leaves this to its user.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

use boring::{error::ErrorStack, hash::hmac_sha256, rand::rand_bytes};
use host_suite::Options;
use quiche::{ConnectionId, Header, RecvInfo, Type};
use webtransport_session::{Config, Connection, Side};

use crate::{host::Host, tls};

/// How long our connection ids are, in bytes.
const ID_LEN: usize = 16;
/// An Initial in a smaller packet is none (RFC 9000 §14.1).
const MIN_INITIAL_LEN: usize = 1200;
/// Stateless resets are as long as this, or shorter than what they answer (RFC 9000 §10.3).
const MAX_RESET_LEN: usize = 42;
const MIN_RESET_LEN: usize = 21;

/// The connections, by number from 0 in the order in which they came.
pub(crate) struct Endpoint {
    pub(crate) hosts: BTreeMap<usize, Host>,
    numbers: HashMap<ConnectionId<'static>, usize>,
    next: usize,
    local: SocketAddr,
    quic: quiche::Config,
    sessions: Arc<Config>,
    stream_window: u64,
    side: Side,
    key: [u8; 64],
}

impl Endpoint {
    pub(crate) fn new(options: &Options, local: SocketAddr) -> Result<Self, quiche::Error> {
        Ok(Self {
            hosts: BTreeMap::new(),
            numbers: HashMap::new(),
            next: 0,
            local,
            quic: tls::config(options)?,
            sessions: options.config.clone(),
            stream_window: options.stream_window.into(),
            side: options.side,
            key: options.reset_key,
        })
    }

    /// How many connections there have been.
    pub(crate) fn count(&self) -> usize {
        self.next
    }

    pub(crate) fn connect(
        &mut self,
        peer: SocketAddr,
        name: &str,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let mut id = vec![0; ID_LEN];
        rand_bytes(&mut id)?;
        let id = ConnectionId::from(id);
        let quic = quiche::connect(Some(name), &id, self.local, peer, &mut self.quic)?;
        self.add(id, quic, Connection::client(self.sessions.clone()));
        Ok(())
    }

    /// Takes in a packet. What is to be sent back at once stands at the front of `out`: its length.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        from: SocketAddr,
        out: &mut [u8],
    ) -> Option<usize> {
        let header = Header::from_slice(packet, ID_LEN).ok()?;
        // Until a client has our id it uses one of its own, of which ours is made.
        let ours = ConnectionId::from(self.digest(b"id", &header.dcid).ok()?[..ID_LEN].to_vec());
        let known = self.numbers.get(&header.dcid);
        let number = match known.or_else(|| self.numbers.get(&ours)) {
            Some(number) => *number,
            // A stateless reset bears no id of ours; a client has one connection that it can mean.
            None if self.side == Side::Client => *self.numbers.values().next()?,
            None if header.ty == Type::Short => {
                return self.reset(&header.dcid, packet.len(), out);
            }
            None if packet.len() < MIN_INITIAL_LEN => return None,
            None if !quiche::version_is_supported(header.version) => {
                return quiche::negotiate_version(&header.scid, &header.dcid, out).ok();
            }
            None if header.ty == Type::Initial => self.accept(ours, from)?,
            None => return None,
        };
        let info = RecvInfo {
            from,
            to: self.local,
        };
        self.hosts.get_mut(&number)?.receive(now, packet, info);
        None
    }

    /// Forgets connections that are over.
    pub(crate) fn retire(&mut self) {
        self.hosts.retain(|_, host| !host.is_over());
        self.numbers
            .retain(|_, number| self.hosts.contains_key(number));
    }

    fn accept(&mut self, ours: ConnectionId<'static>, from: SocketAddr) -> Option<usize> {
        let token = self.token(&ours).ok()?;
        self.quic
            .set_stateless_reset_token(Some(u128::from_be_bytes(token)));
        let quic = quiche::accept(&ours, None, self.local, from, &mut self.quic).ok()?;
        Some(self.add(ours, quic, Connection::server(self.sessions.clone())))
    }

    fn add(
        &mut self,
        id: ConnectionId<'static>,
        quic: quiche::Connection,
        sessions: Connection,
    ) -> usize {
        let number = self.next;
        self.next += 1;
        self.numbers.insert(id, number);
        let host = Host::new(quic, sessions, self.stream_window);
        self.hosts.insert(number, host);
        number
    }

    /// A stateless reset, which quiche recognizes but does not make: so a client hears of it when
    /// the server was started anew.
    fn reset(&self, id: &ConnectionId<'_>, packet_len: usize, out: &mut [u8]) -> Option<usize> {
        let len = MAX_RESET_LEN.min(packet_len - 1);
        let token = self.token(id).ok()?;
        let (noise, end) = out
            .get_mut(..len)
            .filter(|_| len >= MIN_RESET_LEN)?
            .split_at_mut(len - token.len());
        rand_bytes(noise).ok()?;
        // It looks like any packet with a short header.
        noise[0] = noise[0] & 0x3f | 0x40;
        end.copy_from_slice(&token);
        Some(len)
    }

    fn token(&self, id: &ConnectionId<'_>) -> Result<[u8; 16], ErrorStack> {
        let mut token = [0; 16];
        token.copy_from_slice(&self.digest(b"reset", id)?[..16]);
        Ok(token)
    }

    fn digest(&self, what: &[u8], id: &ConnectionId<'_>) -> Result<[u8; 32], ErrorStack> {
        hmac_sha256(&self.key, &[what, id].concat())
    }
}
