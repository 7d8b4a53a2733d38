//! The client of the serving engine: what comes of everything that an engine may do.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rag::engine::{
    Cancel, Chat, Engine, EngineOptions, Failure, FailureKind, Finish, Generated, Message, Role, Secret,
    Usage,
};

use super::engine::{Act, Fake};

fn engine(fake: &Fake) -> Engine {
    let options = EngineOptions {
        key: Secret::new("sk-secret"),
        first_time_max: Duration::from_millis(400),
        idle_time_max: Duration::from_millis(200),
        ..EngineOptions::new(&fake.url)
    };
    Engine::new(options).expect("an engine")
}

fn chat() -> Chat {
    Chat { messages: vec![Message::new(Role::User, "Why?")], answer_tokens_max: 16, ..Chat::default() }
}

fn ask(engine: &Engine) -> (String, kithdb::Result<Generated>) {
    let mut text = String::new();
    let made = engine.chat(&chat(), &Cancel::new(), &mut |piece| {
        text.push_str(piece);
        ControlFlow::Continue(())
    });
    (text, made)
}

const OVERFLOW: &str = r#"{"error":{"code":400,"message":"request (30 tokens) exceeds the available context size (20)",
    "type":"exceed_context_size_error","n_prompt_tokens":30,"n_ctx":20}}"#;

#[test]
fn every_way_to_answer_is_understood() {
    let usage = Some(Usage { prompt: 11, cached: 7, completion: 5 });
    let cases = [
        (Act::Say("It is so."), usage),
        (Act::SayWhole("It is so."), Some(Usage { prompt: 9, cached: 0, completion: 3 })),
        (Act::SayAndClose("It is so."), None),
        (Act::Wait(Duration::from_millis(150), "It is so."), usage),
        (Act::Say("<think>\nIs it so? </think>\n\nIt is so."), usage),
        (Act::SayWhole("<think>?</think>It is so."), Some(Usage { prompt: 9, cached: 0, completion: 3 })),
    ];
    for (act, usage) in cases {
        let fake = Fake::start(100, std::slice::from_ref(&act));
        let (text, made) = ask(&engine(&fake));
        assert_eq!(made.expect("an answer"), Generated { finish: Finish::Stop, usage }, "{act:?}");
        assert_eq!(text, "It is so.", "{act:?}");
        let asked = &fake.questions()[0];
        assert_eq!((asked["model"].as_str(), asked["stream"].as_bool()), (Some("fake"), Some(true)));
        assert!(
            fake.heads().iter().all(|head| head.to_lowercase().contains("authorization: bearer sk-secret"))
        );
    }
}

