//! Where the embedding model is looked for.
//!
//! In this order: a path that the user names; the environment variable `KITHDB_MODEL`; the folder
//! `kithdb/models/all-MiniLM-L6-v2` under `$XDG_DATA_HOME`, or under `~/.local/share` without that variable.
//!
//! Invariant: a place that was named and holds no model is an error, never a silent fall-back to the next one. Only
//! the default place may be empty: then there is no model, and only keyword search works.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use types::{Error, Result};

/// The environment variable that names a model directory.
pub const MODEL_VARIABLE: &str = "KITHDB_MODEL";

/// The directory of the model to use, or `None` when none was named and the default one does not exist.
///
/// # Errors
/// `InvalidArgument` on `model` when the directory that was named has no `config.json`.
pub fn find(named: Option<&Path>) -> Result<Option<PathBuf>> {
    find_by(named, |variable| env::var_os(variable))
}

/// Where the default model lies once it is set up; `None` when the user has no home directory.
pub fn default_dir() -> Option<PathBuf> {
    default_dir_by(|variable| env::var_os(variable))
}

fn find_by(named: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<PathBuf>> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let (path, origin) = match (named, set(MODEL_VARIABLE)) {
        (Some(path), _) => (path.to_owned(), "named"),
        (None, Some(path)) => (path, "named by KITHDB_MODEL"),
        (None, None) => return Ok(default_dir_by(variable).filter(|path| is_model(path))),
    };
    if is_model(&path) {
        return Ok(Some(path));
    }
    let message = format!("`{}`, {origin}, is not a model directory: it has no config.json", path.display());
    Err(Error::invalid("model", message))
}

fn default_dir_by(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let shared = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))?;
    Some(shared.join("kithdb/models/all-MiniLM-L6-v2"))
}

fn is_model(path: &Path) -> bool {
    path.join("config.json").is_file()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn model_at(path: &Path) -> PathBuf {
        fs::create_dir_all(path).expect("a folder");
        fs::write(path.join("config.json"), "{}").expect("a file");
        path.to_owned()
    }

    #[test]
    fn the_nearest_naming_wins_and_only_the_default_may_be_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home");
        let variables = |model: Option<PathBuf>, home: Option<PathBuf>| {
            move |name: &str| match name {
                MODEL_VARIABLE => model.clone().map(Into::into),
                "XDG_DATA_HOME" => Some(OsString::new()),
                "HOME" => home.clone().map(Into::into),
                _ => None,
            }
        };
        assert_eq!(find_by(None, variables(None, Some(home.clone()))).expect("none yet"), None);
        assert_eq!(find_by(None, variables(None, None)).expect("no home"), None);
        let default = model_at(&home.join(".local/share/kithdb/models/all-MiniLM-L6-v2"));
        assert_eq!(find_by(None, variables(None, Some(home.clone()))).expect("default"), Some(default));
        let by_variable = model_at(&folder.path().join("variable"));
        let set = variables(Some(by_variable.clone()), Some(home.clone()));
        assert_eq!(find_by(None, &set).expect("variable"), Some(by_variable));
        let named = model_at(&folder.path().join("named"));
        assert_eq!(find_by(Some(&named), &set).expect("named"), Some(named));
        let error = find_by(Some(&folder.path().join("absent")), &set).expect_err("absent");
        assert_eq!(error.field(), Some("model"));
        let error =
            find_by(None, variables(Some(home.join("absent")), Some(home.clone()))).expect_err("absent");
        assert!(error.to_string().contains(MODEL_VARIABLE));
    }

    #[test]
    fn the_default_place_follows_xdg() {
        let place = default_dir_by(|name| (name == "XDG_DATA_HOME").then(|| "/data".into()));
        assert_eq!(place, Some(PathBuf::from("/data/kithdb/models/all-MiniLM-L6-v2")));
    }
}
