//! Which tests there are, by reading the sources: `endings::not_an_end::n05_…` is a function with
//! `#[test]` in `tests/endings/not_an_end.rs`, `src::id::tests::…` one in `src/id/tests.rs`, and
//! `arena::game::tests::…` one in the module `tests` of `examples/arena/game.rs`.

use std::{collections::BTreeSet, fs, path::Path};

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
        match attribute(line) {
            Some("test") => is_test = true,
            // `cargo test` does not run it, so it shows nothing: no test here.
            Some("ignore") => is_test = false,
            _ => {}
        }
        if let Some(rest) = line.strip_prefix("fn ") {
            let name = rest.split('(').next().unwrap_or_default();
            if std::mem::take(&mut is_test) {
                found.insert(format!("{module}::{name}"));
            }
        }
    }
}

/// The name of the attribute that the line is, without what it is given.
fn attribute(line: &str) -> Option<&str> {
    let inner = line.strip_prefix("#[")?;
    inner
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
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
    let mut found = BTreeSet::new();
    for out in ["ignore", "ignore = \"slow\""] {
        let source =
            format!("#[test]\n#[{out}]\nfn later() {{}}\nfn helper() {{}}\n#[test]\nfn now() {{}}");
        read(&source, "file", &mut found);
    }
    assert_eq!(found, BTreeSet::from(["file::now".to_owned()]));
}