#[test]
fn every_failure_is_told_apart() {
    let overflow = FailureKind::ContextOverflow { prompt: Some(30), context: Some(20) };
    let late = Duration::from_secs(2);
    let error = r#"{"error":{"message":"the slot of sk-secret is gone","code":500}}"#;
    let cases = [
        (Act::Refuse(401, "", r#"{"error":"no such key: sk-secret"}"#), FailureKind::Unauthorized, 1),
        (Act::Refuse(404, "", r#"{"error":{"message":"no such model"}}"#), FailureKind::NotFound, 1),
        (Act::Refuse(400, "", OVERFLOW), overflow, 1),
        (Act::Refuse(500, "", "Internal Server Error"), FailureKind::Refused, 1),
        (Act::Refuse(429, "retry-after: 60\r\n", "{}"), FailureKind::RateLimited, 1),
        (Act::Cut("It is "), FailureKind::Cut, 1),
        (Act::Fail("It is ", error), FailureKind::Refused, 1),
        (Act::Babble, FailureKind::Garbled, 1),
        (Act::Wait(late, "It is so."), FailureKind::TimedOut, 1),
        (Act::Stall("It is ", late), FailureKind::TimedOut, 1),
    ];
    for (act, kind, asked) in cases {
        let fake = Fake::start(100, std::slice::from_ref(&act));
        let began = Instant::now();
        let error = ask(&engine(&fake)).1.expect_err("no answer");
        let failure = Failure::of(&error).expect("a failure");
        assert_eq!((failure.kind, error.field()), (kind, Some("engine")), "{act:?}: {error}");
        assert_eq!(fake.questions().len(), asked, "{act:?}");
        assert!(began.elapsed() < Duration::from_secs(1), "{act:?} took {:?}", began.elapsed());
        assert!(!format!("{error:?}").contains("sk-secret"));
    }
}

#[test]
fn what_passes_is_tried_again_until_something_was_passed_on() {
    let busy = Act::Refuse(503, "", r#"{"error":{"message":"Loading model"}}"#);
    let limited = Act::Refuse(429, "Retry-After: 1\r\n", "{}");
    let fake = Fake::start(100, &[busy, limited, Act::Say("Now.")]);
    let began = Instant::now();
    let (text, made) = ask(&engine(&fake));
    made.expect("an answer at last");
    assert_eq!((text.as_str(), fake.questions().len()), ("Now.", 3));
    assert!(began.elapsed() >= Duration::from_secs(1), "the engine asked for a second");
    let fake = Fake::start(100, &[busy, busy, busy, busy]);
    let error = ask(&engine(&fake)).1.expect_err("three times are enough");
    assert_eq!(
        (Failure::of(&error).map(|failure| failure.kind), fake.questions().len()),
        (Some(FailureKind::Overloaded), 3)
    );
    let fake = Fake::start(100, &[Act::Cut("It is "), Act::Say("It is so.")]);
    assert_eq!(
        (ask(&engine(&fake)).0.as_str(), fake.questions().len()),
        ("It is ", 1),
        "never twice the same words"
    );
}

#[test]
fn who_cancels_ends_the_generation() {
    let fake = Fake::start(100, &[Act::Drip]);
    let mut pieces = 0;
    let made = engine(&fake).chat(&chat(), &Cancel::new(), &mut |_| {
        pieces += 1;
        if pieces == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let kind = |error: &kithdb::Error| Failure::of(error).map(|failure| failure.kind);
    assert_eq!(kind(&made.expect_err("cancelled")), Some(FailureKind::Cancelled));
    assert!(fake.was_hung_up(), "the engine goes on");
    // Nobody waits any more while the engine still reads the prompt.
    let fake = Fake::start(100, &[Act::Wait(Duration::from_secs(3), "Too late.")]);
    let (cancel, began) = (Cancel::new(), Instant::now());
    let other = cancel.clone();
    let waiting = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        other.cancel();
    });
    let slow = Engine::new(EngineOptions::new(&fake.url)).expect("an engine");
    let made = slow.chat(&chat(), &cancel, &mut |_| ControlFlow::Continue(()));
    assert_eq!(kind(&made.expect_err("cancelled")), Some(FailureKind::Cancelled));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    waiting.join().expect("no panic");
}

#[test]
fn an_engine_that_cannot_be_reached_is_left_alone_for_a_while() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", gone.local_addr().expect("an address"));
    drop(gone);
    let engine = Engine::new(EngineOptions::new(&url)).expect("an engine");
    let mut said = Vec::new();
    for _ in 0..6 {
        let error = engine.known().expect_err("nobody is there");
        assert_eq!(
            Failure::of(&error).map(|failure| failure.kind),
            Some(FailureKind::Unavailable),
            "{error}"
        );
        said.push(Failure::of(&error).and_then(|failure| failure.retry_after).is_some());
    }
    assert_eq!(said, [false, false, false, false, false, true]);
}

#[test]
fn settings_that_cannot_be_are_named() {
    let with = |change: &dyn Fn(&mut EngineOptions)| {
        let mut options = EngineOptions::new("http://127.0.0.1:1/v1");
        change(&mut options);
        Engine::new(options).map(drop).map_err(|error| error.field().map(str::to_owned))
    };
    assert_eq!(with(&|_| ()), Ok(()));
    for url in ["", "127.0.0.1:80", "file:///etc/passwd", "http://", "a b", "http://me:hush@127.0.0.1:1/v1"] {
        let refused = with(&|options| url.clone_into(&mut options.url));
        assert_eq!(refused, Err(Some("engine_url".to_owned())), "{url}");
    }
    assert_eq!(with(&|options| options.key = Secret::new("a\nb")), Err(Some("engine_key".to_owned())));
    assert_eq!(with(&|options| options.calls_max = 0), Err(Some("engine_calls_max".to_owned())));
}

#[test]
fn tokens_are_counted_by_the_engine_or_estimated_and_said_to_be() {
    let text = "one two three four";
    let exact = engine(&Fake::start(100, &[])).count(text);
    assert_eq!((exact.tokens, exact.is_exact), (4, true));
    let messages = [Message::new(Role::System, "one two"), Message::new(Role::User, "three")];
    let texts = engine(&Fake::start(100, &[])).count_messages(&messages);
    assert!(texts.tokens >= 3 && !texts.is_exact, "its tokenizer knows no template: {texts:?}");
    let template = engine(&Fake::counting_messages(100)).count_messages(&messages);
    assert_eq!((template.tokens, template.is_exact), (3 + 2 * 4, true));
    let fake = Fake::without_tokenizer(100, &[]);
    let engine = engine(&fake);
    let estimate = engine.count(text);
    assert!(estimate.tokens >= 4 && !estimate.is_exact, "{estimate:?}");
    let asked = fake.heads().len();
    engine.count(text);
    assert_eq!(fake.heads().len(), asked, "who has no tokenizer is not asked for it again");
}
