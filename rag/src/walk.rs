//! The files of a folder that can be read as documents, and what was passed over and why.
//!
//! Invariants: the order is that of the paths, on every machine; symbolic links are not followed, so a walk ends and
//! stays inside its folder; every entry is either in `files` or in `skipped`, or below a folder that is in `skipped`.
//!
//! Cost: one directory read a folder, no file is opened.

use std::fs::{self, DirEntry, Metadata};
use std::path::{Path, PathBuf};

use types::{Error, Result};

use crate::parse::{Skip, Source, kind, parse};

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The folder that paths are relative to.
    pub root: PathBuf,
    /// Files to be read: relative paths, parts separated by `/`, sorted.
    pub files: Vec<String>,
    /// What was passed over, sorted by path.
    pub skipped: Vec<Skipped>,
}

/// A file or folder that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Relative to the folder that was walked.
    pub path: String,
    /// Why.
    pub reason: Skip,
}

/// Bytes of the longest file that is read unless the caller says otherwise.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

/// Folders that hold what a build or a package manager put there.
const GENERATED: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// Lists the documents of a folder, or the one document if `path` is a file. Files longer than `bytes_max` are passed
/// over.
///
/// # Errors
/// `InvalidArgument` on `path` when it does not exist, is a symbolic link, or cannot be listed. Below it, what cannot
/// be read is in [`Walk::skipped`] instead.
pub fn walk(path: &Path, bytes_max: u64) -> Result<Walk> {
    let refuse = |error: std::io::Error| {
        Error::invalid("path", format!("`{}` cannot be read: {error}", path.display())).with_source(error)
    };
    let metadata = fs::metadata(path).map_err(refuse)?;
    let mut walk = Walk::default();
    if metadata.is_dir() {
        path.clone_into(&mut walk.root);
        fs::read_dir(path).map_err(refuse)?;
        walk.folder(path, "", bytes_max);
    } else {
        let name = path.file_name().unwrap_or_default();
        path.parent().unwrap_or(Path::new("")).clone_into(&mut walk.root);
        walk.file(name.to_string_lossy().into_owned(), &metadata, bytes_max);
    }
    walk.files.sort_unstable();
    walk.skipped.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(walk)
}

impl Walk {
    /// Reads one of the files.
    ///
    /// # Errors
    /// Why it is passed over after all: it is no text, or it can no longer be read.
    pub fn read(&self, file: &str) -> std::result::Result<Source, Skip> {
        let bytes = fs::read(self.root.join(file)).map_err(|error| Skip::Unreadable(error.to_string()))?;
        parse(file, bytes)
    }

    /// Whether a file may be there without being listed: it, or a folder above it, could not be read, or it has become
    /// too large.
    pub(crate) fn may_have(&self, file: &str) -> bool {
        let is_there = |reason: &Skip| matches!(reason, Skip::Unreadable(_) | Skip::TooLarge { .. });
        let unread = self.skipped.iter().filter(|skipped| is_there(&skipped.reason));
        unread.map(|skipped| skipped.path.trim_end_matches('/')).any(|place| {
            let below = file.strip_prefix(place);
            place.is_empty() || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    fn folder(&mut self, folder: &Path, prefix: &str, bytes_max: u64) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.skip(prefix.trim_end_matches('/').to_owned(), unreadable(&error)),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.entry(&entry, prefix, bytes_max),
                Err(error) => self.skip(prefix.to_owned(), unreadable(&error)),
            }
        }
    }

