//! A server that misbehaves, and what a caller sees of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use types::ErrorKind;

use super::fake::{self, Act, DIM, Log};
use super::{Protocol, Provider};
use crate::Embedder;

fn provider(url: &str) -> Provider {
    Provider {
        url: format!("{url}/v1"),
        model: "m".into(),
        dim: Some(DIM),
        is_normalised: false,
        pause_max: Duration::from_millis(20),
        request_time_max: Duration::from_secs(5),
        ..Provider::default()
    }
}

fn embedder(acts: Vec<Act>, change: impl FnOnce(&mut Provider)) -> (Embedder, Arc<Log>) {
    let (url, log) = fake::start(acts);
    let mut provider = provider(&url);
    change(&mut provider);
    (Embedder::connect(&provider).expect("a provider"), log)
}

fn asked(log: &Log) -> usize {
    log.requests.lock().expect("a log").len()
}

#[test]
fn what_passes_is_waited_for_and_what_stays_is_an_error() {
    let slow = Act::Sleep(Duration::from_secs(3));
    let cases: [(Vec<Act>, usize); 7] = [
        (vec![Act::Say(429, "retry-after: 0\r\n", "slow down"), Act::Say(503, "", "loading")], 3),
        (vec![Act::Say(500, "", ""), Act::Say(502, "", ""), Act::Say(504, "", "")], 4),
        (vec![Act::BreakOff], 2),
        (vec![Act::Say(200, "", "<html>no JSON</html>")], 2),
        (vec![Act::Say(200, "", "{\"data\":[]}"), Act::WrongDim], 3),
        (vec![slow], 2),
        (vec![Act::Say(429, "retry-after: 9999\r\n", "")], 2),
    ];
    for (acts, requests) in cases {
        let told = format!("{acts:?}");
        let (embedder, log) =
            embedder(acts, |provider| provider.request_time_max = Duration::from_millis(1_500));
        assert_eq!(embedder.embed_query("a").expect(&told), fake::vector("a"), "{told}");
        assert_eq!(asked(&log), requests, "{told}");
    }
    let (embedder, log) = embedder(vec![Act::Say(401, "", "bad key: secret-key")], |provider| {
        provider.api_key = Some("secret-key".into());
    });
    let error = embedder.embed_query("a").expect_err("refused");
    assert_eq!((error.kind(), error.field()), (ErrorKind::Io, Some("model")), "no fault of who asks");
    assert!(error.to_string().contains("bad key") && !format!("{error:?}").contains("secret-key"));
    assert_eq!(log.requests.lock().expect("a log")[0].1, "Bearer secret-key");
    assert_eq!(asked(&log), 1, "what is refused is not tried again");
}

/// A key that was refused was told as a fault of the question, with a 400.
#[test]
fn who_is_at_fault_for_a_refusal_is_told() {
    use crate::engine::{Failure, FailureKind};
    for (status, kind, failure) in [
        (400, ErrorKind::InvalidArgument, None),
        (401, ErrorKind::Io, Some(FailureKind::Unauthorized)),
        (403, ErrorKind::Io, Some(FailureKind::Unauthorized)),
        (404, ErrorKind::Io, Some(FailureKind::NotFound)),
    ] {
        let (embedder, _) = embedder(vec![Act::Say(status, "", "no")], |_| ());
        let error = embedder.embed_query("a").expect_err("refused");
        assert_eq!((error.kind(), Failure::of(&error).map(|own| own.kind)), (kind, failure), "{status}");
    }
}

/// Embedding servers were asked by a client of their own, which said nothing of the trace.
#[test]
fn a_server_is_told_who_asks_it() {
    const SPAN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    crate::tell_traceparent(|| Some(SPAN.to_owned()));
    let (embedder, log) = embedder(Vec::new(), |_| ());
    embedder.embed_query("a").expect("a vector");
    let heads = log.heads.lock().expect("a log").join("\n");
    assert!(
        heads.contains(&format!("traceparent: {SPAN}")) && heads.contains("user-agent: kithdb/"),
        "{heads}"
    );
}

#[test]
fn attempts_end_and_the_error_says_what_was_seen() {
    let (embedder, log) = embedder(vec![Act::Say(503, "", "loading the model"); 9], |provider| {
        provider.attempts_max = 3;
    });
    let error = embedder.embed_documents(&["a"], &|_| ()).expect_err("never");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(
        error.to_string().contains("3 attempts") && error.to_string().contains("loading the model"),
        "{error}"
    );
    assert_eq!(asked(&log), 3);
    let mut nowhere = provider("http://127.0.0.1:9");
    (nowhere.dim, nowhere.attempts_max) = (None, 2);
    assert_eq!(Embedder::connect(&nowhere).err().expect("nobody there").kind(), ErrorKind::Busy);
}

