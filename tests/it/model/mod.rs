//! The database beside a plain map: random operations on a real directory, and every answer compared.
//!
//! Heads are full after few rows, so that segments are made and merged all the while. Searches are exact here, so the
//! answers must be equal, not similar. Cost: about 0.2 s a case; `KITHDB_MODEL_CASES` sets how many.

mod draft;
mod drive;
mod plain;
mod question;
mod text;
mod writes;

use kithdb::{Codes, Datatype, Metric, VectorSpec};
use proptest::prelude::*;
use proptest::test_runner::Config;

use draft::Action;
use drive::World;

const CASES: u32 = 48;
const ACTIONS_MAX: usize = 40;

fn config() -> Config {
    let cases = std::env::var("KITHDB_MODEL_CASES").ok().and_then(|cases| cases.parse().ok());
    Config {
        cases: cases.unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    }
}

fn space(dim: usize) -> impl Strategy<Value = VectorSpec> {
    let choices = (
        prop::sample::select(Metric::ALL.to_vec()),
        prop::sample::select(Datatype::ALL.to_vec()),
        prop::sample::select(Codes::ALL.to_vec()),
    );
    choices.prop_map(move |(metric, datatype, codes)| {
        // Whole numbers have no length of 1.
        let datatype = if datatype.check(metric).is_ok() { datatype } else { Datatype::Float16 };
        VectorSpec::new(dim, metric).stored_as(datatype).found_by(codes)
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_sequence_of_operations_answers_as_a_plain_map(
        spaces in [space(3), space(2), space(4)],
        seal_rows in prop::sample::select(vec![2_u32, 9, 40, 32_768]),
        actions in prop::collection::vec(draft::action(), 1..ACTIONS_MAX),
    ) {
        let mut world = World::new(spaces, seal_rows);
        actions.iter().for_each(|action: &Action| world.act(action));
        world.finish();
    }
}
