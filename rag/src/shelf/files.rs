//! Files as they were uploaded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kithdb::{Error, Payload, Result};

use super::Shelf;
use super::records::{missing, number, text};

/// The collection that they lie in.
pub const FILES: &str = "openai.files";

/// The collection of what they hold: apart, so that who lists files does not read them.
pub const CONTENTS: &str = "openai.contents";

/// Bytes of a file.
const FILE_BYTES_MAX: usize = 8 << 20;

/// Characters of a file's name.
const NAME_CHARS_MAX: usize = 255;

/// An uploaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it was uploaded for.
    pub purpose: String,
    /// Its size.
    pub bytes: u64,
    /// When, in seconds since 1970.
    pub created_s: u64,
}

impl Shelf<'_> {
    /// Keeps a file under a new id.
    ///
    /// # Errors
    /// `InvalidArgument`, `LimitExceeded` on `file`; what the database returns.
    pub fn upload(&self, id: &str, name: &str, purpose: &str, bytes: &[u8], now_s: u64) -> Result<File> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(Error::limit("file", "the number of bytes", bytes.len(), FILE_BYTES_MAX));
        }
        if bytes.is_empty() {
            return Err(Error::invalid("file", "is empty"));
        }
        // A path in a name is of the machine that it came from.
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return Err(Error::invalid(
                "file",
                format!("must have a name, of {NAME_CHARS_MAX} characters at most"),
            ));
        }
        let mut record = Payload::new();
        record.insert("name".to_owned(), name.into());
        record.insert("purpose".to_owned(), purpose.into());
        record.insert("bytes".to_owned(), bytes.len().into());
        record.insert("created_s".to_owned(), now_s.into());
        let file = File::of(id, &record);
        let content = Payload::from_iter([("content".to_owned(), STANDARD.encode(bytes).into())]);
        // What it holds comes first and goes last: a file that is listed can be read.
        self.keep(CONTENTS, id, content)?;
        self.keep(FILES, id, record)?;
        Ok(file)
    }

    /// A file.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn file(&self, id: &str) -> Result<File> {
        let record = self.kept(FILES, id)?.ok_or_else(|| missing("file", id))?;
        Ok(File::of(id, &record))
    }

    /// What a file holds.
    ///
    /// # Errors
    /// `NotFound`; what the database returns.
    pub fn content(&self, id: &str) -> Result<Vec<u8>> {
        self.file(id)?;
        let record = self.kept(CONTENTS, id)?.ok_or_else(|| missing("file", id))?;
        STANDARD
            .decode(text(&record, "content"))
            .map_err(|error| Error::corrupted(format!("file {id}"), &error).with_source(error))
    }

    /// Every file, the oldest first.
    ///
    /// # Errors
    /// What the database returns.
    pub fn files(&self) -> Result<Vec<File>> {
        let all = self.all(FILES)?;
        let mut files: Vec<File> = all.iter().map(|record| File::of(&text(record, "id"), record)).collect();
        files.sort_by(|a, b| (a.created_s, &a.id).cmp(&(b.created_s, &b.id)));
        Ok(files)
    }

    /// Deletes a file, and takes it out of every store that it was put into; `check` is asked of each of them, before
    /// anything changes. What breaks off in between leaves a file that is listed and in no store: it is deleted again.
    ///
    /// # Errors
    /// `NotFound`; what `check` and the database return.
    pub fn delete_file(&self, id: &str, check: impl Fn(&str) -> Result<()>) -> Result<()> {
        self.file(id)?;
        self.remove_everywhere(id, check)?;
        if !self.forget(FILES, id)? {
            return Err(missing("file", id));
        }
        self.forget(CONTENTS, id)?;
        // Who had found it may have put it into a store since; who does so from here on takes it out again.
        self.remove_everywhere(id, |_| Ok(()))
    }
}

impl File {
    fn of(id: &str, record: &Payload) -> Self {
        Self {
            id: id.to_owned(),
            name: text(record, "name"),
            purpose: text(record, "purpose"),
            bytes: number(record, "bytes"),
            created_s: number(record, "created_s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use kithdb::{Database, ErrorKind};

    use super::*;
    use crate::shelf::{Chunking, Wanted};

    /// Whether one comes before the other, or in the midst of it.
    #[test]
    fn a_file_that_is_deleted_while_it_is_put_into_a_store_is_not_there() {
        let db = Database::in_memory().expect("a database");
        let shelf = Shelf { db: &db, embedder: None };
        shelf.create_store("store", Wanted::default(), 1).expect("a store");
        for round in 0..50_u64 {
            let id = &format!("file{round}");
            shelf.upload(id, "a.md", "assistants", b"One.", round).expect("a file");
            let shelf = &shelf;
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let put = shelf.add("store", id, &Payload::new(), Chunking::Auto, round);
                    assert!(put.is_ok() || put.is_err_and(|error| error.kind() == ErrorKind::NotFound));
                });
                scope.spawn(move || shelf.delete_file(id, |_| Ok(())).expect("deleted"));
            });
            assert_eq!(shelf.members("store").expect("members"), [], "{round}");
        }
    }
}
