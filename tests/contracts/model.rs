//! What an application at a server must see, said as simply as it can be: no bytes, no actions, no
//! time but the grace of E12. `reference.rs` holds the real machine against it.

use std::collections::BTreeMap;

use webtransport_session::{AbortedBy, CloseReason, CloseVia, ConnectionLost, Endpoint, Rejection};

/// What happens. `n` is a session's number, `s` a stream's.
#[derive(Clone, Debug)]
pub enum Turn {
    Requests {
        n: usize,
    },
    Accept {
        n: usize,
    },
    Reject {
        n: usize,
    },
    Close {
        n: usize,
        code: u32,
    },
    PeerCloses {
        n: usize,
        code: u32,
    },
    PeerFinishes {
        n: usize,
    },
    PeerResets {
        n: usize,
        code: u64,
    },
    PeerStops {
        n: usize,
        code: u64,
    },
    PeerOpens {
        n: usize,
    },
    PeerSends {
        s: u64,
        byte: u8,
        fin: bool,
    },
    PeerResetsStream {
        s: u64,
    },
    Datagram {
        n: usize,
        byte: u8,
    },
    /// Longer than the grace.
    Wait,
    Lost,
}

/// What the application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Requested {
        n: usize,
    },
    Opened {
        n: usize,
    },
    Closed {
        n: usize,
        reason: CloseReason,
    },
    StreamOpened {
        n: usize,
        s: u64,
    },
    Data {
        n: usize,
        s: u64,
        data: Vec<u8>,
        fin: bool,
    },
    StreamReset {
        n: usize,
        s: u64,
    },
    Datagram {
        n: usize,
        byte: u8,
    },
    ConnectionClosed,
}

pub const GONE: u64 = 0x170d_7b68;
pub const SESSIONS: usize = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    #[default]
    New,
    Requested,
    Open,
    /// WT_SESSION_GONE came, the capsule may still (E12).
    Stopped,
    Over,
}

