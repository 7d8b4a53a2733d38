//! Snapshots as they are told, and where one is to be recovered from.

use std::path::{Path, PathBuf};

use kithdb::{Error, Result, Snapshot, datetime};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::shape::Ignored;

/// A snapshot.
#[derive(Debug, Serialize)]
pub(crate) struct Described {
    name: String,
    creation_time: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

/// `PUT collections/{name}/snapshots/recover`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recover {
    location: String,
    pub(crate) checksum: Option<String>,
    #[serde(rename = "priority")]
    _priority: Ignored,
    #[serde(rename = "api_key")]
    _api_key: Ignored,
    #[serde(rename = "wait")]
    _wait: Ignored,
}

/// Where a snapshot is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    /// Of this server: it need not ask itself.
    Own {
        /// Nothing for one of everything.
        collection: Option<String>,
        name: String,
    },
    Url(String),
}

impl From<Snapshot> for Described {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { name, created_micros, bytes, checksum } = snapshot;
        // The dialect has no parts of a second here, and no zone: it is UTC.
        let creation_time = datetime::format(created_micros).chars().take(19).collect();
        Self { name, creation_time, size: bytes, checksum }
    }
}

impl Recover {
    /// Where it is: at an address, which may be of the server that the client calls `host`, or in the folder of
    /// snapshots.
    ///
    /// # Errors
    /// `InvalidArgument` on `location` for any other place.
    pub(crate) fn source(&self, folder: &Path, host: Option<&str>) -> Result<Source> {
        let refuse = |why: String| Err(Error::invalid("location", why));
        if let Some(own) = host.and_then(|host| own(&self.location, host)) {
            return Ok(own);
        }
        if self.location.starts_with("http://") || self.location.starts_with("https://") {
            return Ok(Source::Url(self.location.clone()));
        }
        let path = self.location.strip_prefix("file://").unwrap_or(&self.location);
        let Ok(path) = Path::new(path).canonicalize() else {
            return refuse(format!("there is no file {path}; give `file://` and a path, or `http://`"));
        };
        match folder.canonicalize() {
            Ok(folder) if path.starts_with(&folder) && path.is_file() => Ok(Source::File(path)),
            _ => refuse(format!("is outside of {}; put the file there, or upload it", folder.display())),
        }
    }
}

/// A snapshot of a collection of this server, by the address that it is downloaded from.
fn own(location: &str, host: &str) -> Option<Source> {
    let rest = location.strip_prefix("http://").or_else(|| location.strip_prefix("https://"))?;
    let parts: Vec<&str> = rest.strip_prefix(host)?.split('/').collect();
    let (collection, name) = match parts[..] {
        ["", "snapshots", name] => (None, name),
        ["", "collections", collection, "snapshots", name] => (Some(collection), name),
        _ => return None,
    };
    let decoded = |part: &str| percent_decode_str(part).decode_utf8().ok().map(String::from);
    let collection = match collection {
        Some(collection) => Some(decoded(collection)?),
        None => None,
    };
    Some(Source::Own { collection, name: decoded(name)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_location_leads_outside_of_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("snapshots");
        std::fs::create_dir(&inside).expect("a folder");
        for path in [inside.join("a.snapshot"), folder.path().join("b.snapshot")] {
            std::fs::write(path, "x").expect("written");
        }
        let source = |location: String| {
            let body = serde_json::json!({"location": location}).to_string();
            super::super::parse::<Recover>(body.as_bytes()).expect("a body").source(&inside, Some("here:1"))
        };
        let at = |name: &str| format!("file://{}/{name}", inside.display());
        let found = inside.join("a.snapshot").canonicalize().expect("it is there");
        assert_eq!(source(at("a.snapshot")).expect("inside"), Source::File(found));
        assert_eq!(
            source("http://x/y".to_owned()).expect("an address"),
            Source::Url("http://x/y".to_owned())
        );
        let own = |location: &str| source(location.to_owned()).expect("an address");
        let (collection, name) = (Some("ü".to_owned()), "a".to_owned());
        let all = Source::Own { collection: None, name: name.clone() };
        assert_eq!(own("http://here:1/snapshots/a"), all);
        assert_eq!(own("https://here:1/collections/%C3%BC/snapshots/a"), Source::Own { collection, name });
        for other in
            ["http://here:12/collections/c/snapshots/a", "http://here:1/a", "http://here:1@x/snapshots/a"]
        {
            assert_eq!(own(other), Source::Url(other.to_owned()));
        }
        std::os::unix::fs::symlink(folder.path().join("b.snapshot"), inside.join("link")).expect("a link");
        for name in ["../b.snapshot", "none", "", "link"] {
            assert_eq!(source(at(name)).expect_err(name).field(), Some("location"));
        }
        assert!(source("/etc/passwd".to_owned()).is_err() && source("ftp://x".to_owned()).is_err());
    }
}
