//! The game: who is on the field, where, and who left lately.
//!
//! Knows no sockets and no QUIC. Players come and go as the sessions' events say, so that nobody
//! is on the field whose session is over.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use webtransport_session::CloseReason;

use crate::format::{self, FIELD, Position, STATE_ENTRY, STATE_HEADER};

/// How long a departure is told, as datagrams may be lost.
const TOLD_FOR: Duration = Duration::from_secs(1);

/// `K` names a player's session. A session's id alone does so on one connection only: the first of
/// each connection is 0.
#[derive(Debug)]
pub(crate) struct Game<K> {
    players: BTreeMap<K, Player>,
    /// When each departure was first told, and the datagram that tells it.
    departures: VecDeque<(Instant, Vec<u8>)>,
    arrived: u32,
}

#[derive(Debug)]
struct Player {
    id: u32,
    position: Position,
    /// When anything last came from this player's side of the game.
    heard: Instant,
}

/// What to think of something that a player sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    Fair,
    /// Claims to be where nobody can be.
    Cheating,
}

/// Who left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) player: u32,
    /// How long nothing had been heard of the player.
    pub(crate) silent_for: Duration,
}

impl<K> Default for Game<K> {
    fn default() -> Self {
        Self {
            players: BTreeMap::new(),
            departures: VecDeque::new(),
            arrived: 0,
        }
    }
}

impl<K: Copy + Ord> Game<K> {
    /// A player comes, into the middle of the field. Gives the player's number.
    pub(crate) fn spawn(&mut self, key: K, now: Instant) -> u32 {
        self.arrived = self.arrived.wrapping_add(1);
        let position = Position {
            x: FIELD.x / 2,
            y: FIELD.y / 2,
        };
        let player = Player {
            id: self.arrived,
            position,
            heard: now,
        };
        self.players.insert(key, player);
        self.arrived
    }

    /// A datagram of a player's. One that is none of the game's is a sign of life all the same.
    pub(crate) fn heard(&mut self, key: K, datagram: &[u8], now: Instant) -> Conduct {
        let Some(player) = self.players.get_mut(&key) else {
            return Conduct::Fair;
        };
        player.heard = now;
        match format::parse_position(datagram) {
            Some(position) if position.x >= FIELD.x || position.y >= FIELD.y => Conduct::Cheating,
            Some(position) => {
                player.position = position;
                Conduct::Fair
            }
            None => Conduct::Fair,
        }
    }

    /// A session is over. `None` if it never was a player, as when the request was refused.
    pub(crate) fn despawn(
        &mut self,
        key: K,
        reason: &CloseReason,
        now: Instant,
    ) -> Option<Departure> {
        let player = self.players.remove(&key)?;
        let departure = Departure {
            player: player.id,
            silent_for: now.saturating_duration_since(player.heard),
        };
        let datagram = format::encode_departure(
            player.id,
            reason.label(),
            &reason.to_string(),
            departure.silent_for.as_secs_f64() * 1000.0,
        );
        self.departures.push_back((now, datagram));
        Some(departure)
    }

    /// Forgets departures that everybody knows by now.
    pub(crate) fn tick(&mut self, now: Instant) {
        while let Some((told, _)) = self.departures.front() {
            if now.saturating_duration_since(*told) < TOLD_FOR {
                break;
            }
            self.departures.pop_front();
        }
    }

    /// Everybody who is on the field.
    pub(crate) fn players(&self) -> Vec<K> {
        self.players.keys().copied().collect()
    }

    /// What everybody should know now, in datagrams of at most `largest` bytes.
    pub(crate) fn state_for(&self, key: K, largest: usize) -> Vec<Vec<u8>> {
        let Some(recipient) = self.players.get(&key) else {
            return Vec::new();
        };
        let all: Vec<_> = self.players.values().map(|p| (p.id, p.position)).collect();
        let fits = largest.saturating_sub(STATE_HEADER) / STATE_ENTRY;
        let mut datagrams: Vec<_> = all
            .chunks(fits.max(1))
            .map(|some| format::encode_state(recipient.id, some))
            .collect();
        datagrams.extend(self.departures.iter().map(|(_, datagram)| datagram.clone()));
        datagrams
    }

