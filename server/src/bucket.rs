//! Snapshots in a bucket of an S3-compatible store, in the place of the folder of the database.
//!
//! ```text
//! <prefix>/all/<name>                      of everything
//! <prefix>/collections/<name>/<name>       of a collection
//! <snapshot>.sha256                        its checksum, in hexadecimal
//! ```
//!
//! Invariant: a snapshot has its name only when all of it is there: it is made in the folder of the database, sent, and
//! removed there, whatever becomes of it. An upload that breaks off leaves parts, which the store forgets by its own
//! rules.
//! Cost: a snapshot is on the disk of the server while it is sent, or taken back.
//! When not to use: on the threads that serve connections. All of it waits, but [`Bucket::open_stream`].

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::Read as _;
use std::path::Path as FilePath;
use std::sync::Arc;

use futures_core::Stream;
use kithdb::{Database, Error, ErrorKind, Result, Snapshot, datetime};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _, WriteMultipart};
use tokio::runtime::Handle;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

/// Where the bucket is, and what opens it. What is absent is taken from the usual variables of the environment
/// (`AWS_ACCESS_KEY_ID` and so on), or from the machine.
#[derive(Clone, Default)]
pub struct BucketOptions {
    /// `s3://bucket/prefix`.
    pub url: String,
    /// The address of a store that is not Amazon's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The name of the key.
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<String>,
}

/// A bucket.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<AmazonS3>,
    url: String,
    prefix: Path,
}

/// Bytes of a part of an upload. The dialect of S3 has 10 000 parts at most: so much for 156 GiB.
const PART_BYTES: usize = 16 << 20;

/// Parts on their way at once.
const PARTS_MAX: usize = 4;

/// What the checksum of a snapshot is called beside it.
const CHECKSUM: &str = ".sha256";

/// What all names of snapshots end with.
const ENDING: &str = ".snapshot";

/// Bytes of a date, and parts of a time of day, in the name of one.
const DATE_BYTES: usize = 10;
const CLOCK_PARTS: usize = 3;

impl Bucket {
    /// The bucket; nothing is asked of it yet.
    ///
    /// # Errors
    /// `InvalidArgument` naming the setting.
    pub fn new(options: &BucketOptions) -> Result<Self> {
        let wrong = || Error::invalid("snapshot_store", "must be s3://BUCKET or s3://BUCKET/PREFIX");
        let rest = options.url.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) =
            rest.trim_end_matches('/').split_once('/').unwrap_or((rest.trim_end_matches('/'), ""));
        if bucket.is_empty() {
            return Err(wrong());
        }
        let prefix = Path::parse(prefix).map_err(|error| wrong().with_source(error))?;
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if let Some(endpoint) = &options.endpoint {
            // Encrypted unless the address says that it is not meant to be.
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some(region) = &options.region {
            builder = builder.with_region(region);
        }
        if let Some(id) = &options.access_key_id {
            builder = builder.with_access_key_id(id);
        }
        if let Some(key) = &options.secret_access_key {
            builder = builder.with_secret_access_key(key);
        }
        // Another part of the process may have chosen already.
        let _ = rustls_provider();
        let store = builder.build().map_err(|error| {
            Error::invalid("snapshot_store", format!("cannot be opened: {error}")).with_source(error)
        })?;
        Ok(Self { store: Arc::new(store), url: format!("s3://{bucket}"), prefix })
    }

    /// The snapshots of a collection, or of everything, by name.
    ///
    /// # Errors
    /// `NotFound` for a collection that does not exist; `Io`.
    pub(crate) fn list(&self, db: &Database, of: Option<&str>) -> Result<Vec<Snapshot>> {
        let folder = self.folder(db, of)?;
        let listed = wait(self.store.list_with_delimiter(Some(&folder)))?;
        let is_snapshot = |path: &Path| path.filename().is_some_and(|name| name.ends_with(ENDING));
        let found = listed.objects.iter().filter(|object| is_snapshot(&object.location));
        let mut snapshots = Vec::new();
        for object in found {
            let name = object.location.filename().unwrap_or_default().to_owned();
            let beside = folder.clone().join(format!("{name}{CHECKSUM}"));
            let has_checksum = listed.objects.iter().any(|object| object.location == beside);
            let checksum = if has_checksum { self.text(&beside)? } else { None };
            let created_micros =
                made_micros(&name).unwrap_or_else(|| object.last_modified.timestamp_micros());
            snapshots.push(Snapshot { name, created_micros, bytes: object.size, checksum });
        }
        snapshots.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(snapshots)
    }

