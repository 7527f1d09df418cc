//! aioquic in a process of its own: installed into a virtual environment under `target/`, told what
//! it is to do, and read line by line.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use webtransport_session::Side;

use super::{
    super::guest::{Deed, Guest, Invitation, PATIENCE},
    NAME,
};
use crate::{options::Options, running::Running, table as results};

/// Gives the Python that has aioquic, the newest unless nothing is to be installed.
pub(crate) fn install(options: &Options) -> anyhow::Result<PathBuf> {
    let venv = results::installed().join(NAME);
    let python = venv.join("bin").join("python");
    if options.keep {
        let is_there = version(&python).is_ok();
        ensure!(is_there, "{NAME} is not installed, and --keep was given");
        return Ok(python);
    }
    if !python.exists() {
        quietly(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--upgrade", NAME];
    quietly(Command::new(&python).args(pip))?;
    Ok(python)
}

/// The error has the last words of the command, if it had any, and how it ended.
fn quietly(command: &mut Command) -> anyhow::Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut running = Running::start(command)?;
    let mut words = Vec::new();
    if let Some(mut stderr) = running.child().stderr.take() {
        stderr.read_to_end(&mut words)?;
    }
    let status = running.wait()?;
    if !status.success() {
        let words = String::from_utf8_lossy(&words);
        let last = words.lines().rfind(|line| !line.trim().is_empty());
        let said = last.map(|last| format!(": {last}")).unwrap_or_default();
        bail!("{} ended with {status}{said}", written(command));
    }
    Ok(())
}

/// As one would type it.
fn written(command: &Command) -> String {
    let mut words = vec![command.get_program()];
    words.extend(command.get_args());
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

pub(crate) fn version(python: &Path) -> anyhow::Result<String> {
    let script = "from importlib.metadata import version; print(version('aioquic'))";
    let output = Command::new(python).args(["-c", script]).output()?;
    ensure!(output.status.success(), "{NAME} cannot be imported");
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

pub(crate) fn start(python: &Path, invitation: Invitation) -> anyhow::Result<Guest> {
    let Deed::Script(mut plan) = invitation.deed else {
        bail!("aioquic takes scripts");
    };
    let (certificate, key) = invitation.identity.pem();
    let is_client = invitation.side == Side::Client;
    plan["role"] = if is_client { "client" } else { "server" }.into();
    plan["idle"] = invitation.idle.as_secs_f64().into();
    plan["patience"] = PATIENCE.as_secs_f64().into();
    plan["port"] = invitation.server.map(|server| server.port()).into();
    plan["certificate"] = certificate.into();
    plan["key"] = key.into();
    let mut command = Command::new(python);
    command
        .arg(results::package().join("peers/aioquic/peer.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut running = Running::start(&mut command)?;
    let child = running.child();
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(plan.to_string().as_bytes())?;
    drop(input);
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let (tell, told) = mpsc::channel();
    let (listen, listens) = mpsc::channel();
    thread::Builder::new().name(NAME.into()).spawn(move || {
        let mut all = Vec::new();
        for line in lines.map_while(Result::ok) {
            match serde_json::from_str::<Value>(&line) {
                Ok(line) if line["port"].is_u64() => {
                    let _gone = listen.send(line["port"].as_u64());
                }
                Ok(line) => all.push(line["tell"].as_str().unwrap_or("?").to_owned()),
                Err(_) => all.push(line),
            }
        }
        let _gone = tell.send(all);
    })?;
    watch(running)?;
    let mut address = None;
    if !is_client {
        let port = listens.recv_timeout(PATIENCE)?.unwrap_or_default();
        let port = u16::try_from(port)?;
        address = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    Ok(Guest::of(address, told))
}

/// Ends a process that does not end.
fn watch(mut running: Running) -> anyhow::Result<()> {
    thread::Builder::new().spawn(move || {
        let step = Duration::from_millis(100);
        let mut left = PATIENCE + Duration::from_secs(2);
        while !left.is_zero() && matches!(running.status(), Ok(None)) {
            thread::sleep(step);
            left = left.saturating_sub(step);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_named_with_its_status_also_if_it_says_nothing() {
        let told = |script| {
            let result = quietly(Command::new("sh").args(["-c", script]));
            result.err().map(|error| error.to_string())
        };
        assert_eq!(told("true"), None);
        let silent = told("exit 3").unwrap_or_default();
        assert_eq!(silent, "sh -c exit 3 ended with exit status: 3");
        let loud = told("echo first >&2; echo why >&2; echo >&2; exit 1").unwrap_or_default();
        assert!(loud.ends_with("ended with exit status: 1: why"), "{loud}");
    }
}
