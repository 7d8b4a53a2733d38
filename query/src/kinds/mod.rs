//! Ranking that is neither by nearness nor by words: one file a kind, each a pure function of what it ranks.

pub(crate) mod alike;
pub(crate) mod diverse;
pub(crate) mod order;
pub(crate) mod rate;
pub(crate) mod sample;
