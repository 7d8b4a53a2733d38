//! The proof of KithDB, in one binary: it is linked once, and its tests share the cores.
//!
//! | module        | what it proves                                                              |
//! |---------------|-----------------------------------------------------------------------------|
//! | `model`       | any sequence of operations answers as a plain map would                     |
//! | `crash`       | what was acknowledged survives SIGKILL, what was not is whole or absent     |
//! | `conformance` | the same case gives the same answer through the crate and through HTTP      |
//! | `bad_input`   | what a client gets wrong is a 4xx that names the field and changes nothing  |
//! | `options`     | types of elements, codes and recall hold through restarts and rebuilds      |
//! | `explain`     | an answer says why, what it took, and that it is partial                    |
//! | `heal`        | a damaged index is healed and says so; damaged storage never answers wrongly|
//! | `sealed`      | segments are opened without reading rows; damage in them is found and healed|
//! | `compat`      | a directory of every released format opens                                  |
//! | `concurrency` | readers never wait for the writer, and see whole commits                    |
//! | `tidy`        | the sources keep to the rules of the house                                  |
//!
//! Nothing here needs a network or a file outside the repository. Longer runs: `KITHDB_MODEL_CASES`,
//! `KITHDB_CRASH_CYCLES`; the same run again: `KITHDB_CRASH_SEED`.

mod aliases;
mod bad_input;
mod compat;
mod concurrency;
mod configure;
mod conformance;
mod crash;
mod drift;
mod explain;
mod folder;
mod heal;
mod http;
mod model;
mod options;
mod pause;
mod sealed;
mod snapshots;
mod tidy;
