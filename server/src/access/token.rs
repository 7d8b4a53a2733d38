//! Tokens (JWT, RFC 7519): signed by HMAC-SHA-256 with the full key, with the claims of the dialect.
//!
//! `exp` and `nbf` (seconds since 1970), `access` (`"r"`, `"m"`, or a list of `collection` and `access`; everything if
//! absent), `value_exists` (`collection`, `matches`: the token counts only while a point has these values). `sub` and
//! whatever else is there is passed over.
//!
//! Invariant: nothing of a token is believed, but the name of its algorithm, before its signature is right; and there
//! is one algorithm.

use std::collections::BTreeSet;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kithdb::{Condition, Database, Error, Filter, Predicate, Result, Scalar, Select};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::Sha256;

use super::{Grant, Level, Rights};
use crate::error::Refusal;

/// Clocks may differ so far.
const LEEWAY_S: u64 = 30;

/// What tokens are checked with. Of the key, only the inner states of the hash are held.
#[derive(Clone)]
pub(super) struct Verifier(Hmac<Sha256>);

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood; there are none.
    crit: Option<IgnoredAny>,
}

/// What a token says.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    exp: Option<u64>,
    nbf: Option<u64>,
    access: Option<AccessIn>,
    value_exists: Option<ValueExists>,
}

/// Rights as tokens and configurations write them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum AccessIn {
    Everything(Everything),
    Of(Vec<GrantIn>),
}