#[test]
fn many_texts_go_in_batches_a_few_at_a_time_each_once() {
    let (embedder, log) = embedder(Vec::new(), |provider| {
        (provider.batch_texts_max, provider.requests_max) = (10, 3);
        provider.document_prefix = "doc: ".into();
    });
    let texts: Vec<String> = (0..95).map(|n| "x".repeat(n % 50)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed_documents(&texts, &|_| ()).expect("vectors");
    for (text, vector) in texts.iter().zip(&vectors) {
        assert_eq!(*vector, fake::vector(&format!("doc: {text}")));
    }
    assert_eq!(asked(&log), 5, "50 different texts, 10 a request");
    assert!((2..=3).contains(&log.at_once_max.load(Ordering::SeqCst)));
    assert_eq!(embedder.embed_documents(&texts, &|_| ()).expect("again"), vectors);
    assert_eq!(asked(&log), 5, "the cache has them");
    assert_eq!(embedder.embed_query("").expect("a query"), fake::vector(""), "a query is no document");
    assert_eq!(asked(&log), 6);
}

#[test]
fn a_batch_that_is_too_large_is_halved() {
    let (embedder, log) = embedder(vec![Act::AtMost(2); 40], |provider| provider.batch_texts_max = 8);
    let texts = ["a", "b", "c", "d", "e", "f", "g"];
    let vectors = embedder.embed_documents(&texts, &|_| ()).expect("vectors");
    assert_eq!(vectors, texts.map(fake::vector));
    assert!(asked(&log) <= 8);
    let (embedder, _) = self::embedder(vec![Act::AtMost(0)], |_| ());
    let error = embedder.embed_query("a").expect_err("too large by itself");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn both_protocols_give_vectors_of_length_one_and_the_same_identity() {
    let (openai, _) = embedder(Vec::new(), |provider| (provider.is_normalised, provider.dim) = (true, None));
    let (tei, log) = embedder(Vec::new(), |provider| {
        (provider.protocol, provider.is_normalised) = (Protocol::Tei, true);
        provider.url = provider.url.trim_end_matches("/v1").to_owned();
    });
    let vector = tei.embed_query("a").expect("a vector");
    assert_eq!(vector, openai.embed_query("a").expect("a vector"));
    assert!((vector.iter().map(|element| element * element).sum::<f32>() - 1.0).abs() < 1e-5);
    let (path, _, body) = log.requests.lock().expect("a log")[0].clone();
    assert_eq!((path.as_str(), &body["truncate"]), ("/embed", &true.into()));
    assert_eq!(tei.identity(), openai.identity());
    let changes: [fn(&mut Provider); 5] = [
        |provider| provider.model = "n".into(),
        |provider| provider.query_prefix = "q".into(),
        |provider| provider.document_prefix = "q".into(),
        |provider| provider.tokens_max = 100,
        |provider| provider.is_normalised = false,
    ];
    for change in changes {
        let (other, _) = embedder(Vec::new(), |provider| {
            provider.is_normalised = true;
            change(provider);
        });
        assert_ne!(other.identity().revision, openai.identity().revision);
    }
}

#[test]
fn what_the_configuration_has_wrong_is_named() {
    type Spoil = fn(&mut Provider);
    let cases: [(Spoil, &str); 6] = [
        (|provider| provider.url = "ftp://x".into(), "url"),
        (|provider| provider.url = "http://me:hush@127.0.0.1:9/v1".into(), "url"),
        (|provider| provider.model = String::new(), "model"),
        (|provider| provider.requests_max = 0, "requests_max"),
        (|provider| provider.dim = Some(0), "dim"),
        (|provider| provider.tokenizer = Some("absent.json".into()), "tokenizer"),
    ];
    for (change, field) in cases {
        let mut wrong = provider("http://127.0.0.1:9");
        change(&mut wrong);
        assert_eq!(Embedder::connect(&wrong).err().expect(field).field(), Some(field));
    }
}

#[test]
fn redirects_are_not_followed() {
    let (elsewhere, log) = fake::start(Vec::new());
    let target: &'static str = Box::leak(format!("location: {elsewhere}/v1/embeddings\r\n").into_boxed_str());
    let (embedder, _) = embedder(vec![Act::Say(307, target, ""); 9], |_| ());
    let began = Instant::now();
    assert!(embedder.embed_query("a").is_err());
    assert!(asked(&log) == 0 && began.elapsed() < Duration::from_secs(5));
}

/// Each query waited for every attempt, in a place where searches for vectors could run.
#[test]
fn a_server_that_is_away_costs_one_query_its_time() {
    let (embedder, log) = embedder(vec![Act::Say(503, "", "loading"); 2], |provider| {
        (provider.attempts_max, provider.pause_max) = (2, Duration::from_millis(500));
    });
    embedder.embed_query("a").expect_err("away");
    let error = embedder.embed_query("b").expect_err("told at once");
    assert_eq!((error.kind(), error.field()), (ErrorKind::Busy, Some("model")));
    assert!(error.to_string().contains("a moment ago"), "{error}");
    assert_eq!(asked(&log), 2, "it was not asked");
    assert_eq!(embedder.embed_documents(&["c"], &|_| ()).expect("documents go on"), [fake::vector("c")]);
    assert_eq!(embedder.embed_query("c").expect("the cache has it"), fake::vector("c"));
    std::thread::sleep(Duration::from_millis(550));
    assert_eq!(embedder.embed_query("b").expect("it is back"), fake::vector("b"));
}

#[test]
fn a_query_does_not_wait_as_long_as_a_server_would_have_it() {
    let later = Act::Say(503, "retry-after: 20\r\n", "loading");
    let (embedder, log) = embedder(vec![later], |provider| provider.pause_max = Duration::from_secs(30));
    let began = Instant::now();
    assert_eq!(embedder.embed_query("a").expect_err("too late").kind(), ErrorKind::Busy);
    assert!(asked(&log) == 1 && began.elapsed() < Duration::from_secs(5));
}
