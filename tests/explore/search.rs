//! Breadth first through all states, on all cores.
//!
//! Of a state that was seen its hash is kept, 64 bits, and how it was reached. Two states with one
//! hash would count as one: among a million states the odds of that are one in thirty million.

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    fmt::{self, Debug, Display},
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

/// A state, and what can happen in it.
pub trait World: Clone + Hash + Send + Sync {
    type Move: Clone + Debug + Send + Sync;

    fn moves(&self) -> Vec<Self::Move>;

    /// What is wrong once it was made, if anything is.
    fn make(&mut self, step: &Self::Move) -> Result<(), String>;

    /// What is wrong where nothing moves any more.
    fn rest(&self) -> Result<(), String>;
}

pub struct Report {
    states: usize,
    transitions: usize,
    resting: usize,
    /// Steps from the start to the last states.
    depth: usize,
    /// Nothing is left to explore.
    complete: bool,
    took: Duration,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self {
            states,
            transitions,
            resting,
            depth,
            ..
        } = self;
        let all = if self.complete { ", which is all" } else { "" };
        write!(
            f,
            "{states} states{all}, {transitions} transitions, {resting} at rest, depth {depth}, {:.1} s",
            self.took.as_secs_f64()
        )
    }
}

/// What is wrong, and the moves that lead there.
pub struct Finding<M> {
    path: Vec<M>,
    what: String,
}

impl<M: Debug> Display for Finding<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        for (n, step) in self.path.iter().enumerate() {
            writeln!(f, "{:>4} {step:?}", n + 1)?;
        }
        Ok(())
    }
}

/// How a state was reached: from which, by which of its moves.
#[derive(Clone, Copy)]
struct Reached {
    from: usize,
    by: usize,
}

struct Found<W> {
    hash: u64,
    reached: Reached,
    world: W,
}

/// So many states are worked on before what they led to is looked through.
const BATCH: usize = 2048;

fn hash_of(world: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Goes on until `most` states were seen, or all.
#[expect(clippy::disallowed_methods, reason = "how long it took")]
pub fn explore<W: World>(start: W, most: usize) -> Result<Report, Finding<W::Move>> {
    let began = Instant::now();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut seen = HashSet::from([hash_of(&start)]);
    let mut reached = vec![Reached { from: 0, by: 0 }];
    let mut level = vec![(0, start.clone())];
    let (mut depth, mut transitions, mut resting) = (0, 0, 0);
    while !level.is_empty() && seen.len() < most {
        let mut next = Vec::new();
        while !level.is_empty() && seen.len() < most {
            let batch = level.split_off(level.len().saturating_sub(BATCH));
            let shares: Vec<_> = batch.chunks(batch.len().div_ceil(cores)).collect();
            let results: Vec<_> = thread::scope(|scope| {
                let seen = &seen;
                let work = |share| scope.spawn(move || expand(share, seen));
                let workers: Vec<_> = shares.into_iter().map(work).collect();
                workers
                    .into_iter()
                    .map(|worker| worker.join().unwrap())
                    .collect()
            });
            for result in results {
                let expanded = result.map_err(|(at, what)| Finding {
                    path: path(&start, &reached, at),
                    what,
                })?;
                transitions += expanded.transitions;
                resting += expanded.resting;
                for found in expanded.found {
                    if seen.insert(found.hash) {
                        next.push((reached.len(), found.world));
                        reached.push(found.reached);
                    }
                }
            }
        }
        depth += usize::from(!next.is_empty());
        level.append(&mut next);
    }
    Ok(Report {
        states: seen.len(),
        transitions,
        resting,
        depth,
        complete: level.is_empty(),
        took: began.elapsed(),
    })
}

struct Expanded<W> {
    found: Vec<Found<W>>,
    transitions: usize,
    resting: usize,
}

/// Every move in each of these states.
#[expect(clippy::type_complexity, reason = "what is wrong, and where")]
fn expand<W: World>(
    share: &[(usize, W)],
    seen: &HashSet<u64>,
) -> Result<Expanded<W>, ((usize, Option<usize>), String)> {
    let mut expanded = Expanded {
        found: Vec::new(),
        transitions: 0,
        resting: 0,
    };
    let mut new = HashSet::new();
    for &(from, ref world) in share {
        let moves = world.moves();
        if moves.is_empty() {
            expanded.resting += 1;
            world.rest().map_err(|what| ((from, None), what))?;
        }
        expanded.transitions += moves.len();
        for (by, step) in moves.iter().enumerate() {
            let mut world = world.clone();
            let made = catch_unwind(AssertUnwindSafe(|| world.make(step)));
            made.unwrap_or_else(|_| Err("it panicked".into()))
                .map_err(|what| ((from, Some(by)), what))?;
            let hash = hash_of(&world);
            if !seen.contains(&hash) && new.insert(hash) {
                let reached = Reached { from, by };
                expanded.found.push(Found {
                    hash,
                    reached,
                    world,
                });
            }
        }
    }
    Ok(expanded)
}

/// The moves from the start to a state, and perhaps one more.
fn path<W: World>(start: &W, reached: &[Reached], end: (usize, Option<usize>)) -> Vec<W::Move> {
    let (mut at, last) = end;
    let mut numbers = Vec::from_iter(last);
    while at != 0 {
        numbers.push(reached[at].by);
        at = reached[at].from;
    }
    let mut world = start.clone();
    let mut path = Vec::new();
    while let Some(number) = numbers.pop() {
        let step = world.moves().swap_remove(number);
        // The last one may be what panics.
        if !numbers.is_empty() {
            _ = world.make(&step);
        }
        path.push(step);
    }
    path
}
