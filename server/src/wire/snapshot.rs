//! Snapshots as they are told, and where one is to be recovered from.

use std::path::{Path, PathBuf};

use kithdb::{Error, Result, Snapshot, datetime};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shape::Ignored;
use crate::error::Refusal;

/// A snapshot.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Snapshot)]
pub(crate) struct Described {
    name: String,
    creation_time: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

/// `PUT collections/{name}/snapshots/recover`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RecoverSnapshot)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recover {
    location: String,
    pub(crate) checksum: Option<String>,
    #[serde(rename = "priority")]
    #[schema(value_type = Option<Value>)]
    _priority: Ignored,
    #[serde(rename = "api_key")]
    #[schema(value_type = Option<Value>)]
    _api_key: Ignored,
    #[serde(rename = "wait")]
    #[schema(value_type = Option<Value>)]
    _wait: Ignored,
}

/// Where a snapshot is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    Url(String),
    /// In the bucket of the server.
    Bucket(String),
    /// Among the snapshots of the collection, by its name.
    Kept(String),
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
    /// Where it is: at an address, or in the folder of snapshots.
    ///
    /// # Errors
    /// `InvalidArgument` on `location` for any other place, forbidden for a file elsewhere; on `checksum` for what can
    /// be none.
    pub(crate) fn source(&self, folder: &Path) -> Result<Source> {
        check_sum(self.checksum.as_deref(), Refusal::Body)?;
        if self.location.starts_with("http://") || self.location.starts_with("https://") {
            return Ok(Source::Url(self.location.clone()));
        }
        if self.location.starts_with("s3://") {
            return Ok(Source::Bucket(self.location.clone()));
        }
        if self.location.ends_with(".snapshot") && !self.location.contains(['/', '\\']) {
            return Ok(Source::Kept(self.location.clone()));
        }
        let local = self.location.strip_prefix("file://");
        match local.map(|place| place.strip_prefix("localhost").unwrap_or(place)) {
            Some(path) if !path.starts_with('/') => {
                let why = "Invalid snapshot URI, file path must be absolute or on localhost";
                Err(refused(Refusal::BadRequest, why))
            }
            path => inside(Path::new(path.unwrap_or(&self.location)), folder),
        }
    }
}

/// A file in the folder of snapshots.
fn inside(path: &Path, folder: &Path) -> Result<Source> {
    let Ok(file) = path.canonicalize() else {
        let message = format!("Snapshot file \"{}\" does not exist", path.display());
        return Err(refused(Refusal::BadRequest, &message));
    };
    match folder.canonicalize() {
        Ok(folder) if file.starts_with(&folder) && file.is_file() => Ok(Source::File(file)),
        Ok(folder) if file.starts_with(&folder) => {
            let message = format!("Snapshot file \"{}\" is a folder", path.display());
            Err(refused(Refusal::BadRequest, &message))
        }
        _ => {
            let place = folder.display();
            let message = format!("Snapshot file path must be inside the snapshots directory \"{place}\"");
            Err(refused(Refusal::Forbidden, &format!("{message}; put the file there, or upload it")))
        }
    }
}

/// What the dialect refuses of a location, in its words.
fn refused(refusal: Refusal, why: &str) -> Error {
    refusal.of("location", why)
}

/// Checks that a checksum can be one, before anything is fetched that it could be of. `refusal` says where it stands.
///
/// # Errors
/// `InvalidArgument` on `checksum`.
pub(crate) fn check_sum(checksum: Option<&str>, refusal: Refusal) -> Result<()> {
    let is_one = |sum: &str| sum.len() == 64 && sum.bytes().all(|digit| digit.is_ascii_hexdigit());
    match checksum.is_none_or(is_one) {
        true => Ok(()),
        false => {
            // The word is the dialect's, which programs look for.
            let why = "invalid_sha256_hash, must be the SHA-256 of the snapshot: 64 hexadecimal digits";
            Err(refusal.of("checksum", why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_digits_and_leads_nowhere() {
        check_sum(None, Refusal::Body).expect("none is needed");
        check_sum(Some(&"aB0".repeat(22)[..64]), Refusal::Body).expect("digits");
        let padded = format!("../../../../etc/passwd{}", "0".repeat(42));
        for none in
            ["", "00", "sha256:00", "../x", &"0".repeat(65), &"g".repeat(64), &"é".repeat(32), &padded]
        {
            let error = check_sum(Some(none), Refusal::Body).expect_err(none);
            assert_eq!(error.field(), Some("checksum"), "{none}");
            assert!(error.message().contains("invalid_sha256_hash"), "{error}");
        }
    }

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
            super::super::parse::<Recover>(body.as_bytes()).expect("a body").source(&inside)
        };
        let at = |name: &str| format!("file://{}/{name}", inside.display());
        let found = inside.join("a.snapshot").canonicalize().expect("it is there");
        assert_eq!(source(at("a.snapshot")).expect("inside"), Source::File(found));
        assert_eq!(
            source("http://x/y".to_owned()).expect("an address"),
            Source::Url("http://x/y".to_owned())
        );
        std::os::unix::fs::symlink(folder.path().join("b.snapshot"), inside.join("link")).expect("a link");
        let local = format!("file://localhost{}/a.snapshot", inside.display());
        assert!(matches!(source(local).expect("inside"), Source::File(_)));
        let cases = [
            (at("../b.snapshot"), "Forbidden: Snapshot file path must be inside"),
            (at("link"), "Forbidden: Snapshot file path must be inside"),
            ("/etc/passwd".to_owned(), "Forbidden: Snapshot file path must be inside"),
            (at(""), "is a folder"),
            (at("none"), "does not exist"),
            (
                "file:///none.snapshot".to_owned(),
                "Bad request: Snapshot file \"/none.snapshot\" does not exist",
            ),
            ("ftp://x".to_owned(), "does not exist"),
            ("file://none.snapshot".to_owned(), "file path must be absolute or on localhost"),
            ("file://./etc/passwd".to_owned(), "file path must be absolute or on localhost"),
        ];
        for (location, says) in cases {
            let error = source(location).expect_err(says);
            assert!(error.field() == Some("location") && error.message().contains(says), "{error}");
        }
    }
}
