//! The processes of a browser: found, started and ended, by their ids.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::running::{self, Running};

/// A browser's main process, with a fresh profile that goes when it does.
pub(crate) struct Process {
    running: Running,
    pub(crate) profile: PathBuf,
}

impl Process {
    pub(crate) fn start(
        program: &Path,
        name: &str,
        preferences: Option<&str>,
        args: impl FnOnce(&Path) -> Vec<String>,
    ) -> anyhow::Result<Self> {
        let profile = running::directory(name)?;
        if let Some(preferences) = preferences {
            fs::write(profile.join("user.js"), preferences)?;
        }
        // Chromium leaves a directory of its own at each start.
        let temporary = profile.join("tmp");
        fs::create_dir(&temporary)?;
        let mut command = Command::new(program);
        command
            .args(args(&profile))
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = Running::start(&mut command)?;
        Ok(Self { running, profile })
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
            if let Some(status) = self.running.status()? {
                bail!("the browser ended by itself: {status}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("no {file} in the profile")
    }

    /// The processes below the main one whose command line is of this kind.
    pub(crate) fn below(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Pid> {
        let mut wanted = self.running.below();
        wanted.retain(|&pid| is_wanted(&running::command_line(pid)));
        wanted
    }

    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        self.running.signal(Signal::TERM)
    }

    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        self.running.signal(Signal::KILL)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.running.end();
        running::remove(&self.profile);
    }
}

pub(crate) fn kill(pid: Pid) {
    let _ended = kill_process(pid, Signal::KILL);
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
