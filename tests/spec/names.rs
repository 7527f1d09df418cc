//! Which tests there are, by reading the sources: `endings::not_an_end::n05_…` is a function with
//! `#[test]` in `tests/endings/not_an_end.rs`, `src::id::tests::…` one in `src/id/tests.rs`, and
//! `arena::game::tests::…` one in the module `tests` of `examples/arena/game.rs`.

use std::{collections::BTreeSet, fs, path::Path};

/// How the attribute begins that takes a test out of `cargo test`: it is not run, so it shows
/// nothing, and is no test here.
const IGNORED: &str = "#[ignore";

pub fn all() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    walk(&root.join("tests"), "", &mut found);
    walk(&root.join("src"), "src", &mut found);
    walk(&root.join("examples/arena"), "arena", &mut found);
    found
}

fn walk(folder: &Path, module: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let inner = match (module, stem) {
            (_, "main" | "lib" | "mod") => module.to_owned(),
            ("", _) => stem.to_owned(),
            _ => format!("{module}::{stem}"),
        };
        if path.is_dir() {
            walk(&path, &inner, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            read(&fs::read_to_string(&path).unwrap(), &inner, found);
        }
    }
}

fn read(source: &str, file: &str, found: &mut BTreeSet<String>) {
    let mut module = file.to_owned();
    let mut is_test = false;
    for line in source.lines() {
        if let Some(inner) = line.strip_prefix("mod ").and_then(|m| m.strip_suffix(" {")) {
            module = format!("{file}::{inner}");
        }
        let line = line.trim_start();
        if line == "#[test]" {
            is_test = true;
        } else if line.starts_with(IGNORED) {
            is_test = false;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            let name = rest.split('(').next().unwrap_or_default();
            if std::mem::take(&mut is_test) {
                found.insert(format!("{module}::{name}"));
            }
        }
    }
}

#[test]
fn names_are_read_as_cargo_has_them() {
    let tests = all();
    for name in [
        "spec::names::names_are_read_as_cargo_has_them",
        "dialects::limits_are_announced_as_they_are",
        "memory::memory_is_bounded_and_given_back",
        "src::wire::varint::tests::any_value_comes_back",
        "arena::json::tests::a_request_has_its_path_and_origin",
    ] {
        assert!(tests.contains(name), "{name}");
    }
    let source =
        format!("#[test]\n{IGNORED}]\nfn later() {{}}\nfn helper() {{}}\n#[test]\nfn now() {{}}");
    let mut found = BTreeSet::new();
    read(&source, "file", &mut found);
    assert_eq!(found, BTreeSet::from(["file::now".to_owned()]));
}
