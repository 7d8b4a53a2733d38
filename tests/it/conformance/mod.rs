//! The same case through every door gives the same answer: the crate, and HTTP.
//!
//! The cases are data (`cases/*.json`): a schema, points, and steps with what must come out. Each door translates a
//! step into its own calls, so what is compared is the behaviour and not a door's words. After a step that must fail,
//! the points are counted: nothing may have changed. `cases/README.md` describes the form.

mod case;
mod embedded;
mod http;
mod kinds;
mod writes;

use std::panic::AssertUnwindSafe;
use std::path::Path;

use case::{Case, Door, Outcome, Step};
use embedded::EmbeddedDoor;
use http::HttpDoor;

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files = crate::folder::files(&folder);
    files.retain(|file| file.extension().is_some_and(|kind| kind == "json"));
    let cases: Vec<Case> = files.iter().flat_map(|file| case::read(file)).collect();
    let names: std::collections::BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    cases
}

/// Runs every case through a door, and shows all that failed.
fn run_all(door: impl Fn() -> Box<dyn Door>) {
    let mut failed = Vec::new();
    for case in cases() {
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| run(&case, &*door())));
        if ran.is_err() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "these cases failed: {failed:#?}");
}

fn run(case: &Case, door: &dyn Door) {
    door.create(&case.schema)
        .unwrap_or_else(|error| panic!("{}: the schema is refused: {error:?}", case.name));
    if !case.points.is_empty() {
        let points = Step::Upsert(case.points.clone());
        let outcome = door.perform(&points);
        assert!(matches!(outcome, Ok(Outcome::Done)), "{}: {outcome:?}", case.name);
    }
    for (position, (step, expected)) in case.steps.iter().enumerate() {
        let before = door.count();
        let outcome = door.perform(step);
        expected.check(&outcome, &format!("`{}`, step {position}, {step:?}", case.name));
        if outcome.is_err() {
            assert_eq!(door.count(), before, "`{}`, step {position} failed and changed something", case.name);
        }
    }
}

#[test]
fn the_crate_answers_every_case() {
    run_all(|| Box::new(EmbeddedDoor::new()));
}

/// The same from segments: before each step all rows become one.
#[test]
fn the_crate_answers_every_case_from_segments() {
    run_all(|| Box::new(EmbeddedDoor::sealed()));
}

#[test]
fn http_answers_every_case() {
    run_all(|| Box::new(HttpDoor::new()));
}
