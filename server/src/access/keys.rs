//! The keys that a server knows.
//!
//! Invariant: no key is held, only its SHA-256 (and the inner states of HMAC, by which tokens are checked). A key that
//! is shown is hashed and held against every known one, in a time that does not depend on which is right.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use kithdb::{Error, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Rights;
use super::token::{AccessIn, ValueExists, Verifier, unauthorized};
use crate::wire::shape::OneOrMany;

/// The header of a key.
const API_KEY: &str = "api-key";

/// How a key begins that is given by its hash.
const HASHED: &str = "sha256:";

type Hash = [u8; 32];

/// The keys of a server; with none, everyone may do everything.
#[derive(Clone, Default)]
pub struct Keys {
    known: Vec<(Hash, Rights)>,
    /// One for each full key that is known as it is.
    verifiers: Vec<Verifier>,
}

/// A key and its rights, as configurations write them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyIn {
    key: String,
    access: AccessIn,
}

/// What was shown.
pub(super) enum Shown {
    /// Rights, if this point exists.
    Rights(Rights, Option<ValueExists>),
    /// Nothing, and nothing is needed.
    Anyone,
}

impl Keys {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key that may do everything, and that signs tokens if it is not given by its hash. While one key takes the
    /// place of another there may be both.
    ///
    /// A key is given as it is, or as `sha256:` and 64 hexadecimal digits.
    ///
    /// # Errors
    /// `InvalidArgument` on `api_key` when it can be no key.
    pub fn full(mut self, key: &str) -> Result<Self> {
        self.known.push((hash_of(key, "api_key")?, Rights::Manage));
        if !key.starts_with(HASHED) {
            self.verifiers.push(Verifier::new(key.as_bytes()));
        }
        Ok(self)
    }

    /// Adds a key that may read everything.
    ///
    /// # Errors
    /// `InvalidArgument` on `read_only_api_key`.
    pub fn read_only(mut self, key: &str) -> Result<Self> {
        self.known.push((hash_of(key, "read_only_api_key")?, Rights::ReadAll));
        Ok(self)
    }

    /// Adds a key with rights of its own, or a list of them, as JSON: `{"key": "…", "access": [{"collection": "a",
    /// "access": "rw"}]}`. The rights are those of a token: `r` reads, `prw` reads and writes points, `rw` does
    /// everything that is of the collection.
    ///
    /// # Errors
    /// `InvalidArgument` on `keys`, saying what is wrong; never with the key.
    pub fn with(mut self, json: &str) -> Result<Self> {
        let given: OneOrMany<KeyIn> = serde_json::from_str(json).map_err(|error| {
            let shape = "{\"key\": \"…\", \"access\": [{\"collection\": \"…\", \"access\": \"r\"}]}";
            // What the parser says may repeat a part of the key.
            let place = format!("line {} column {}", error.line(), error.column());
            Error::invalid("keys", format!("is not understood at {place}; write {shape}"))
        })?;
        for (place, KeyIn { key, access }) in given.places("keys") {
            let rights = access.into_rights().map_err(|error| error.within(&place))?;
            self.known.push((hash_of(&key, &format!("{place}.key"))?, rights));
        }
        Ok(self)
    }

    /// A key as its hash, in the form in which it may be given.
    pub fn hashed(key: &str) -> String {
        if key.starts_with(HASHED) {
            return key.to_owned();
        }
        let digits = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("{HASHED}{digits}")
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The rights of who sends these headers.
    ///
    /// # Errors
    /// Unauthorized.
    pub(super) fn shown(&self, headers: &HeaderMap) -> Result<Shown> {
        if self.is_empty() {
            return Ok(Shown::Anyone);
        }
        let shown = shown(headers)
            .ok_or_else(|| unauthorized("Must provide an API key or an Authorization bearer token"))?;
        if let Some(rights) = self.rights(shown) {
            return Ok(Shown::Rights(rights, None));
        }
        let invalid = || unauthorized("Invalid API key or JWT");
        // Without dots it is no token: what is wrong is the key.
        let token = std::str::from_utf8(shown).ok().filter(|text| text.contains('.')).ok_or_else(invalid)?;
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| invalid())?.as_secs();
        let mut read = self.verifiers.iter().map(|verifier| verifier.read(token, now_s));
        let first = read.next().unwrap_or_else(|| {
            let why =
                "Invalid API key; this server takes no JWT, since it knows no full key, or only its hash";
            Err(unauthorized(why))
        });
        let claims = first.or_else(|error| read.find_map(Result::ok).ok_or(error))?;
        let (rights, point) = claims.into_rights()?;
        Ok(Shown::Rights(rights, point))
    }

