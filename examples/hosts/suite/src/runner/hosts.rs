//! The hosts of this workspace, and how their programs come to be.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Failure;

#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    /// The crate whose version the table names.
    stack: Option<&'static str>,
    pub(crate) is_client: bool,
    pub(crate) is_server: bool,
    /// A program that is not of this workspace.
    path: Option<PathBuf>,
}

impl Host {
    pub(crate) fn program(name: &str, path: &str) -> Self {
        Self {
            name: name.into(),
            stack: None,
            is_client: true,
            is_server: true,
            path: Some(path.into()),
        }
    }

    /// The stack and its version, as Cargo.lock has it.
    pub(crate) fn version(&self) -> String {
        let Some(stack) = self.stack else {
            return String::new();
        };
        let lock = fs::read_to_string(workspace().join("Cargo.lock")).unwrap_or_default();
        let mut lines = lock.lines();
        let name = format!("name = \"{stack}\"");
        let found = lines.find(|line| *line == name).and_then(|_| lines.next());
        let version = found.and_then(|line| line.strip_prefix("version = "));
        format!("{stack} {}", version.unwrap_or("?").trim_matches('"'))
    }
}

/// Those of the workspace: one line for each, and the package `host-…`.
pub(crate) fn all() -> impl Iterator<Item = Host> {
    [
        ("quinn-proto", "quinn-proto", true),
        ("quinn", "quinn", true),
        ("noq-proto", "noq-proto", true),
        ("quiche", "quiche", true),
        ("s2n-quic", "s2n-quic", true),
        // A layer below a server's own HTTP/3.
        ("h3", "h3", false),
    ]
    .into_iter()
    .filter(|(name, ..)| workspace().join(name).join("Cargo.toml").exists())
    .map(|(name, stack, is_client)| Host {
        name: name.into(),
        stack: Some(stack),
        is_client,
        is_server: true,
        path: None,
    })
}

pub(crate) fn select(hosts: &[Host], names: Option<Vec<String>>) -> Result<Vec<Host>, Failure> {
    let Some(names) = names else {
        return Ok(hosts.to_vec());
    };
    let find = |name: &String| {
        let found = hosts.iter().find(|host| host.name == *name).cloned();
        found.ok_or(Failure(format!("no host is called {name}: see --list")))
    };
    names.iter().map(find).collect()
}

/// Builds the programs that are asked for; by name, where each is, or why there is none.
pub(crate) fn build<'a>(
    hosts: impl Iterator<Item = &'a Host>,
) -> BTreeMap<String, Result<PathBuf, String>> {
    let mut programs = BTreeMap::new();
    for host in hosts {
        if programs.contains_key(&host.name) {
            continue;
        }
        let program = match &host.path {
            Some(path) => Ok(path.clone()),
            None => build_one(host),
        };
        if let Err(error) = &program {
            eprintln!("!! NOT PLAYED: {}: {error}", host.name);
        }
        programs.insert(host.name.clone(), program);
    }
    programs
}

fn build_one(host: &Host) -> Result<PathBuf, String> {
    let package = format!("host-{}", host.name);
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    // Where this very program is, there they go too.
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let directory = own.parent().ok_or("the runner is nowhere")?;
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", &package]);
    build.current_dir(workspace());
    if directory.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!(
            "cargo build --package {package} failed; its README says what it needs"
        ));
    }
    Ok(directory.join(package))
}

fn workspace() -> &'static Path {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR"));
    suite.parent().unwrap_or(suite)
}
