//! Which cores the process runs on: one for figures of one thread, all for others. By `taskset`, where there is one.

use std::process::{self, Command, Stdio};

use crate::machine;

/// The cores that the process may have.
pub(super) struct Cores {
    /// All of them as they are listed, and the last one; nothing where that is not known or not wanted.
    lists: Option<(String, String)>,
}

impl Cores {
    /// Those of this process now.
    pub(super) fn of_process() -> Self {
        let lists = machine::cores_allowed().map(|all| {
            let last = last(&all).to_owned();
            (all, last)
        });
        Self { lists }
    }

    /// Cores that stay as they are: for a process that does other things beside.
    pub(super) fn shared() -> Self {
        Self { lists: None }
    }

    /// Moves all threads to one core; whether that worked.
    pub(super) fn take_one(&self) -> bool {
        self.lists.as_ref().is_some_and(|(_, last)| move_to(last))
    }

    /// Gives all threads all cores again.
    pub(super) fn take_all(&self) {
        if let Some((all, _)) = &self.lists {
            move_to(all);
        }
    }
}

/// The last number of a list like `0-3,8`.
fn last(list: &str) -> &str {
    list.rsplit([',', '-']).next().unwrap_or(list)
}

fn move_to(list: &str) -> bool {
    let mut taskset = Command::new("taskset");
    taskset.args(["--all-tasks", "--cpu-list", "--pid", list]).arg(process::id().to_string());
    taskset.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_core_ends_the_list() {
        assert_eq!(["0-3,8", "0-1", "5"].map(last), ["8", "1", "5"]);
    }
}
