//! A UDP relay between the two programs: what a network does that no stack can.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

/// Forwards packets until it is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    mode: Arc<AtomicU8>,
}

const FORWARD: u8 = 0;
const SILENT: u8 = 1;
const OTHER_VERSION: u8 = 2;
const OVER: u8 = 3;

/// Looks at its mode this often.
const TICK: Duration = Duration::from_millis(50);

impl Relay {
    pub(crate) fn start(server: SocketAddr) -> io::Result<Self> {
        let front = UdpSocket::bind("127.0.0.1:0")?;
        front.set_read_timeout(Some(TICK))?;
        let address = front.local_addr()?;
        let mode = Arc::new(AtomicU8::new(FORWARD));
        let now = Arc::clone(&mode);
        thread::spawn(move || forward(&front, server, &now));
        Ok(Self { address, mode })
    }

    /// From here on nothing gets through.
    pub(crate) fn cut(&self) {
        self.mode.store(SILENT, Ordering::Relaxed);
    }

    /// From here on clients are told that the server speaks no version of theirs.
    pub(crate) fn refuse_versions(&self) {
        self.mode.store(OTHER_VERSION, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.mode.store(OVER, Ordering::Relaxed);
    }
}

/// To the server, with a socket of its own for each client, so that answers find back.
fn forward(front: &UdpSocket, server: SocketAddr, mode: &Arc<AtomicU8>) {
    let mut clients = BTreeMap::<SocketAddr, UdpSocket>::new();
    let mut packet = [0; 2048];
    while mode.load(Ordering::Relaxed) != OVER {
        let Ok((len, client)) = front.recv_from(&mut packet) else {
            continue;
        };
        let Some(packet) = packet.get(..len) else {
            continue;
        };
        match mode.load(Ordering::Relaxed) {
            FORWARD => {}
            OTHER_VERSION => {
                if let Some(answer) = version_negotiation(packet) {
                    let _lost = front.send_to(&answer, client);
                }
                continue;
            }
            _ => continue,
        }
        let back = match clients.entry(client) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let Ok(back) = answers(front, client, mode) else {
                    continue;
                };
                entry.insert(back)
            }
        };
        let _lost = back.send_to(packet, server);
    }
}

/// A socket whose packets go to this client.
fn answers(front: &UdpSocket, client: SocketAddr, mode: &Arc<AtomicU8>) -> io::Result<UdpSocket> {
    let back = UdpSocket::bind("127.0.0.1:0")?;
    back.set_read_timeout(Some(TICK))?;
    let (listener, front, mode) = (back.try_clone()?, front.try_clone()?, Arc::clone(mode));
    thread::spawn(move || {
        let mut packet = [0; 2048];
        while mode.load(Ordering::Relaxed) != OVER {
            if let Ok((len, _)) = listener.recv_from(&mut packet)
                && mode.load(Ordering::Relaxed) == FORWARD
                && let Some(packet) = packet.get(..len)
            {
                let _lost = front.send_to(packet, client);
            }
        }
    });
    Ok(back)
}

/// RFC 8999 §6: a long header, version 0, the connection ids the other way round, the versions.
fn version_negotiation(packet: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = packet.split_first()?;
    if first & 0x80 == 0 {
        return None;
    }
    let rest = rest.get(4..)?;
    let (&len, rest) = rest.split_first()?;
    let (destination, rest) = rest.split_at_checked(len.into())?;
    let (&len, rest) = rest.split_first()?;
    let (source, _) = rest.split_at_checked(len.into())?;
    let mut answer = vec![0x80, 0, 0, 0, 0];
    for id in [source, destination] {
        answer.push(u8::try_from(id.len()).ok()?);
        answer.extend_from_slice(id);
    }
    // One that is nobody's.
    answer.extend_from_slice(&[0xfa, 0xce, 0xb0, 0x0c]);
    Some(answer)
}
