//! The processes of a browser: found, started and ended, by their ids.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::table;

/// A browser's main process, with a fresh profile that goes when it does.
pub(crate) struct Process {
    child: Child,
    pub(crate) profile: PathBuf,
}

impl Process {
    pub(crate) fn start(
        program: &Path,
        name: &str,
        preferences: Option<&str>,
        args: impl FnOnce(&Path) -> Vec<String>,
    ) -> anyhow::Result<Self> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let profile = table::installed().join(format!("{name}-{}-{count}", std::process::id()));
        fs::create_dir_all(&profile)?;
        if let Some(preferences) = preferences {
            fs::write(profile.join("user.js"), preferences)?;
        }
        let child = Command::new(program)
            .args(args(&profile))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| program.display().to_string())?;
        Ok(Self { child, profile })
    }

    /// What is in a file of the profile, as soon as it is there and `read` makes sense of it.
    pub(crate) fn wait_for<T>(
        &mut self,
        file: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            let text = fs::read_to_string(self.profile.join(file)).ok();
            if let Some(value) = text.as_deref().and_then(&read) {
                return Ok(value);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the browser ended by itself: {status}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("no {file} in the profile")
    }

    /// The processes below the main one whose command line is of this kind.
    pub(crate) fn below(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Pid> {
        let mut wanted = descendants(self.child.id());
        wanted.retain(|&pid| is_wanted(&command_line(pid)));
        wanted.into_iter().filter_map(pid_of).collect()
    }

    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = pid_of(self.child.id()).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let below = descendants(self.child.id());
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        for pid in below.into_iter().filter_map(pid_of) {
            let _ended = kill_process(pid, Signal::KILL);
        }
        for _ in 0..50 {
            if fs::remove_dir_all(&self.profile).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn kill(pid: Pid) {
    let _ended = kill_process(pid, Signal::KILL);
}

fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line)
        .replace('\0', " ")
        .trim_end()
        .to_owned()
}

/// All processes below this one.
fn descendants(of: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // The name is in parentheses and may hold anything; state and parent follow.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let parent = after.split_whitespace().nth(1);
        if let Some(parent) = parent.and_then(|parent| parent.parse::<u32>().ok()) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![of];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            parents
                .iter()
                .filter(|&&(_, of)| of == parent)
                .map(|&(pid, _)| pid),
        );
        next += 1;
    }
    found.remove(0);
    found
}

/// The first of these programs that is in the path.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    names.iter().find_map(|name| {
        std::env::split_paths(&path)
            .map(|dir| dir.join(name))
            .find(|file| file.is_file())
    })
}

/// Installs a package of the system, if that is ours to do.
pub(crate) fn install(package: &str) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("{package} is not installed, and only root can install it");
    }
    eprintln!("interop: installing {package}");
    for args in [
        &["update"][..],
        &["install", "-y", "--no-install-recommends", package][..],
    ] {
        let status = Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .context("apt-get")?;
        if !status.success() {
            bail!("apt-get {}: {status}", args.join(" "));
        }
    }
    Ok(())
}