    /// Makes a snapshot and sends it.
    ///
    /// # Errors
    /// As for [`Database::create_snapshot`]; `Io` when the store does not take it.
    pub(crate) fn create(&self, db: &Database, of: Option<&str>) -> Result<Snapshot> {
        let folder = self.folder(db, of)?;
        let made = db.create_snapshot(of)?;
        let sent = db.snapshot_path(of, &made.name).and_then(|file| {
            if let Some(checksum) = &made.checksum {
                let beside = folder.clone().join(format!("{}{CHECKSUM}", made.name));
                wait(self.store.put(&beside, checksum.clone().into()))?;
            }
            self.send(&file, &folder.join(made.name.clone()))
        });
        db.delete_snapshot(of, &made.name)?;
        let created_micros = made_micros(&made.name).unwrap_or(made.created_micros);
        sent.map(|()| Snapshot { created_micros, ..made })
    }

    fn send(&self, file: &FilePath, to: &Path) -> Result<()> {
        let mut file = File::open(file)?;
        let upload = wait(self.store.put_multipart(to))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut block = vec![0; 1 << 20];
        // Parts are sent by tasks, which need the runtime of the server around them.
        let _inside = Handle::current().enter();
        let copied = loop {
            match file.read(&mut block) {
                Ok(0) => break Ok(()),
                Ok(bytes) => match wait(upload.wait_for_capacity(PARTS_MAX)) {
                    Ok(()) => upload.write(&block[..bytes]),
                    Err(error) => break Err(error),
                },
                Err(error) => break Err(error.into()),
            }
        };
        match copied {
            Ok(()) => wait(upload.finish()).map(drop),
            Err(error) => {
                // What is told is why it broke off.
                let _ = wait(upload.abort());
                Err(error)
            }
        }
    }

    /// Removes a snapshot.
    ///
    /// # Errors
    /// `NotFound`, `Io`.
    pub(crate) fn delete(&self, db: &Database, of: Option<&str>, name: &str) -> Result<()> {
        let (folder, path) = (self.folder(db, of)?, self.path(db, of, name)?);
        wait(self.store.head(&path)).map_err(|error| missing(error, name))?;
        wait(self.store.delete(&path))?;
        match wait(self.store.delete(&folder.join(format!("{name}{CHECKSUM}")))) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where a snapshot is.
    ///
    /// # Errors
    /// `NotFound` for a name that is none, or a collection that does not exist.
    pub(crate) fn path(&self, db: &Database, of: Option<&str>, name: &str) -> Result<Path> {
        match name.ends_with(ENDING) && !name.contains(['/', '\\', '\0']) {
            true => Ok(self.folder(db, of)?.join(name)),
            false => Err(missing(Error::new(ErrorKind::NotFound, ""), name)),
        }
    }

    /// A snapshot as it comes, and its bytes.
    ///
    /// # Errors
    /// `NotFound`, `Io`.
    pub(crate) async fn open_stream(
        &self,
        path: &Path,
    ) -> Result<(u64, impl Stream<Item = object_store::Result<axum::body::Bytes>> + Send + use<>)> {
        let found = self.store.get(path).await.map_err(translate);
        let found = found.map_err(|error| missing(error, path.filename().unwrap_or_default()))?;
        Ok((found.meta.size, found.into_stream()))
    }

    /// Writes the snapshot that a location names into a file.
    ///
    /// # Errors
    /// `InvalidArgument` on `location` where it is not of this bucket, or leads nowhere; those of writing.
    pub(crate) fn fetch(&self, location: &str, to: &mut dyn std::io::Write) -> Result<()> {
        let key = location.strip_prefix(&self.url).and_then(|rest| rest.strip_prefix('/'));
        let outside = || {
            Error::invalid(
                "location",
                format!("is outside of {}/{}, where snapshots are kept", self.url, self.prefix),
            )
        };
        let path = Path::parse(key.ok_or_else(outside)?).map_err(|error| outside().with_source(error))?;
        if !path.prefix_matches(&self.prefix) {
            return Err(outside());
        }
        self.fetch_from(&path, to)
    }

    /// Writes a snapshot into a file.
    ///
    /// # Errors
    /// `InvalidArgument` on `location` where there is none; those of writing.
    pub(crate) fn fetch_from(&self, path: &Path, to: &mut dyn std::io::Write) -> Result<()> {
        let found = wait(self.store.get(path)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::invalid("location", "leads to nothing").with_source(error),
            _ => error,
        })?;
        let mut blocks = found.into_stream();
        while let Some(block) = wait_for(std::future::poll_fn(|context| blocks.as_mut().poll_next(context))) {
            to.write_all(&block.map_err(translate)?)?;
        }
        to.flush().map_err(Error::from)
    }

