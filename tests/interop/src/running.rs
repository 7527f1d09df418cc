//! What runs because of us, and the directory of this run: both end when we do.
//!
//! Each process is the first of a group of its own, known here until it is waited for. A signal that
//! ends us ends them all first. What a run could not end itself (it was killed) goes when the next starts.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, Signal, kill_process, kill_process_group},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use tempfile::TempDir;

/// Short: Chromium puts a socket in here, whose path may have 107 bytes.
const PREFIX: &str = "wt-interop-run-";

static ALL: Mutex<All> = Mutex::new(All {
    processes: Vec::new(),
    directory: None,
    count: 0,
});

struct All {
    /// Not waited for yet, so that their ids are theirs.
    processes: Vec<Pid>,
    /// With the lock that says that its run is alive.
    directory: Option<(TempDir, File)>,
    count: u32,
}

fn all() -> MutexGuard<'static, All> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl All {
    fn end(&mut self) {
        self.processes.drain(..).for_each(kill_with_all_below);
        if let Some((directory, _lock)) = self.directory.take() {
            remove(directory.path());
        }
    }
}

/// This run. Whatever it left running ends with it.
pub(crate) struct Run(());

impl Run {
    /// Removes what dead runs left, and listens for signals from now on.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        let mut ends = vec![SIGINT, SIGTERM];
        if !ignores_hangup() {
            ends.push(SIGHUP);
        }
        let mut signals = Signals::new(ends).context("signals")?;
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                if let Some(signal) = signals.forever().next() {
                    // Held until the end: nothing is started any more, nor are results written.
                    let mut all = all();
                    all.end();
                    eprintln!("interop: ended by signal {signal}");
                    std::process::exit(128 + signal);
                }
            })?;
        remove_leftovers(&std::env::temp_dir());
        Ok(Self(()))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        all().end();
    }
}

/// No signal ends us while this is held.
#[must_use]
pub(crate) fn uninterrupted() -> impl Sized {
    all()
}

/// A directory of this name and a number, which goes with this run if nobody removes it earlier.
pub(crate) fn directory(name: &str) -> anyhow::Result<PathBuf> {
    let mut all = all();
    if all.directory.is_none() {
        all.directory = Some(locked(&std::env::temp_dir())?);
    }
    let (run, _lock) = all.directory.as_ref().context("no directory")?;
    let directory = run.path().join(format!("{name}-{}", all.count));
    all.count += 1;
    fs::create_dir(&directory)?;
    Ok(directory)
}

/// Removes a directory, also one that something which ends just now still writes to.
pub(crate) fn remove(directory: &Path) {
    for _ in 0..50 {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {}
            _ => break,
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A process of ours. It and all below it end when this is dropped.
pub(crate) struct Running {
    child: Child,
    pid: Pid,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let mut all = all();
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("{:?} cannot be run", command.get_program()))?;
        let pid = Pid::from_child(&child);
        all.processes.push(pid);
        Ok(Self { child, pid })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it ended by itself, and how.
    pub(crate) fn status(&mut self) -> anyhow::Result<Option<std::process::ExitStatus>> {
        let mut all = all();
        let status = self.child.try_wait()?;
        if status.is_some() {
            all.processes.retain(|&pid| pid != self.pid);
        }
        Ok(status)
    }

    pub(crate) fn wait(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(self.pid, signal)?)
    }

    /// Ends it, and all below it.
    pub(crate) fn end(&mut self) {
        let mut all = all();
        if !all.processes.contains(&self.pid) {
            return;
        }
        kill_with_all_below(self.pid);
        let _ended = self.child.wait();
        all.processes.retain(|&pid| pid != self.pid);
    }

    /// All processes below it.
    pub(crate) fn below(&self) -> Vec<Pid> {
        descendants(self.pid)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Those below that made a group of their own, and those of its group that are below it no longer.
fn kill_with_all_below(pid: Pid) {
    let below = descendants(pid);
    let _gone = kill_process_group(pid, Signal::KILL);
    for pid in below {
        let _gone = kill_process(pid, Signal::KILL);
    }
}

/// As under `nohup`.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0)
}

/// A fresh directory, locked before anybody can take it for that of a dead run.
fn locked(parent: &Path) -> anyhow::Result<(TempDir, File)> {
    loop {
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = match File::open(directory.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            lock => lock?,
        };
        flock(&lock, FlockOperation::LockExclusive)?;
        // Another run that looked in between has removed it before it let the lock go.
        if directory.path().exists() {
            return Ok((directory, lock));
        }
    }
}

/// Removes the directories of runs that are not alive, and ends what still uses them.
fn remove_leftovers(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let directory = entry.path();
        let Ok(lock) = File::open(&directory) else {
            continue;
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            eprintln!("interop: removing {}, of a dead run", directory.display());
            let inside = format!("{}/", directory.display());
            for (pid, _) in processes() {
                if command_line(pid).contains(&inside) {
                    let _gone = kill_process(pid, Signal::KILL);
                }
            }
            remove(&directory);
        }
    }
}

