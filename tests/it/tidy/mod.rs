//! The rules of the house, checked from the manifests and sources of the workspace. A rule that is not checked is a
//! wish.
//!
//! Each check collects everything that breaks its rule, so that one run shows all there is to mend.

mod arrows;
mod formats;
mod size;
mod source;
mod words;

use std::path::{Path, PathBuf};

use source::Source;

/// Folders that are not the project's text.
const FOREIGN: [&str; 4] = ["target", "data", "node_modules", "fixtures"];

const KINDS: [&str; 6] = ["rs", "toml", "md", "json", "sh", "py"];

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the workspace is above this package")
}

/// Every text of the repository whose name ends in one of these.
fn sources(kinds: &[&str]) -> Vec<Source> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with('.') || FOREIGN.contains(&name) {
                continue;
            }
            let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if kinds.contains(&kind) {
                let text = std::fs::read_to_string(&path).expect("a text in UTF-8");
                let path = path.strip_prefix(&root).expect("below the root");
                found.push(Source::new(path.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no source was found under {}", root.display());
    found
}

/// Fails with all of these, if there are any.
fn none(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}\n  {}\n", breaches.join("\n  "));
}
