//! The proof of KithDB, in one binary: it is linked once, and its tests share the cores.
//!
//! | module        | what it proves                                                              |
//! |---------------|-----------------------------------------------------------------------------|
//! | `model`       | any sequence of operations answers as a plain map would                     |
//! | `crash`       | what was acknowledged survives SIGKILL, what was not is whole or absent     |
//! | `conformance` | the same case gives the same answer through the crate and through HTTP      |
//! | `access`      | every address asks for a key, and does for it what its rights allow         |
//! | `bulk`        | points in columns come back as they were; damaged ones break nothing         |
//! | `bad_input`   | what a client gets wrong is a 4xx that names the field and changes nothing  |
//! | `limits`      | each limit has its error; who is slow, or comes in masses, harms nobody else|
//! | `mcp`         | tools of models do what routes do, with the rights of who asks, and no more |
//! | `strict`      | what a collection's own settings refuse is refused, in the dialect's words  |
//! | `observed`    | the recall of live queries is measured, and told with its interval          |
//! | `options`     | types of elements, codes and recall hold through restarts and rebuilds      |
//! | `past`        | a past state is read as it was, and a cursor reads one state                |
//! | `writes`      | writes that read first lose nothing of each other, and stop at their limits |
//! | `explain`     | an answer says why, what it took, and that it is partial                    |
//! | `indexed`     | an index of a field changes no answer                                       |
//! | `rated`       | ratings by examples that look at few vectors find what all would give       |
//! | `heal`        | a damaged index is healed and says so; damaged storage never answers wrongly|
//! | `sealed`      | segments are opened without reading rows; damage in them is found and healed|
//! | `compat`      | a directory of every released format opens                                  |
//! | `concurrency` | readers never wait for the writer, and see whole commits                    |
//! | `tidy`        | the sources keep to the rules of the house                                  |
//!
//! Nothing here needs a network or a file outside the repository. Longer runs: `KITHDB_MODEL_CASES`,
//! `KITHDB_CRASH_CYCLES`; the same run again: `KITHDB_CRASH_SEED`.

mod access;
mod aliases;
mod bad_input;
mod bulk;
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
mod indexed;
mod limits;
mod mcp;
mod model;
mod observed;
mod options;
mod past;
mod pause;
mod rated;
mod sealed;
mod snapshots;
mod strict;
mod tidy;
mod writes;