pub(crate) fn command_line(pid: Pid) -> String {
    let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    String::from_utf8_lossy(&line)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

/// All processes, each with its parent's id.
fn processes() -> Vec<(Pid, i32)> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            continue;
        };
        // The name is in parentheses and may hold anything; state and parent follow.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let parent = after.split_whitespace().nth(1);
        if let Some(parent) = parent.and_then(|parent| parent.parse().ok()) {
            processes.push((pid, parent));
        }
    }
    processes
}

fn descendants(of: Pid) -> Vec<Pid> {
    let processes = processes();
    let mut found = vec![of];
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|pid| pid.as_raw_nonzero().get()) {
        let below = processes.iter().filter(|&&(_, of)| of == parent);
        found.extend(below.map(|&(pid, _)| pid));
        next += 1;
    }
    found.remove(0);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ends_with_those_below_it_and_those_that_lost_it() -> anyhow::Result<()> {
        // One sleeps below it, the other's parent is gone.
        let script = "(sleep 1234 & echo $! > lost) & wait; sleep 1234 & echo $! > below; wait";
        let directory = tempfile::tempdir()?;
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(&directory);
        let mut running = Running::start(&mut command)?;
        let mut read = |file| loop {
            let text = fs::read_to_string(directory.path().join(file)).unwrap_or_default();
            if let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) {
                return anyhow::Ok(pid);
            }
            anyhow::ensure!(running.status()?.is_none(), "it ended early");
            thread::sleep(Duration::from_millis(5));
        };
        let pids = [read("lost")?, read("below")?];
        let sleeps = |pid: &Pid| command_line(*pid).starts_with("sleep");
        // Until then they are still the shell that has just forked.
        while !pids.iter().all(sleeps) {
            anyhow::ensure!(running.status()?.is_none(), "it ended early");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!running.below().contains(&pids[0]));
        drop(running);
        // They are killed, but not ours to wait for.
        for _ in 0..1000 {
            if !pids.iter().any(sleeps) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        pids.into_iter().for_each(kill_with_all_below);
        anyhow::bail!("one of them lives on")
    }

    #[test]
    fn only_the_directories_of_dead_runs_are_removed() -> anyhow::Result<()> {
        let parent = tempfile::tempdir()?;
        let (alive, lock) = locked(parent.path())?;
        let dead = parent.path().join(format!("{PREFIX}dead"));
        let others = ["other", &format!("{PREFIX}file")].map(|name| parent.path().join(name));
        let is_there = |others: &[PathBuf; 2]| others.iter().all(|path| path.exists());
        fs::create_dir_all(dead.join("profile"))?;
        fs::create_dir(&others[0])?;
        fs::write(&others[1], "of somebody else")?;
        remove_leftovers(parent.path());
        assert!(alive.path().exists() && is_there(&others) && !dead.exists());
        drop(lock);
        remove_leftovers(parent.path());
        assert!(!alive.path().exists() && is_there(&others));
        Ok(())
    }
}
