//! Walks: each byte chooses one of the moves that there are.

use crate::{
    pair::{self, Joined},
    search::World,
    session::Alone,
};
use webtransport_session::Side;

fn walk<W: World>(mut world: W, choices: &[u8]) {
    for &choice in choices {
        let moves = world.moves();
        if moves.is_empty() {
            break;
        }
        let step = &moves[usize::from(choice) % moves.len()];
        if let Err(what) = world.make(step) {
            panic!("{step:?}: {what}");
        }
    }
    if world.moves().is_empty() {
        if let Err(what) = world.rest() {
            panic!("at rest: {what}");
        }
    }
}

pub fn session(data: &[u8]) {
    let Some((first, choices)) = data.split_first() else { return };
    let side = if first % 2 == 0 { Side::Client } else { Side::Server };
    walk(Alone::new(side), choices);
}

pub fn pair(data: &[u8]) {
    let Some((&first, choices)) = data.split_first() else { return };
    let plans = [&pair::MEETING, &pair::TALKING, &pair::COUNTING, &pair::LEAVING, &pair::EVERYTHING];
    walk(Joined::new(plans[usize::from(first) % plans.len()]), choices);
}
