//! Which room may know which, and which room alone knows a heavy dependency; read from the manifests.

use super::source::Source;
use super::{none, root, sources};

/// Rooms, and the rooms each may depend on. The others stand outside: they may see all, nothing sees them.
const ARROWS: [(&str, &[&str]); 8] = [
    ("types", &[]),
    ("storage", &["types"]),
    ("index", &["types"]),
    ("query", &["index", "storage", "types"]),
    ("kithdb", &["query", "index", "storage", "types"]),
    ("rag", &["kithdb", "types"]),
    ("server", &["rag", "kithdb", "types"]),
    ("python", &["server", "rag", "kithdb"]),
];

const OUTSIDE: [&str; 4] = ["benches", "fuzz", "models", "tests"];

/// What are workspaces of their own.
const APART: [&str; 2] = ["fuzz/Cargo.toml", "models/Cargo.toml"];

/// Heavy dependencies by the beginning of their names, and the one room of each.
const HEAVY: [(&str, &str); 28] = [
    ("rocksdb", "storage"),
    ("tantivy", "index"),
    ("hnsw_rs", "index"),
    ("simsimd", "index"),
    ("arrow", "kithdb"),
    ("parquet", "kithdb"),
    ("hdf5", "kithdb"),
    ("axum", "server"),
    ("tokio", "server"),
    ("tower", "server"),
    ("hyper", "server"),
    ("object_store", "server"),
    ("reqwest", "server"),
    ("utoipa", "server"),
    ("opentelemetry", "server"),
    ("tracing-opentelemetry", "server"),
    ("rmcp", "server"),
    ("candle", "rag"),
    ("tokenizers", "rag"),
    ("text-splitter", "rag"),
    ("tree-sitter", "rag"),
    ("hayro", "rag"),
    ("html5gum", "rag"),
    ("csv", "rag"),
    ("serde-saphyr", "rag"),
    ("pyo3", "python"),
    ("numpy", "python"),
    ("pythonize", "python"),
];

/// Each room's manifest: its folder and what it depends on, tests and builds included.
fn manifests() -> Vec<(String, Vec<String>)> {
    let all = sources(&["toml"]);
    let room = |source: &Source| {
        let folder = source.path.strip_suffix("/Cargo.toml")?;
        (!folder.contains('/')).then(|| (folder.to_owned(), dependencies(&source.text)))
    };
    all.iter().filter_map(room).collect()
}

fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_list = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            is_list = section.ends_with("dependencies");
            if let Some((_, name)) = section.split_once("dependencies.") {
                names.push(name.to_owned());
            }
        } else if is_list && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            names.extend((!name.is_empty()).then(|| name.to_owned()));
        }
    }
    names
}

#[test]
fn arrows_between_rooms_point_one_way() {
    let rooms: Vec<&str> = ARROWS.iter().map(|(room, _)| *room).chain(OUTSIDE).collect();
    let mut breaches = Vec::new();
    for (room, names) in manifests() {
        if OUTSIDE.contains(&&*room) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == room) else {
            breaches.push(format!("{room}/ is a room without arrows; say in ARROWS what it may know"));
            continue;
        };
        let known = names.iter().filter(|name| rooms.contains(&name.as_str()));
        let wrong = known.filter(|name| !allowed.contains(&name.as_str()));
        breaches.extend(wrong.map(|name| format!("{room}/Cargo.toml depends on `{name}`")));
    }
    none("Rooms may depend only on the rooms below them (ARCHITECTURE.md, the picture):", &breaches);
}

#[test]
fn every_heavy_dependency_lives_in_one_room() {
    let mut breaches = Vec::new();
    for (room, names) in manifests() {
        for name in names {
            let heavy = HEAVY.iter().find(|(heavy, _)| name.starts_with(heavy));
            if let Some((_, home)) = heavy.filter(|(_, home)| *home != room) {
                breaches
                    .push(format!("{room}/Cargo.toml depends on `{name}`, which belongs to {home}/ alone"));
            }
        }
    }
    none("A heavy dependency is wrapped by one room and named by no other:", &breaches);
}

#[test]
fn every_room_is_a_member_and_takes_versions_from_the_workspace() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let mut breaches = Vec::new();
    let is_member =
        |source: &&Source| source.path.ends_with("/Cargo.toml") && !APART.contains(&&*source.path);
    for source in sources(&["toml"]).iter().filter(is_member) {
        let folder = source.path.trim_end_matches("/Cargo.toml");
        if !workspace.contains(&format!("\"{folder}\"")) {
            breaches.push(format!("{folder} is no member of the workspace"));
        }
        if !source.text.contains("[lints]\nworkspace = true") {
            breaches.push(format!("{} takes no lints from the workspace", source.path));
        }
        let has_version = |line: &&str| line.contains("= \"") && line.contains(|c: char| c.is_ascii_digit());
        let listed = source
            .text
            .split("dependencies]")
            .skip(1)
            .flat_map(|part| part.lines().skip(1).take_while(|line| !line.starts_with('[')));
        breaches.extend(
            listed
                .filter(has_version)
                .map(|line| format!("{}: `{line}` has a version of its own", source.path)),
        );
    }
    none("Members share lints and versions:", &breaches);
}

#[test]
fn manifests_are_read_right() {
    let text = "[package]\nname = \"a\"\n[dependencies]\n# c\nb.workspace = true\nd = { path = \"e\" }\n\n\
                [dev-dependencies.f]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\ng = \"1\"\n[lints]\nh = 1\n";
    assert_eq!(dependencies(text), ["b", "d", "f", "g"]);
}