#[derive(Debug, Deserialize)]
pub(super) enum Everything {
    #[serde(rename = "r")]
    Read,
    #[serde(rename = "m")]
    Manage,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantIn {
    collection: String,
    access: LevelIn,
    /// A restriction to points with some payload. The dialect has given it up; a token that asks for it would get more
    /// than it was meant to have.
    payload: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
enum LevelIn {
    #[serde(rename = "r")]
    Read,
    #[serde(rename = "prw")]
    Points,
    #[serde(rename = "rw")]
    Write,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValueExists {
    collection: String,
    matches: Vec<Pair>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    key: String,
    value: ScalarIn,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ScalarIn {
    Str(String),
    Int(i64),
    Bool(bool),
}

impl Verifier {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// The claims of a token, if it is signed with the key and counts at this time.
    ///
    /// # Errors
    /// Unauthorized, saying why.
    pub(super) fn read(&self, token: &str, now_s: u64) -> Result<Claims> {
        let malformed = || unauthorized("Invalid API key or JWT");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| malformed())?;
        if header.alg != "HS256" || header.crit.is_some() {
            return Err(unauthorized("a JWT must be signed with HS256"));
        }
        let signature = decode(signature)?;
        let is_signed = self.0.clone().chain_update(signed).verify_slice(&signature).is_ok();
        if !is_signed {
            return Err(unauthorized("the signature of the JWT is not that of the API key"));
        }
        let claims: Claims = serde_json::from_slice(&decode(claims)?)
            .map_err(|error| unauthorized(&format!("the claims of the JWT are not understood: {error}")))?;
        if claims.exp.is_some_and(|exp| exp.saturating_add(LEEWAY_S) < now_s) {
            return Err(unauthorized("the JWT has expired; get a new one"));
        }
        if claims.nbf.is_some_and(|nbf| nbf > now_s.saturating_add(LEEWAY_S)) {
            return Err(unauthorized("the JWT does not count yet"));
        }
        Ok(claims)
    }
}

impl Claims {
    /// The rights, and the point that must exist.
    ///
    /// # Errors
    /// Unauthorized for rights that cannot be.
    pub(super) fn into_rights(self) -> Result<(Rights, Option<ValueExists>)> {
        let rights = self.access.map_or(Ok(Rights::Manage), AccessIn::into_rights);
        let refused = |error: Error| {
            unauthorized(&format!("the JWT: {}: {}", error.field().unwrap_or_default(), error.message()))
        };
        Ok((rights.map_err(refused)?, self.value_exists))
    }
}

impl AccessIn {
    /// The rights.
    ///
    /// # Errors
    /// `InvalidArgument` naming the place.
    pub(super) fn into_rights(self) -> Result<Rights> {
        let grants = match self {
            Self::Everything(Everything::Read) => return Ok(Rights::ReadAll),
            Self::Everything(Everything::Manage) => return Ok(Rights::Manage),
            Self::Of(grants) => grants,
        };
        let mut seen = BTreeSet::new();
        let grant = |(position, grant): (usize, GrantIn)| {
            if grant.payload.is_some() {
                let why = "is not supported: rights are of whole collections; leave it out";
                return Err(Error::invalid(format!("access[{position}].payload"), why));
            }
            if !seen.insert(grant.collection.clone()) {
                let why = format!("{} stands twice; name each collection once", grant.collection);
                return Err(Error::invalid(format!("access[{position}].collection"), why));
            }
            let level = match grant.access {
                LevelIn::Read => Level::Read,
                LevelIn::Points => Level::Points,
                LevelIn::Write => Level::Write,
            };
            Ok(Grant { collection: grant.collection, level })
        };
        grants.into_iter().enumerate().map(grant).collect::<Result<_>>().map(Rights::Of)
    }
}

impl ValueExists {
    /// Checks that such a point exists, until a deadline.
    ///
    /// # Errors
    /// Unauthorized when there is none; `DeadlineExceeded`; what reading says.
    pub(super) fn check(self, db: &Database, deadline: Instant) -> Result<()> {
        let gone = || unauthorized("Invalid JWT, stateful validation failed");
        let collection = db.collection(&self.collection).map_err(|_| gone())?;
        let mut filter = Filter::default();
        for Pair { key, value } in self.matches {
            let value = match value {
                ScalarIn::Str(text) => Scalar::Str(text),
                ScalarIn::Int(number) => Scalar::Int(number),
                ScalarIn::Bool(flag) => Scalar::Bool(flag),
            };
            let path =
                key.parse().map_err(|_| unauthorized("value_exists.matches of the JWT has a bad key"))?;
            filter = filter.and(Condition::Field(path, Predicate::Any(vec![value])));
        }
        let page = collection.reading()?.until(deadline).scroll(&filter, None, 1, &Select::none())?;
        if page.points.is_empty() { Err(gone()) } else { Ok(()) }
    }
}

pub(super) fn unauthorized(why: &str) -> Error {
    Refusal::Unauthorized.of("api-key", why)
}

#[cfg(test)]
pub(super) mod tests {
    use kithdb::{Point, Schema};
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn signed(header: &Value, claims: &Value, key: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key").chain_update(&text);
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn read(claims: &Value) -> Result<Rights> {
        let token = signed(&json!({"alg": "HS256", "typ": "JWT"}), claims, "secret");
        Verifier::new(b"secret").read(&token, 1_000)?.into_rights().map(|(rights, _)| rights)
    }

    #[test]
    fn a_token_of_another_implementation_is_read() {
        // The example of RFC 7515, A.1: its claims and its key.
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0\
                     dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let verifier = Verifier::new(&URL_SAFE_NO_PAD.decode(key).expect("a key"));
        assert_eq!(verifier.read(token, 1_300_819_380).expect("it counts").exp, Some(1_300_819_380));
        verifier.read(token, 1_300_819_411).expect_err("expired");
    }

    #[test]
    fn claims_become_rights() {
        let of = |collection: &str, level| Grant { collection: collection.into(), level };
        let list =
            json!([{"collection": "a", "access": "r"}, {"collection": "b", "access": "rw", "payload": null}]);
        let cases = [
            (json!({}), Rights::Manage),
            (json!({"access": "m", "sub": "someone", "iat": 3}), Rights::Manage),
            (json!({"access": "r", "exp": 970}), Rights::ReadAll),
            (json!({"access": list}), Rights::Of(vec![of("a", Level::Read), of("b", Level::Write)].into())),
            (
                json!({"access": [{"collection": "a", "access": "prw"}]}),
                Rights::Of(vec![of("a", Level::Points)].into()),
            ),
            (json!({"access": []}), Rights::Of(Vec::new().into())),
        ];
        for (claims, rights) in cases {
            assert_eq!(read(&claims).expect("it counts"), rights, "{claims}");
        }
    }

    #[test]
    fn a_token_that_does_not_count_is_refused() {
        let cases = [
            (json!({"exp": 969}), "expired"),
            (json!({"exp": "never"}), "not understood"),
            (json!({"nbf": 1_031}), "not count yet"),
            (json!({"access": "rw"}), "not understood"),
            (json!({"access": [{"collection": "a", "access": "m"}]}), "not understood"),
            (
                json!({"access": [{"collection": "a", "access": "r", "payload": {"b": 1}}]}),
                "access[0].payload",
            ),
            (
                json!({"access": [{"collection": "a", "access": "r"}, {"collection": "a", "access": "rw"}]}),
                "access[1].collection",
            ),
            (json!({"value_exists": {"collection": "a"}}), "not understood"),
        ];
        for (claims, says) in cases {
            let error = read(&claims).expect_err("refused");
            assert!(error.message().contains(says), "{error}");
            assert_eq!(Refusal::behind(&error), Some(Refusal::Unauthorized), "{error}");
        }
    }

    #[test]
    fn nothing_but_the_one_algorithm_and_the_right_key_is_taken() {
        let verifier = Verifier::new(b"secret");
        let hs256 = json!({"alg": "HS256"});
        let good = signed(&hs256, &json!({}), "secret");
        verifier.read(&good, 0).expect("it counts");
        let (start, _) = good.rsplit_once('.').expect("parts");
        let none = signed(&json!({"alg": "none"}), &json!({}), "secret");
        let (none_start, _) = none.rsplit_once('.').expect("parts");
        let swapped = signed(&hs256, &json!({"access": "m"}), "other");
        let bad = [
            signed(&hs256, &json!({}), "Secret"),
            signed(&json!({"alg": "HS512"}), &json!({}), "secret"),
            signed(&json!({"alg": "HS256", "crit": ["x"]}), &json!({}), "secret"),
            none.clone(),
            format!("{none_start}."),
            format!("{start}."),
            start.to_owned(),
            format!("{good}A"),
            format!("{start}.AAAA"),
            swapped,
            "a.b.c".to_owned(),
            String::new(),
            "..".to_owned(),
        ];
        for token in bad {
            assert!(verifier.read(&token, 0).is_err(), "{token}");
        }
    }

    #[test]
    fn a_token_counts_while_its_point_is_there() {
        let db = Database::in_memory().expect("a database");
        let deadline = Instant::now() + std::time::Duration::from_secs(60);
        let exists = |matches: Value| -> Result<()> {
            let text = json!({"collection": "users", "matches": matches}).to_string();
            serde_json::from_str::<ValueExists>(&text).expect("a claim").check(&db, deadline)
        };
        let session = json!([{"key": "session", "value": "x"}, {"key": "n", "value": 1}]);
        exists(session.clone()).expect_err("no collection");
        let users = db.create_collection("users", Schema::new()).expect("a collection");
        exists(session.clone()).expect_err("no point");
        users.upsert(vec![Point::new(1).with("session", "x").with("n", 1)]).expect("written");
        exists(session.clone()).expect("there is one");
        exists(json!([{"key": "session", "value": "y"}])).expect_err("another value");
        exists(json!([{"key": "a[", "value": "y"}])).expect_err("no path");
        users.delete(vec![1.into()]).expect("deleted");
        exists(session).expect_err("it is gone");
    }
}