    /// The departure that was told last.
    pub(crate) fn last_departure(&self) -> Option<&[u8]> {
        self.departures
            .back()
            .map(|(_, datagram)| datagram.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use webtransport_session::{
        CloseVia, Event, SessionId, Side,
        testing::{Ending, Link, Stage},
    };

    use super::*;
    use crate::clock;

    fn left() -> CloseReason {
        CloseReason::Peer {
            code: 0,
            message: "".into(),
            via: CloseVia::Capsule,
        }
    }

    #[test]
    fn who_leaves_leaves_the_others() {
        let (mut game, now) = (Game::default(), clock::now());
        assert_ne!(game.spawn(1, now), game.spawn(2, now));
        assert!(game.despawn(1, &left(), now).is_some());
        assert_eq!(game.players(), [2]);
    }

    /// What the server does about the events of a session, and nothing else.
    #[expect(clippy::wildcard_enum_match_arm, reason = "as the server does")]
    fn on_event(game: &mut Game<SessionId>, event: &Event, now: Instant) {
        match event {
            Event::SessionOpened { session, .. } => {
                game.spawn(*session, now);
            }
            Event::DatagramReceived { session, payload } => {
                game.heard(*session, payload, now);
            }
            Event::SessionClosed { session, reason } => {
                game.despawn(*session, reason, now);
            }
            _ => {}
        }
    }

    #[test]
    fn nobody_stays_however_the_session_ends() {
        let endings = Ending::all().into_iter();
        for ending in endings.filter(|ending| ending.sides().contains(&Side::Server)) {
            for link in [Link::perfect(), Link::seeded(7)] {
                let mut pair = ending.pair(Side::Server, link);
                pair.play(Side::Server, &ending);
                let mut game = Game::default();
                let mut most = 0;
                for event in pair.server.events() {
                    on_event(&mut game, event, pair.now());
                    most = most.max(game.players().len());
                }
                assert_eq!(game.players(), [], "{ending}:\n{}", pair.script());
                let opens = ending.stage() == Stage::Open || ending.id() == "E39";
                assert_eq!(most, usize::from(opens), "{ending}");
                // The others are told, with the reason's label.
                let told = game.last_departure().map(<[u8]>::to_vec);
                let label = ending.reason().label();
                let names = |told: &Vec<u8>| String::from_utf8_lossy(told).contains(label);
                assert_eq!(
                    told.as_ref().is_some_and(names),
                    opens,
                    "{ending}: {told:?}"
                );
            }
        }
    }

    #[test]
    fn who_never_came_cannot_leave() {
        let (mut game, now) = (Game::default(), clock::now());
        assert_eq!(game.despawn(1, &left(), now), None);
        assert_eq!(game.last_departure(), None);
    }

    #[test]
    fn a_departure_is_told_to_the_others_for_a_while() {
        let (mut game, now) = (Game::default(), clock::now());
        game.spawn(1, now);
        game.spawn(2, now);
        game.heard(1, &format::encode_position(Position { x: 3, y: 4 }), now);
        let then = now + Duration::from_millis(20);
        let departure = game.despawn(1, &left(), then).unwrap();
        assert_eq!(departure.silent_for, Duration::from_millis(20));
        assert_eq!(game.state_for(2, 1000).len(), 2);
        game.tick(then + TOLD_FOR);
        assert_eq!(game.state_for(2, 1000).len(), 1);
    }

    #[test]
    fn who_stands_outside_the_field_is_cheating() {
        let (mut game, now) = (Game::default(), clock::now());
        game.spawn(1, now);
        let outside = format::encode_position(Position { x: FIELD.x, y: 0 });
        assert_eq!(game.heard(1, &outside, now), Conduct::Cheating);
        assert_eq!(game.heard(1, b"hello", now), Conduct::Fair);
    }

    #[test]
    fn many_players_need_several_datagrams() {
        let (mut game, now) = (Game::default(), clock::now());
        for conn in 0..100 {
            game.spawn(conn, now);
        }
        let datagrams = game.state_for(0, 205);
        assert_eq!(datagrams.len(), 4);
        assert!(datagrams.iter().all(|datagram| datagram.len() <= 205));
    }
}
