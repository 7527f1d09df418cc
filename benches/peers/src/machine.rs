//! On what it was measured, and of what.

use std::{fs, process::Command};

/// Of today, in UTC.
pub fn date() -> String {
    first("date", &["-u", "+%Y-%m-%d"])
}

/// The commit, and whether the library differs from it.
pub fn build() -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src");
    let commit = first("git", &["-C", folder, "rev-parse", "--short", "HEAD"]);
    let changes = ["-C", folder, "diff", "--name-only", "HEAD", "--", library];
    match first("git", &changes).as_str() {
        "" => commit,
        _ => format!("{commit} with changes"),
    }
}

/// Processor, compiler, and the versions of all that is measured.
pub fn machine() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("a processor", |name| {
            name.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{processor}, {cores} cores; {}; {}; {}; over UDP {}",
        first("rustc", &["--version"]),
        first("valgrind", &["--version"]),
        versions(include_str!("../Cargo.lock"), HERE),
        versions(include_str!("../../loopback/Cargo.lock"), OVER_UDP),
    )
}

const HERE: &[&str] = &[
    "quinn-proto",
    "shiguredo_http3",
    "web-transport-proto",
    "wtransport-proto",
    "bytes",
];

const OVER_UDP: &[&str] = &[
    "quinn",
    "quinn-proto",
    "wtransport",
    "web-transport-quinn",
    "h3",
    "h3-quinn",
    "h3-webtransport",
    "tokio",
];

/// The first line that a program prints.
fn first(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let Some(text) = text else {
        return format!("no {command}");
    };
    text.lines().next().unwrap_or_default().to_owned()
}

/// As a lock file has them.
fn versions(lock: &str, names: &[&str]) -> String {
    let mut found = Vec::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        let name = line
            .strip_prefix("name = ")
            .map(|name| name.trim_matches('"'));
        if let Some(name) = name.filter(|name| names.contains(name)) {
            let version = lines.next().unwrap_or_default();
            let version = version.trim_start_matches("version = ").trim_matches('"');
            found.push(format!("{name} {version}"));
        }
    }
    found.join(", ")
}