    /// All are compared, so that the time says nothing of which is right.
    fn rights(&self, shown: &[u8]) -> Option<Rights> {
        let shown: Hash = Sha256::digest(shown).into();
        let mut found = None;
        for (hash, rights) in &self.known {
            if bool::from(hash.ct_eq(&shown)) {
                found = found.or(Some(rights));
            }
        }
        found.cloned()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.known.len())
    }
}

/// The key or token of a request.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(API_KEY) {
        return Some(key.as_bytes());
    }
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
}

fn hash_of(key: &str, field: &str) -> Result<Hash> {
    if let Some(digits) = key.strip_prefix(HASHED) {
        return hash_in(digits).ok_or_else(|| {
            Error::invalid(field, "begins with sha256: and must go on with 64 hexadecimal digits")
        });
    }
    match key {
        "" => Err(Error::invalid(field, "is empty; give a key, or leave it out")),
        _ if key.trim() != key || key.contains(char::is_control) => Err(Error::invalid(
            field,
            "begins or ends with a blank, or has a control character: no header can carry it",
        )),
        _ => Ok(Sha256::digest(key).into()),
    }
}

fn hash_in(digits: &str) -> Option<Hash> {
    let bytes = digits.as_bytes();
    let mut hash = Hash::default();
    if bytes.len() != 2 * hash.len() || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::super::token::tests::signed;
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).expect("a header"));
        headers
    }

    fn rights(keys: &Keys, name: &'static str, value: &str) -> Result<Rights> {
        match keys.shown(&headers(name, value))? {
            Shown::Rights(rights, _) => Ok(rights),
            Shown::Anyone => panic!("keys are needed"),
        }
    }

    const OF_A: &str = r#"{"key": "third", "access": [{"collection": "a", "access": "r"}]}"#;

    #[test]
    fn a_key_is_known_in_each_header_and_given_by_itself_or_by_its_hash() {
        let plain = Keys::new().full("first").and_then(|keys| keys.read_only("second")).expect("keys");
        let plain = plain.with(OF_A).expect("a key");
        let hashes =
            Keys::new().full(&Keys::hashed("first")).and_then(|keys| keys.read_only(&Keys::hashed("second")));
        let hashes =
            hashes.expect("keys").with(&OF_A.replace("third", &Keys::hashed("third"))).expect("a key");
        for keys in [&plain, &hashes] {
            assert_eq!(rights(keys, "api-key", "first").expect("known"), Rights::Manage);
            assert_eq!(rights(keys, "authorization", "Bearer first").expect("known"), Rights::Manage);
            assert_eq!(rights(keys, "authorization", "bearer second").expect("known"), Rights::ReadAll);
            assert!(matches!(rights(keys, "api-key", "third").expect("known"), Rights::Of(_)));
            for (name, value) in [
                ("api-key", "firs"),
                ("api-key", ""),
                ("api-key", &Keys::hashed("first")),
                ("authorization", "Basic first"),
                ("authorization", "first"),
            ] {
                assert!(rights(keys, name, value).is_err(), "{value}");
            }
            assert!(keys.shown(&HeaderMap::new()).is_err());
        }
        let token = signed(&json!({"alg": "HS256"}), &json!({"access": "r"}), "first");
        let both = Keys::new().full("new").and_then(|keys| keys.full("first")).expect("two keys");
        for key in ["new", "first", &token] {
            rights(&both, "api-key", key).expect("both count");
        }
        assert_eq!(rights(&plain, "api-key", &token).expect("signed"), Rights::ReadAll);
        assert!(
            rights(&hashes, "api-key", &token).expect_err("no key to check by").message().contains("hash")
        );
        assert!(matches!(Keys::new().shown(&HeaderMap::new()).expect("no keys"), Shown::Anyone));
    }

    #[test]
    fn what_can_be_no_key_is_refused_and_never_repeated() {
        for (key, says) in [("", "empty"), (" x", "blank"), ("a\nb", "control"), ("sha256:12", "64")] {
            assert!(Keys::new().full(key).expect_err("refused").message().contains(says), "{key}");
        }
        let bad = [
            r#"{"key": "hushhush"}"#,
            r#"{"key": "hushhush", "access": "w"}"#,
            r#"{"key": ["hushhush"], "access": "r"}"#,
            r#"{"key": "hushhush", "access": [{"collection": "a", "access": "r", "payload": {}}]}"#,
            "hushhush",
        ];
        for json in bad {
            let error = Keys::new().with(json).expect_err("refused");
            assert!(error.field().is_some_and(|field| field.starts_with("keys")), "{error}");
            assert!(!error.to_string().contains("hushhush"), "{error}");
        }
        assert!(!format!("{:?}", Keys::new().full("hushhush").expect("a key")).contains("hush"));
    }
}
