//! The proof of KithDB, in one binary: it is linked once, and its tests share the cores.
//!
//! | module        | what it proves                                                              |
//! |---------------|-----------------------------------------------------------------------------|
//! | `model`       | any sequence of operations answers as a plain map would                     |
//! | `crash`       | what was acknowledged survives SIGKILL, losses of power and failing disks    |
//! | `conformance` | the same case gives the same answer through the crate and through HTTP      |
//! | `access`      | every address asks for a key, and does for it what its rights allow         |
//! | `answer`      | answers rest on what is stored, whatever the engine does and the documents say|
//! | `command`     | the command line says what to do, where it belongs, and ends with its code |
//! | `bulk`        | points in columns come back as they were; damaged ones break nothing         |
//! | `backup`      | a backup made under load is one commit; newer formats are refused           |
//! | `called`      | a point is called by any text, wherever an id may stand                      |
//! | `bad_input`   | what a client gets wrong is a 4xx that names the field and changes nothing  |
//! | `limits`      | each limit has its error; who is slow, or comes in masses, harms nobody else|
//! | `mangled`     | decoders refuse or take whatever bytes they are given (as `fuzz/`, for longer)|
//! | `small`       | a small request takes little, whatever one part of it multiplies            |
//! | `mcp`         | tools of models do what routes do, with the rights of who asks, and no more |
//! | `strict`      | what a collection's own settings refuse is refused, in the dialect's words  |
//! | `documents`   | uploads become chunks, whatever ends the process meanwhile                  |
//! | `observability` | what a server tells of itself is well formed, whole, and no secret       |
//! | `observed`    | the recall of live queries is measured, and told with its interval          |
//! | `drifted`     | vectors that are unlike what their collection holds are told                |
//! | `learned`     | weights of words are learned, kept, used, shown and taken back               |
//! | `options`     | types of elements, codes and recall hold through restarts and rebuilds      |
//! | `past`        | a past state is read as it was, and a cursor reads one state                |
//! | `writes`      | writes that read first lose nothing of each other, and stop at their limits |
//! | `fresh`       | ids that are put without a look are there once, whatever came before          |
//! | `explain`     | an answer says why, what it took, and that it is partial                    |
//! | `indexed`     | an index of a field changes no answer                                       |
//! | `plans`       | any plan finds what the naive one finds, within the recall that is asked for |
//! | `rated`       | ratings by examples that look at few vectors find what all would give       |
//! | `heal`        | a damaged index is healed and says so; damaged storage never answers wrongly|
//! | `sweep`       | damage of any file is found or harmless, and never answered with            |
//! | `full`        | a full disk takes deletes and answers searches, and goes on when it is not   |
//! | `sealed`      | segments are opened without reading rows; damage in them is found and healed|
//! | `compat`      | a directory of every released format opens                                  |
//! | `concurrency` | readers never wait for the writer, and see whole commits                    |
//! | `linear`      | calls at once behave as if they came in turn; a view shows one commit       |
//! | `tidy`        | the sources keep to the rules of the house                                  |
//!
//! Nothing here needs a network or a file outside the repository. Longer runs: `KITHDB_MODEL_CASES`, and what
//! `make faults` sets; the same run again: `KITHDB_CRASH_SEED`.

mod access;
mod aliases;
mod answer;
mod backup;
mod bad_input;
mod bm25;
mod bulk;
mod called;
mod command;
mod compat;
mod concurrency;
mod configure;
mod conformance;
mod crash;
mod documents;
mod drift;
mod drifted;
mod explain;
mod folder;
mod fresh;
mod full;
mod heal;
mod http;
mod indexed;
mod learned;
mod limits;
mod linear;
mod mangled;
mod mcp;
mod model;
mod observability;
mod observed;
mod options;
mod past;
mod pause;
mod plans;
mod rated;
mod sealed;
mod small;
mod snapshots;
mod strict;
mod sweep;
mod tidy;
mod writes;