    fn entry(&mut self, entry: &DirEntry, prefix: &str, bytes_max: u64) {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            let path = format!("{prefix}{}", name.to_string_lossy());
            return self.skip(path, Skip::Unreadable("its name is not UTF-8".to_owned()));
        };
        let path = format!("{prefix}{name}");
        // Of the entry itself: a link is not followed.
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) => return self.skip(path, unreadable(&error)),
        };
        if metadata.is_symlink() {
            self.skip(path, Skip::Symlink);
        } else if name.starts_with('.') {
            self.skip(path, Skip::Hidden);
        } else if !metadata.is_dir() {
            self.file(path, &metadata, bytes_max);
        } else if GENERATED.contains(&name) {
            self.skip(path, Skip::Generated);
        } else {
            self.folder(&entry.path(), &format!("{path}/"), bytes_max);
        }
    }

    fn file(&mut self, path: String, metadata: &Metadata, bytes_max: u64) {
        let bytes = metadata.len();
        if !metadata.is_file() {
            self.skip(path, Skip::Special);
        } else if kind(&path).is_none() {
            self.skip(path, Skip::Kind);
        } else if bytes > bytes_max {
            self.skip(path, Skip::TooLarge { bytes, bytes_max });
        } else {
            self.files.push(path);
        }
    }

    fn skip(&mut self, path: String, reason: Skip) {
        self.skipped.push(Skipped { path, reason });
    }
}

fn unreadable(error: &std::io::Error) -> Skip {
    Skip::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_of(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, bytes) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, bytes).expect("a file");
        }
        folder
    }

    #[test]
    fn every_entry_is_listed_or_skipped_with_its_reason() {
        let folder = folder_of(&[
            ("b/z.md", b"# Z"),
            ("b.md", b"# B"),
            ("a/README", b"text"),
            (".git/config.md", b"x"),
            (".hidden.md", b"x"),
            ("target/doc.md", b"x"),
            ("b/node_modules/x/readme.md", b"x"),
            ("image.png", b"\x89PNG"),
            ("long.txt", &[b'x'; 101]),
            ("binary.txt", b"a\0b"),
        ]);
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/loop.md")).expect("a link");
        let walk = walk(folder.path(), 100).expect("walks");
        assert_eq!(walk.files, ["a/README", "b.md", "b/z.md", "binary.txt"]);
        let skipped: Vec<(&str, &Skip)> =
            walk.skipped.iter().map(|skip| (skip.path.as_str(), &skip.reason)).collect();
        let expected = [
            (".git", &Skip::Hidden),
            (".hidden.md", &Skip::Hidden),
            ("b/loop.md", &Skip::Symlink),
            ("b/node_modules", &Skip::Generated),
            ("image.png", &Skip::Kind),
            ("long.txt", &Skip::TooLarge { bytes: 101, bytes_max: 100 }),
            ("target", &Skip::Generated),
        ];
        assert_eq!(skipped, expected);
        assert_eq!(walk.read("b/z.md").expect("reads").title, "Z");
        assert_eq!(walk.read("binary.txt"), Err(Skip::Binary));
        assert!(matches!(walk.read("gone.md"), Err(Skip::Unreadable(_))));
    }

    #[test]
    fn what_lies_below_an_unreadable_folder_may_be_there() {
        let skipped = |path: &str, reason: Skip| Skipped { path: path.to_owned(), reason };
        let unread = || Skip::Unreadable("permission denied".to_owned());
        let large = Skip::TooLarge { bytes: 2, bytes_max: 1 };
        let skipped = vec![
            skipped("a/b", unread()),
            skipped("c.md", unread()),
            skipped("d", Skip::Kind),
            skipped("e.md", large),
        ];
        let walk = Walk { skipped, ..Walk::default() };
        let cases = [
            ("a/b/x.md", true),
            ("a/bc.md", false),
            ("a/x.md", false),
            ("c.md", true),
            ("d/e.md", false),
            ("e.md", true),
        ];
        for (file, expected) in cases {
            assert_eq!(walk.may_have(file), expected, "{file}");
        }
    }

    #[test]
    fn a_single_file_is_a_walk_of_one() {
        let folder = folder_of(&[("a.md", b"# A"), ("b.md", b"# B")]);
        let one = walk(&folder.path().join("a.md"), FILE_BYTES_MAX).expect("walks");
        assert_eq!((one.files.as_slice(), one.skipped.len()), (["a.md".to_owned()].as_slice(), 0));
        assert_eq!(one.read("a.md").expect("reads").title, "A");
        let error = walk(&folder.path().join("absent"), 1).expect_err("absent");
        assert_eq!(error.field(), Some("path"));
    }
}
