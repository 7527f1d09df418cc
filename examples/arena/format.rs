//! What is in the datagrams of the game, byte for byte. `worker.js` has the other end of it.
//!
//! | from | bytes |
//! |---|---|
//! | player | `a` `t`, x and y as 16 bits each |
//! | server | `S`, the recipient's id as 32 bits, then for each player: id as 32 bits, x and y |
//! | server | `L`, then JSON about a player who left |
//!
//! Numbers are big-endian. Any of them may be lost, and each stands alone.

/// A place on the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) x: u16,
    pub(crate) y: u16,
}

/// How large the field is. Whoever claims to stand outside it is cheating.
pub(crate) const FIELD: Position = Position { x: 1600, y: 900 };

/// Bytes before the players in a datagram of positions.
pub(crate) const STATE_HEADER: usize = 5;
/// Bytes for each player in it.
pub(crate) const STATE_ENTRY: usize = 8;

/// A player's own position.
pub(crate) fn encode_position(position: Position) -> [u8; 6] {
    let [x0, x1] = position.x.to_be_bytes();
    let [y0, y1] = position.y.to_be_bytes();
    [b'a', b't', x0, x1, y0, y1]
}

/// `None` for anything else: this server is open to clients that know nothing of the game.
pub(crate) fn parse_position(datagram: &[u8]) -> Option<Position> {
    let &[b'a', b't', x0, x1, y0, y1] = datagram else {
        return None;
    };
    Some(Position {
        x: u16::from_be_bytes([x0, x1]),
        y: u16::from_be_bytes([y0, y1]),
    })
}

/// Positions of players for the player `recipient`, as many as `players` has.
pub(crate) fn encode_state(recipient: u32, players: &[(u32, Position)]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(STATE_HEADER + STATE_ENTRY * players.len());
    datagram.push(b'S');
    datagram.extend_from_slice(&recipient.to_be_bytes());
    for (id, position) in players {
        datagram.extend_from_slice(&id.to_be_bytes());
        datagram.extend_from_slice(&position.x.to_be_bytes());
        datagram.extend_from_slice(&position.y.to_be_bytes());
    }
    datagram
}

/// That a player left. `reason` is cut, so that it fits the smallest datagram that QUIC allows.
pub(crate) fn encode_departure(id: u32, label: &str, reason: &str, silent_for_ms: f64) -> Vec<u8> {
    const LONGEST: usize = 200;
    let reason: String = reason.chars().take(LONGEST).collect();
    let departure = serde_json::json!({
        "player": id,
        "label": label,
        "reason": reason,
        "silent": silent_for_ms,
    });
    let mut datagram = vec![b'L'];
    datagram.extend_from_slice(departure.to_string().as_bytes());
    datagram
}
