//! Examples of each command, which stand behind its help.
//!
//! Invariant: every line that begins with `kithdb` is understood as it stands.

/// Of all commands together.
pub(super) const ALL: &str = "\
Begin with:
  kithdb ingest ./notes                    read a folder of documents into ./data
  kithdb search \"how are backups made?\"    find passages
  kithdb ask \"how are backups made?\"       get an answer with its citations
  kithdb serve                             over HTTP, on 127.0.0.1:6333

Exit codes: 0 done, 1 failed or found faulty, 2 not understood, 130 interrupted.";

pub(super) const SERVE: &str = "\
Examples:
  kithdb serve --data ./data
  kithdb serve --data ./data --log info --slow-query-ms 200
  kithdb serve --config kithdb.toml --listen 0.0.0.0:6333

Keys belong into the file or a variable: others see the flags of a process.
Each setting is also a key of the file and a variable: --hits-max, hits_max, KITHDB_HITS_MAX.
A flag counts before a variable, that before the file.";

pub(super) const CONFIG: &str = "\
Examples:
  kithdb config
  kithdb config --config kithdb.toml --hits-max 1000

What is printed is a file that says the same.";

pub(super) const INGEST: &str = "\
Examples:
  kithdb ingest ./notes
  kithdb ingest ./handbook -c handbook --label staff --chunk-size 200 --chunk-overlap 20";

pub(super) const SEARCH: &str = "\
Examples:
  kithdb search \"how are backups made?\"
  kithdb search \"error E4711\" --mode keyword -k 10 --where \"year >= 2020\"
  kithdb search \"backups\" -c handbook --url http://127.0.0.1:6333 --json";

pub(super) const ASK: &str = "\
Examples:
  kithdb ask \"how are backups made?\"
  kithdb ask \"how are backups made?\" --engine-url http://127.0.0.1:8080/v1
  kithdb ask \"how are backups made?\" --label staff --url http://127.0.0.1:6333 --json";

pub(super) const REEMBED: &str = "\
Examples:
  kithdb reembed notes notes-2 --model ./new-model
  kithdb reembed notes notes-2 --model ./new-model --from-model ./model --gate 0.01 --alias current";

pub(super) const EVAL: &str = "\
Examples:
  kithdb eval --questions questions.jsonl
  kithdb eval -c handbook --versus keyword --html report.html
  kithdb eval --answers --judge-url http://127.0.0.1:8081/v1 --json";

pub(super) const IMPORT: &str = "\
Examples:
  kithdb import points.parquet -c points
  kithdb import vectors.npy -c points --metric Cosine
  kithdb import - -c points --format jsonl --url http://127.0.0.1:6333";

pub(super) const EXPORT: &str = "\
Examples:
  kithdb export points points.parquet
  kithdb export points - --format jsonl --where \"year >= 2020\"";

pub(super) const SNAPSHOT: &str = "\
Examples:
  kithdb snapshot create -c notes
  kithdb snapshot list -c notes --json
  kithdb snapshot restore notes.snapshot -c notes";

pub(super) const STATUS: &str = "\
Examples:
  kithdb status
  kithdb status notes --url http://127.0.0.1:6333 --json

Only a server knows of what it was asked.";

pub(super) const DOCTOR: &str = "\
Examples:
  kithdb doctor --data ./data
  kithdb doctor --data ./data --repair

Ends with 1 if there are faults.";

pub(super) const BENCH: &str = "\
Examples:
  kithdb bench -c notes
  kithdb bench --points 100000 --dim 384 --ef 32,64,128";

pub(super) const COMPLETIONS: &str = "\
Examples:
  kithdb completions bash
  kithdb completions fish

In a shell: source <(kithdb completions bash)";

pub(super) const MCP: &str = "\
Examples:
  kithdb mcp --data ./data --read-only
  kithdb mcp --url http://127.0.0.1:6333";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::Cli;

    /// The words of a line, those in quotes together; what stands behind three spaces is said of it.
    fn words(line: &str) -> Vec<String> {
        let line = line.split("   ").next().unwrap_or_default();
        let (mut words, mut is_quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                c => words.last_mut().expect("there is one").push(c),
            }
        }
        words
    }

    #[test]
    fn every_command_has_examples_that_are_understood() {
        let all = Cli::command();
        let helps = all.get_subcommands().chain([&all]).map(|command| {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            (command.get_name().to_owned(), help)
        });
        for (name, help) in helps {
            let lines: Vec<&str> = help
                .lines()
                .filter_map(|line| line.strip_prefix("  "))
                .filter(|line| line.starts_with("kithdb"))
                .collect();
            assert!(lines.len() >= 2, "{name}: {help}");
            for line in lines {
                let read = Cli::command().try_get_matches_from(words(line));
                assert!(
                    read.is_ok(),
                    "{line}: {}",
                    read.err().map_or_else(String::new, |error| error.to_string())
                );
            }
        }
    }

    #[test]
    fn help_fits_a_terminal() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        }
    }
}