#[derive(Clone, Debug, Default)]
pub struct Session {
    pub life: Life,
    /// The peer has ended its half of the CONNECT stream, or said its last on it.
    pub said_all: bool,
    /// A close capsule that came before the answer.
    held: Option<u32>,
    datagrams: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Stream {
    pub n: usize,
    /// What came before the session was open.
    parked: Vec<u8>,
    fin: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub sessions: [Session; SESSIONS],
    /// The peer's streams that still bring something.
    pub streams: BTreeMap<u64, Stream>,
    pub opened: u64,
    pub lost: bool,
    /// What the last turn led to.
    pub told: Vec<Told>,
}

impl Model {
    pub fn turn(&mut self, turn: &Turn) {
        self.told.clear();
        if self.lost {
            return;
        }
        match *turn {
            Turn::Requests { n } => {
                self.sessions[n].life = Life::Requested;
                self.told.push(Told::Requested { n });
            }
            Turn::Accept { n } => self.open(n),
            Turn::Reject { n } => {
                let rejection = Box::new(Rejection::from(http::StatusCode::FORBIDDEN));
                self.close(
                    n,
                    CloseReason::Rejected {
                        by: Endpoint::Local,
                        rejection,
                    },
                );
            }
            Turn::Close { n, code } => {
                if matches!(self.sessions[n].life, Life::Requested | Life::Open) {
                    self.close(
                        n,
                        CloseReason::Local {
                            code,
                            message: "".into(),
                        },
                    );
                }
            }
            Turn::PeerCloses { n, code } => {
                self.sessions[n].said_all = true;
                match self.sessions[n].life {
                    Life::Requested => self.sessions[n].held = Some(code),
                    _ => self.close(n, by_peer(code, CloseVia::Capsule)),
                }
            }
            Turn::PeerFinishes { n } => {
                self.sessions[n].said_all = true;
                match self.sessions[n].life {
                    Life::Requested => self.close(n, CloseReason::Withdrawn { code: None }),
                    _ => self.close(n, by_peer(0, CloseVia::Fin)),
                }
            }
            Turn::PeerResets { n, code } => {
                self.sessions[n].said_all = true;
                match self.sessions[n].life {
                    Life::Requested => self.close(n, CloseReason::Withdrawn { code: Some(code) }),
                    Life::Stopped => self.close(n, aborted(AbortedBy::StopSending, GONE)),
                    _ => self.close(n, aborted(AbortedBy::Reset, code)),
                }
            }
            Turn::PeerStops { n, code } => match self.sessions[n].life {
                Life::Requested => self.close(n, CloseReason::Withdrawn { code: Some(code) }),
                Life::Open if code == GONE => {
                    self.sessions[n].life = Life::Stopped;
                    self.streams.retain(|_, stream| stream.n != n);
                }
                Life::Open => self.close(n, aborted(AbortedBy::StopSending, code)),
                _ => {}
            },
            Turn::PeerOpens { n } => {
                let s = self.opened;
                self.opened += 1;
                match self.sessions[n].life {
                    Life::Stopped | Life::Over => return,
                    Life::Open => self.told.push(Told::StreamOpened { n, s }),
                    Life::New | Life::Requested => {}
                }
                self.streams.insert(
                    s,
                    Stream {
                        n,
                        parked: Vec::new(),
                        fin: false,
                    },
                );
            }
            Turn::PeerSends { s, byte, fin } => {
                let Some(stream) = self.streams.get_mut(&s) else {
                    return;
                };
                let n = stream.n;
                if self.sessions[n].life == Life::Open {
                    self.told.push(Told::Data {
                        n,
                        s,
                        data: vec![byte],
                        fin,
                    });
                    if fin {
                        self.streams.remove(&s);
                    }
                } else if !stream.fin {
                    stream.parked.push(byte);
                    stream.fin = fin;
                }
            }
            Turn::PeerResetsStream { s } => {
                if let Some(Stream { n, .. }) = self.streams.remove(&s) {
                    self.told.push(Told::StreamReset { n, s });
                }
            }
            Turn::Datagram { n, byte } => match self.sessions[n].life {
                Life::Open => self.told.push(Told::Datagram { n, byte }),
                Life::New | Life::Requested => self.sessions[n].datagrams.push(byte),
                Life::Stopped | Life::Over => {}
            },
            Turn::Wait => self.end_all(|life| {
                (life == Life::Stopped).then(|| aborted(AbortedBy::StopSending, GONE))
            }),
            Turn::Lost => {
                self.end_all(|life| match life {
                    Life::Stopped => Some(aborted(AbortedBy::StopSending, GONE)),
                    _ => Some(ConnectionLost::IdleTimeout.into()),
                });
                self.lost = true;
                self.told.push(Told::ConnectionClosed);
            }
        }
    }

    /// What came too early follows in this order: streams, datagrams, the end.
    fn open(&mut self, n: usize) {
        self.sessions[n].life = Life::Open;
        self.told.push(Told::Opened { n });
        for (&s, stream) in self.streams.iter_mut().filter(|(_, stream)| stream.n == n) {
            self.told.push(Told::StreamOpened { n, s });
            let (data, fin) = (std::mem::take(&mut stream.parked), stream.fin);
            if !data.is_empty() {
                self.told.push(Told::Data { n, s, data, fin });
            }
        }
        self.streams
            .retain(|_, stream| stream.n != n || !stream.fin);
        for byte in std::mem::take(&mut self.sessions[n].datagrams) {
            self.told.push(Told::Datagram { n, byte });
        }
        if let Some(code) = self.sessions[n].held {
            self.close(n, by_peer(code, CloseVia::Capsule));
        }
    }

    /// Once, and only where there is something to end.
    fn close(&mut self, n: usize, reason: CloseReason) {
        if matches!(self.sessions[n].life, Life::New | Life::Over) {
            return;
        }
        self.sessions[n].life = Life::Over;
        self.streams.retain(|_, stream| stream.n != n);
        self.told.push(Told::Closed { n, reason });
    }

    fn end_all(&mut self, reason: impl Fn(Life) -> Option<CloseReason>) {
        for n in 0..SESSIONS {
            if let Some(reason) = reason(self.sessions[n].life) {
                self.close(n, reason);
            }
        }
    }
}

fn by_peer(code: u32, via: CloseVia) -> CloseReason {
    CloseReason::Peer {
        code,
        message: "".into(),
        via,
    }
}

fn aborted(by: AbortedBy, code: u64) -> CloseReason {
    CloseReason::Aborted { by, code }
}
