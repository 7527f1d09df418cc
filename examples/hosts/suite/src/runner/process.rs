//! A program of the suite, as a process: orders go in, reports come out.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use host_suite::{
    Limit, Order, Verb,
    report::{Report, What},
};

use crate::Failure;

/// How long anything may take that is not a deadline of the scenario's own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    orders: Option<ChildStdin>,
    reports: Receiver<Report>,
    /// Where a server listens.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) limits: Vec<Limit>,
    /// Everything that happened, with the connection's number, in order.
    pub(crate) log: Vec<(usize, What)>,
    /// Whether somebody has waited for it and seen it.
    seen: Vec<bool>,
}

impl Process {
    /// Starts a program; what it writes to standard error is the runner's.
    pub(crate) fn start(
        name: String,
        program: &Path,
        arguments: &[String],
    ) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Failure(format!("{}: {error}", program.display())))?;
        let orders = child.stdin.take();
        let (sender, reports) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    let report = serde_json::from_str(&line).unwrap_or(Report::Misunderstood {
                        line,
                        error: "the runner does not understand it".into(),
                    });
                    if sender.send(report).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            name,
            child,
            orders,
            reports,
            address: None,
            limits: Vec::new(),
            log: Vec::new(),
            seen: Vec::new(),
        })
    }

    /// Waits until a server listens.
    pub(crate) fn listening(&mut self) -> Result<SocketAddr, Failure> {
        let until = Instant::now() + PATIENCE;
        while self.address.is_none() {
            self.take(until, "listens")?;
        }
        self.address.ok_or(Failure("does not listen".into()))
    }

    pub(crate) fn order(&mut self, peer: usize, verb: Verb) -> Result<(), Failure> {
        let failure = |error: &dyn ToString| Failure(format!("an order: {}", error.to_string()));
        let mut line =
            serde_json::to_string(&Order { peer, verb }).map_err(|error| failure(&error))?;
        line.push('\n');
        let orders = self.orders.as_mut().ok_or(Failure("has no input".into()))?;
        orders
            .write_all(line.as_bytes())
            .map_err(|error| failure(&error))
    }

    /// Waits for the first thing on this connection that nobody has waited for yet and that `found`
    /// knows. `what` names it for a failure.
    pub(crate) fn wait<T>(
        &mut self,
        peer: usize,
        what: &str,
        mut found: impl FnMut(&What) -> Option<T>,
    ) -> Result<T, Failure> {
        let until = Instant::now() + PATIENCE;
        let mut next = 0;
        loop {
            while let Some(((of, happened), seen)) = self.log.get(next).zip(self.seen.get_mut(next))
            {
                next += 1;
                if *of != peer || *seen {
                    continue;
                }
                if let Some(result) = found(happened) {
                    *seen = true;
                    return Ok(result);
                }
            }
            self.take(until, what)?;
        }
    }

    /// How often it has happened by now.
    pub(crate) fn count(&mut self, peer: usize, mut found: impl FnMut(&What) -> bool) -> usize {
        while self.take(Instant::now(), "").is_ok() {}
        let told = self.log.iter().filter(|(of, _)| *of == peer);
        told.filter(|(_, happened)| found(happened)).count()
    }

    /// Takes in one report.
    fn take(&mut self, until: Instant, what: &str) -> Result<(), Failure> {
        let wait = until.saturating_duration_since(Instant::now());
        match self.reports.recv_timeout(wait) {
            Ok(Report::Listening(address)) => self.address = Some(address),
            Ok(Report::Limits(limits)) => self.limits = limits,
            Ok(Report::Happened { peer, what }) => {
                self.log.push((peer, what));
                self.seen.push(false);
            }
            Ok(Report::Misunderstood { line, error }) => {
                return Err(Failure(format!("{}: {line:?}: {error}", self.name)));
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(Failure(format!("the {} never told: {what}", self.name)));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure(format!(
                    "the {} is gone, before: {what}",
                    self.name
                )));
            }
        }
        Ok(())
    }

    /// Ends it in order: its input ends, and it leaves.
    pub(crate) fn leave(&mut self) -> Result<(), Failure> {
        self.orders = None;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(2)),
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(Failure(format!("the {} left with {status}", self.name)));
                }
                Err(error) => return Err(Failure(error.to_string())),
            }
        }
        Err(Failure(format!("the {} does not leave", self.name)))
    }

    pub(crate) fn kill(&mut self) {
        let _gone_already = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
