//! Every scenario between every client and every server that is asked for.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{Mutex, mpsc},
    thread,
};

use host_suite::Limit;
use webtransport_session::Side;

use crate::{
    Failure,
    hosts::{self, Host},
    scenarios::{self, Scenario},
    stage::{Cast, Setup, Stage},
};

#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) clients: Vec<Host>,
    pub(crate) servers: Vec<Host>,
    pub(crate) scenarios: Vec<&'static Scenario>,
}

/// A scenario was played.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) client: String,
    pub(crate) server: String,
    pub(crate) scenario: &'static Scenario,
    pub(crate) actor: Side,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// As far as the stacks let it: these explain what was told instead, or that it was not played.
    Limited(Vec<(Side, Limit)>),
    Failed(String),
}

#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) played: Vec<Played>,
    /// Hosts that could not be built, and why.
    pub(crate) missing: Vec<(String, String)>,
    /// Limits that a host declares and that nothing has shown: its name, side and the scenario.
    pub(crate) idle_limits: Vec<(String, Side, Limit)>,
}

impl Results {
    pub(crate) fn is_good(&self) -> bool {
        let failed = |played: &Played| matches!(played.outcome, Outcome::Failed(_));
        self.missing.is_empty() && self.idle_limits.is_empty() && !self.played.iter().any(failed)
    }
}

pub(crate) fn select(ids: Option<Vec<String>>) -> Result<Vec<&'static Scenario>, Failure> {
    let Some(ids) = ids else {
        return Ok(scenarios::all().collect());
    };
    let unknown = ids
        .iter()
        .find(|id| !scenarios::all().any(|scenario| scenario.id == id.as_str()));
    if let Some(id) = unknown {
        return Err(Failure(format!("no scenario is called {id}: see --list")));
    }
    let is_asked_for = |scenario: &&Scenario| ids.iter().any(|id| id == scenario.id);
    Ok(scenarios::all().filter(is_asked_for).collect())
}

/// One cell of the work.
#[derive(Debug)]
struct Job {
    client: String,
    server: String,
    cast: Cast,
    scenario: &'static Scenario,
    actor: Side,
}

pub(crate) fn play(selection: &Selection, at_once: usize) -> Result<Results, Failure> {
    let directory = tempfile::tempdir().map_err(words)?;
    let (certificate, key) = identity(directory.path().to_owned())?;
    let programs = hosts::build(selection.clients.iter().chain(&selection.servers));
    let program = |host: &Host| programs.get(&host.name)?.clone().ok();

    let mut jobs = Vec::new();
    for client in &selection.clients {
        for server in &selection.servers {
            let (Some(of_client), Some(of_server)) = (program(client), program(server)) else {
                continue;
            };
            let cast = Cast {
                client: of_client,
                server: of_server,
                certificate: certificate.clone(),
                key: key.clone(),
            };
            for scenario in &selection.scenarios {
                jobs.extend(scenario.actors.iter().map(|actor| Job {
                    client: client.name.clone(),
                    server: server.name.clone(),
                    cast: cast.clone(),
                    scenario,
                    actor: *actor,
                }));
            }
        }
    }
    jobs.reverse();
    let all = jobs.len();
    if all == 0 && programs.values().all(Result::is_ok) {
        return Err(Failure(
            "nothing to play: h3 is a server only, for one --clients and --servers".into(),
        ));
    }

    let jobs = Mutex::new(jobs);
    let (sender, receiver) = mpsc::channel();
    let mut declared = Vec::new();
    let mut played = Vec::new();
    thread::scope(|scope| {
        for _ in 0..at_once {
            let (jobs, sender) = (&jobs, sender.clone());
            scope.spawn(move || {
                let next = || jobs.lock().ok()?.pop();
                while let Some(job) = next() {
                    let (outcome, limits) = play_one(&job);
                    let played = Played {
                        client: job.client,
                        server: job.server,
                        scenario: job.scenario,
                        actor: job.actor,
                        outcome,
                    };
                    if sender.send((played, limits)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (one, limits) in receiver {
            if let Outcome::Failed(error) = &one.outcome {
                eprintln!(
                    "FAILED {} {} to {}, the {:?} {}: {error}",
                    one.scenario.id, one.client, one.server, one.actor, one.scenario.title
                );
            }
            for (side, limit) in limits {
                let name = match side {
                    Side::Client => &one.client,
                    Side::Server => &one.server,
                };
                declared.push((name.clone(), side, limit));
            }
            played.push(one);
            if played.len() % 200 == 0 {
                eprintln!("{} of {all} played", played.len());
            }
        }
    });
    let missing = programs
        .into_iter()
        .filter_map(|(name, program)| Some((name, program.err()?)))
        .collect();
    let idle_limits = idle(declared, &played);
    Ok(Results {
        played,
        missing,
        idle_limits,
    })
}

/// Declared for a scenario that was played, and never seen.
fn idle(declared: Vec<(String, Side, Limit)>, played: &[Played]) -> Vec<(String, Side, Limit)> {
    let mut seen = BTreeSet::new();
    let mut result = Vec::new();
    for (name, side, limit) in declared {
        if !seen.insert((
            name.clone(),
            side,
            limit.scenario.clone(),
            limit.told.clone(),
        )) {
            continue;
        }
        let is_shown = played.iter().any(|one| {
            let of = match side {
                Side::Client => &one.client,
                Side::Server => &one.server,
            };
            let shown = match &one.outcome {
                Outcome::Limited(limits) => limits.contains(&(side, limit.clone())),
                Outcome::Passed | Outcome::Failed(_) => false,
            };
            *of == name && shown
        });
        if !is_shown {
            result.push((name, side, limit));
        }
    }
    result
}

/// The outcome, and the limits that the programs declare for this scenario.
fn play_one(job: &Job) -> (Outcome, Vec<(Side, Limit)>) {
    let mut setup = Setup::default();
    (job.scenario.setup)(&mut setup, job.actor);
    let mut stage = match Stage::new(job.scenario.id, job.cast.clone(), setup) {
        Ok(stage) => stage,
        Err(failure) => return (Outcome::Failed(failure.0), Vec::new()),
    };
    let mut result = (job.scenario.play)(&mut stage, job.actor);
    let limits = stage.limits();
    let cannot_act = limits
        .iter()
        .find(|(side, limit)| *side == job.actor && limit.told == Limit::IMPOSSIBLE);
    // With some peers it may be had after all; with none, nothing at all has happened.
    let is_excused = cannot_act.is_some() && result.is_err() && stage.is_quiet(job.actor.other());
    if is_excused {
        result = Ok(());
    }
    let ended = result
        .and_then(|()| stage.knows_its_limits())
        .and_then(|()| stage.end());
    let outcome = match (ended, cannot_act) {
        (Err(failure), _) => {
            eprint!("{}", stage.story());
            Outcome::Failed(failure.0)
        }
        (Ok(_), Some(limit)) if is_excused => Outcome::Limited(vec![limit.clone()]),
        (Ok(excused), _) if excused.is_empty() => Outcome::Passed,
        (Ok(excused), _) => Outcome::Limited(excused),
    };
    (outcome, limits)
}

/// A certificate for localhost, signed by itself, and its key.
fn identity(directory: PathBuf) -> Result<(PathBuf, PathBuf), Failure> {
    let made = rcgen::generate_simple_self_signed(["localhost".into()]).map_err(words)?;
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).map_err(words)?;
    fs::write(&key, made.signing_key.serialize_pem()).map_err(words)?;
    Ok((certificate, key))
}

fn words(error: impl ToString) -> Failure {
    Failure(error.to_string())
}
