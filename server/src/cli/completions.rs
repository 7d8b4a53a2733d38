//! `kithdb completions`: what a shell needs to complete commands.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;
use kithdb::Result;

use super::terminal::print;

/// Print completions for a shell, such as `source <(kithdb completions bash)`.
#[derive(Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, mut command: clap::Command) -> Result<ExitCode> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut command, "kithdb", &mut text);
        print(&String::from_utf8_lossy(&text));
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_gets_every_command() {
        for shell in Shell::value_variants() {
            let (mut command, mut text) = (super::super::Cli::command(), Vec::new());
            clap_complete::generate(*shell, &mut command, "kithdb", &mut text);
            let text = String::from_utf8(text).expect("text");
            for command in super::super::Cli::command().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell} lacks {}", command.get_name());
            }
        }
    }
}