    fn text(&self, path: &Path) -> Result<Option<String>> {
        let bytes = wait(async { self.store.get(path).await?.bytes().await });
        match bytes {
            Ok(bytes) => Ok(String::from_utf8(bytes.to_vec()).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn folder(&self, db: &Database, of: Option<&str>) -> Result<Path> {
        Ok(match of {
            Some(name) => {
                self.prefix.clone().join("collections").join(db.collection(name)?.name().to_owned())
            }
            None => self.prefix.clone().join("all"),
        })
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What opens it is nobody's business.
        f.debug_struct("Bucket").field("url", &self.url).field("prefix", &self.prefix.to_string()).finish()
    }
}

/// The library of encryption that connections to other servers use.
fn rustls_provider() -> std::result::Result<(), Arc<CryptoProvider>> {
    ring::default_provider().install_default()
}

/// Waits, on a thread that may.
fn wait<T>(asked: impl Future<Output = object_store::Result<T>>) -> Result<T> {
    wait_for(asked).map_err(translate)
}

fn wait_for<T>(asked: impl Future<Output = T>) -> T {
    Handle::current().block_on(asked)
}

fn translate(error: object_store::Error) -> Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    };
    let message =
        format!("the store of snapshots does not do it: {error}; look at snapshot_store and s3_endpoint");
    Error::new(kind, message).with_source(error)
}

/// The words of the dialect.
fn missing(error: Error, name: &str) -> Error {
    match error.kind() {
        ErrorKind::NotFound => {
            let message = format!("Not found: Snapshot `{name}` doesn't exist!");
            Error::new(ErrorKind::NotFound, message).with_field("snapshot_name")
        }
        _ => error,
    }
}

/// When a snapshot was made, in microseconds since 1970, by the end of its name (`2026-12-01T12-53-30-936087Z`): what a
/// store knows is when it had all of it, which can be long after. `None` for a name that somebody else gave.
fn made_micros(name: &str) -> Option<i64> {
    let (before, time) = name.strip_suffix(ENDING)?.strip_suffix('Z')?.rsplit_once('T')?;
    let date = before.get(before.len().checked_sub(DATE_BYTES)?..)?;
    let parts: Vec<&str> = time.split('-').collect();
    let (clock, fraction) = parts.split_at_checked(CLOCK_PARTS)?;
    let fraction = fraction.first().map_or(String::new(), |digits| format!(".{digits}"));
    datetime::micros(&format!("{date}T{}{fraction}Z", clock.join(":")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_was_made_when_its_name_says() {
        for (end, told) in [("30-936087", "30.936087"), ("30-93", "30.93"), ("30", "30")] {
            let made = made_micros(&format!("My-Texts-51-2026-12-01T12-53-{end}Z.snapshot"));
            assert_eq!(made.map(datetime::format), Some(format!("2026-12-01T12:53:{told}Z")));
        }
        for other in
            ["", "books.snapshot", "T-Z.snapshot", "2026-12-01T12-53-30Z", "2026-12-01T12-53Z.snapshot"]
        {
            assert_eq!(made_micros(other), None, "{other}");
        }
    }

    fn refused(url: &str) -> Error {
        Bucket::new(&BucketOptions { url: url.to_owned(), ..BucketOptions::default() }).expect_err(url)
    }

    #[test]
    fn what_is_no_bucket_is_refused_and_secrets_are_not_shown() {
        for url in ["", "bucket", "s3://", "s3:///x", "https://x/y"] {
            assert_eq!(refused(url).field(), Some("snapshot_store"), "{url}");
        }
        let options = BucketOptions {
            url: "s3://b/p/q".to_owned(),
            region: Some("x".to_owned()),
            access_key_id: Some("hush1".to_owned()),
            secret_access_key: Some("hush2".to_owned()),
            ..BucketOptions::default()
        };
        let bucket = Bucket::new(&options).expect("a bucket");
        assert!(!format!("{bucket:?}").contains("hush"), "{bucket:?}");
        let db = Database::in_memory().expect("a database");
        let path = |name: &str| bucket.path(&db, None, name).map(|path| path.to_string());
        assert_eq!(path("a.snapshot").expect("a name"), "p/q/all/a.snapshot");
        for name in ["../a.snapshot", "a", "a/b.snapshot", "x\\.snapshot", ""] {
            assert_eq!(path(name).expect_err(name).kind(), ErrorKind::NotFound);
        }
        for location in ["s3://other/p/q/a.snapshot", "s3://b/p/x.snapshot", "s3://bp/q/a", "s3://b/p/q/../x"]
        {
            let error = bucket.fetch(location, &mut Vec::new()).expect_err(location);
            assert_eq!(error.field(), Some("location"), "{location}");
        }
    }
}
