//! The configuration of a server: a flag counts before the environment, that before a file, that before the default.
//!
//! There is one list of settings: the arguments of `kithdb serve`. A key of the file is the name of an argument with
//! `_` for `-`, and its value stands in the place of the default; so a setting that is added can be given in all three
//! ways.
//! Invariant: a key that is not known is an error. A secret is never printed, only its hash.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Keys;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command};
use kithdb::{Error, Result};
use serde_json::Value;

use super::serve::Serve;
use super::terminal::print;

/// Print the configuration that `kithdb serve` would have with these arguments, with where each value comes from
#[derive(Args)]
pub(super) struct Config {
    #[command(flatten)]
    serve: Serve,
}

/// The argument that names the file.
const CONFIG: &str = "config";

/// Arguments whose values are printed as their hashes.
const SECRETS: [&str; 4] = ["api_key", "alt_api_key", "read_only_api_key", "keys"];

/// Keys that are shown to others: their hashes would not do in their place.
const UNSEEN: [&str; 5] = ["engine_key", "rerank_key", "judge_key", "embed_api_key", "s3_secret_access_key"];

/// Variables of other commands.
const ELSEWHERE: [&str; 1] = ["KITHDB_READ_ONLY"];

/// Why there are no arguments.
#[derive(Debug)]
pub(super) enum Failure {
    /// As clap says it: an error, or the help that was asked for.
    Clap(clap::Error),
    File(Error),
}

/// A configuration file.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: String,
    /// From 1.
    line: usize,
    /// As they would be given on the command line.
    texts: Vec<String>,
}

/// Reads the arguments, over the file that they name.
///
/// # Errors
/// What clap says; `InvalidArgument` naming the key at fault, and its line.
pub(super) fn matches(
    command: &Command,
    arguments: &[OsString],
) -> std::result::Result<(ArgMatches, Option<File>), Failure> {
    let first = command.clone().try_get_matches_from(arguments).map_err(Failure::Clap)?;
    let Some((name, given)) = first.subcommand() else { return Ok((first, None)) };
    let Ok(Some(path)) = given.try_get_one::<PathBuf>(CONFIG) else { return Ok((first, None)) };
    let Some(known) = command.find_subcommand(name) else { return Ok((first, None)) };
    let file = File::open(path, known).map_err(Failure::File)?;
    let over = |known: Command| file.entries.iter().fold(known, Entry::apply);
    let command = command.clone().mut_subcommand(name, over);
    let matches = command.try_get_matches_from(arguments).map_err(|error| file.placed(error))?;
    Ok((matches, Some(file)))
}

impl Entry {
    fn apply(command: Command, entry: &Self) -> Command {
        command.mut_arg(&entry.key, |arg| arg.default_values(entry.texts.clone()))
    }
}

impl File {
    fn open(path: &Path, known: &Command) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::invalid(CONFIG, format!("{} cannot be read: {error}", path.display())).with_source(error)
        })?;
        Self::read(path, &text, known)
    }

    fn read(path: &Path, text: &str, known: &Command) -> Result<Self> {
        let line = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        // What the parser shows of the file may be a key: only its words are passed on.
        let malformed = |error: toml::de::Error| {
            let at = error.span().map_or(1, |span| line(span.start));
            Error::invalid(CONFIG, format!("{} line {at}: {}", path.display(), error.message()))
        };
        let places = toml::de::DeTable::parse(text).map_err(malformed)?;
        let values: toml::Table = toml::from_str(text).map_err(malformed)?;
        let entry = |(key, value): (String, toml::Value)| {
            let place = places.get_ref().keys().find(|place| place.get_ref().as_ref() == key);
            let line = place.map_or(1, |place| line(place.span().start));
            let at = format!("{} line {line}", path.display());
            let Some(arg) = settings(known).find(|arg| arg.get_id().as_str() == key) else {
                let keys = settings(known).map(|arg| arg.get_id().as_str()).collect::<Vec<_>>().join(", ");
                return Err(Error::invalid(key, format!("is not known ({at}); these are: {keys}")));
            };
            match texts(value)
                .filter(|texts| texts.len() == 1 || matches!(arg.get_action(), ArgAction::Append))
            {
                Some(texts) => Ok(Entry { key, line, texts }),
                None => Err(Error::invalid(key, format!("must be one text, number, true or false ({at})"))),
            }
        };
        let entries = values.into_iter().map(entry).collect::<Result<_>>()?;
        Ok(Self { path: path.to_owned(), entries })
    }

    /// An error of clap, told of the file if the value stands there.
    fn placed(&self, error: clap::Error) -> Failure {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.as_str(),
            _ => "",
        };
        let (arg, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
        let name =
            arg.split([' ', '=', '[']).next().unwrap_or_default().trim_start_matches('-').replace('-', "_");
        let found = self
            .entries
            .iter()
            .find(|entry| entry.key == name && entry.texts.iter().any(|text| text == value));
        let Some(Entry { key, line, .. }) = found else { return Failure::Clap(error) };
        let place = format!("{} line {line}", self.path.display());
        let why = match std::error::Error::source(&error) {
            Some(why) if why.is::<std::num::ParseIntError>() => {
                ": must be a whole number, 0 or larger".to_owned()
            }
            Some(why) => format!(": {why}"),
            None if value.is_empty() => ": is empty; give a value, or leave it out".to_owned(),
            None => String::new(),
        };
        Failure::File(Error::invalid(key, format!("cannot be {value:?} ({place}){why}")))
    }

    fn line(&self, key: &str) -> Option<usize> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.line)
    }
}

/// The arguments that are settings.
fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| ![CONFIG, "help", "version"].contains(&arg.get_id().as_str()))
}

/// A value as texts of a command line; nothing for what cannot be given there.
fn texts(value: toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::Array(values) => {
            let json = |value: toml::Value| match value {
                toml::Value::String(text) => Some(text),
                table @ toml::Value::Table(_) => serde_json::to_string(&table).ok(),
                _ => None,
            };
            values.into_iter().map(json).collect()
        }
        toml::Value::String(text) => Some(vec![text]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Float(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(flag) => Some(vec![flag.to_string()]),
        toml::Value::Table(_) | toml::Value::Datetime(_) => None,
    }
}

impl Config {
    /// Prints the configuration, as a file that can be used; then checks it.
    ///
    /// # Errors
    /// As for `kithdb serve`, before it opens anything but the files of TLS.
    pub(super) fn run(&self, command: &Command, given: &ArgMatches, file: Option<&File>) -> Result<ExitCode> {
        print(&shown(command, given, file));
        let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        print(&strangers(command, variables));
        self.serve.logging().check()?;
        self.serve.options()?.check()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn shown(command: &Command, matches: &ArgMatches, file: Option<&File>) -> String {
    let mut lines = vec![
        "# The configuration of kithdb serve. Keys are shown as their hashes, which may be used as keys."
            .to_owned(),
    ];
    for arg in settings(command) {
        let id = arg.get_id().as_str();
        let origin = origin(arg, matches, file);
        let given: Vec<String> = matches
            .get_raw(id)
            .into_iter()
            .flatten()
            .map(|text| text.to_string_lossy().into_owned())
            .collect();
        lines.push(match (value(id, &given), origin) {
            (Some(_), Some(origin)) if UNSEEN.contains(&id) => {
                format!("# {id} is set and not shown  # {origin}")
            }
            (Some(value), Some(origin)) => format!("{id} = {value}  # {origin}"),
            _ => format!("# {id} is not set"),
        });
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Says which variables are named as settings are, and are none: a slip of the pen would go unseen.
fn strangers(command: &Command, variables: impl Iterator<Item = String>) -> String {
    let known = |name: &String| {
        command.get_arguments().filter_map(Arg::get_env).any(|known| known.to_str() == Some(name.as_str()))
    };
    let mut strange: Vec<String> = variables
        .filter(|name| name.starts_with("KITHDB_") && !ELSEWHERE.contains(&name.as_str()) && !known(name))
        .map(|name| format!("# {name} is no setting, and does nothing here\n"))
        .collect();
    strange.sort_unstable();
    strange.concat()
}

/// Where a value comes from.
fn origin(arg: &Arg, matches: &ArgMatches, file: Option<&File>) -> Option<String> {
    let id = arg.get_id().as_str();
    let of_file = || {
        let file = file?;
        file.line(id).map(|line| format!("{} line {line}", file.path.display()))
    };
    Some(match matches.value_source(id)? {
        ValueSource::CommandLine => format!("--{}", arg.get_long().unwrap_or(id)),
        ValueSource::EnvVariable => {
            arg.get_env().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        }
        _ => of_file().unwrap_or_else(|| "default".to_owned()),
    })
}

/// A value as TOML; nothing if there is none.
fn value(id: &str, given: &[String]) -> Option<String> {
    if id == "keys" {
        let keys: Vec<toml::Value> = given.iter().flat_map(|text| masked(text)).collect();
        return (!keys.is_empty()).then(|| toml::Value::Array(keys).to_string());
    }
    let text = given.first()?;
    if given.len() > 1 {
        return Some(toml::Value::from(given.to_vec()).to_string());
    }
    if SECRETS.contains(&id) {
        return Some(toml::Value::String(Keys::hashed(text)).to_string());
    }
    let is_plain = text.parse::<i64>().is_ok_and(|number| number.to_string() == *text)
        || text.parse::<f64>().is_ok_and(|number| number.to_string() == *text && number.is_finite())
        || ["true", "false"].contains(&text.as_str());
    Some(if is_plain { text.clone() } else { toml::Value::String(text.clone()).to_string() })
}

/// Keys with rights of their own, each by its hash.
fn masked(text: &str) -> Vec<toml::Value> {
    let keys = match serde_json::from_str(text) {
        Ok(Value::Array(keys)) => keys,
        Ok(key) => vec![key],
        Err(_) => Vec::new(),
    };
    let mask = |mut key: Value| {
        let hash = Keys::hashed(key.get("key")?.as_str()?);
        key["key"] = hash.into();
        toml::Value::try_from(key).ok()
    };
    keys.into_iter().filter_map(mask).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::Cli;
    use super::*;

    /// What `kithdb config` shows with a file of this text and these flags.
    fn told(text: &str, flags: &[&str]) -> std::result::Result<String, Failure> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kithdb.toml");
        std::fs::write(&path, text).expect("written");
        let path = path.to_string_lossy().into_owned();
        let arguments = ["kithdb", "config", "--config", &path]
            .into_iter()
            .chain(flags.iter().copied())
            .map(OsString::from);
        let command = Cli::command();
        let (matches, file) = matches(&command, &arguments.collect::<Vec<_>>())?;
        let (name, given) = matches.subcommand().expect("a subcommand");
        Ok(shown(command.find_subcommand(name).expect("known"), given, file.as_ref()).replace(&path, "FILE"))
    }

    fn line(text: &str, flags: &[&str], key: &str) -> String {
        let told = told(text, flags).expect("a configuration");
        let start = format!("{key} ");
        let found = told.lines().find(|line| line.trim_start_matches("# ").starts_with(&start));
        found.unwrap_or_else(|| panic!("{key} is not in\n{told}")).to_owned()
    }

    #[test]
    fn a_value_that_is_none_says_what_it_must_be() {
        for (file, part) in [("hits_max = -1", "a whole number"), ("data = \"\"", "is empty")] {
            let Err(Failure::File(error)) = told(file, &[]) else { panic!("{file} is taken") };
            assert!(error.message().contains(part) && error.message().contains("line 1"), "{error}");
        }
    }

    #[test]
    fn a_flag_counts_before_the_file_and_that_before_the_default() {
        let file = "\nhits_max = 7\nno_auth = true\nsampled = 0.5\nlisten = \"127.0.0.1:7000\"\n";
        assert_eq!(line("", &[], "hits_max"), "hits_max = 1000000  # default");
        assert_eq!(line(file, &[], "hits_max"), "hits_max = 7  # FILE line 2");
        assert_eq!(line(file, &["--hits-max", "9"], "hits_max"), "hits_max = 9  # --hits-max");
        assert_eq!(line(file, &[], "no_auth"), "no_auth = true  # FILE line 3");
        assert_eq!(line(file, &["--no-auth=false"], "no_auth"), "no_auth = false  # --no-auth");
        assert_eq!(line("", &["--no-auth"], "no_auth"), "no_auth = true  # --no-auth");
        assert_eq!(line(file, &[], "sampled"), "sampled = 0.5  # FILE line 4");
        assert_eq!(line(file, &[], "listen"), "listen = \"127.0.0.1:7000\"  # FILE line 5");
        assert_eq!(line("", &[], "tls_cert"), "# tls_cert is not set");
        let origins = ["cors_origins = [\"http://a\", \"http://b\"]", "cors_origins = \"http://a,http://b\""];
        for file in origins {
            assert_eq!(line(file, &[], "cors_origins"), format!("{}  # FILE line 1", origins[0]));
        }
    }

    #[test]
    fn what_is_shown_is_a_file_that_says_the_same_and_no_secret() {
        let file = "api_key = \"hush1\"\n[[keys]]\nkey = \"hush2\"\naccess = [{collection = \"a b\", access = \"r\"}]\n\
                    [[keys]]\nkey = \"hush3\"\naccess = \"r\"\n";
        let first =
            told(file, &["--read-only-api-key", "hush4", "--data", "x \"y\""]).expect("a configuration");
        assert!(!first.contains("hush"), "{first}");
        assert_eq!(first.matches("sha256:").count(), 4, "{first}");
        for key in UNSEEN {
            let file = format!("snapshot_store = \"s3://a/b\"\n{key} = \"hush7\"");
            let shown = line(&file, &[], key);
            assert_eq!(shown, format!("# {key} is set and not shown  # FILE line 2"));
        }
        let values = |text: &str| toml::from_str::<toml::Table>(text).expect("TOML");
        let again = told(&first, &[]).expect("it can be used");
        assert_eq!(values(&first), values(&again));
        let json = r#"[{"key": "hush5", "access": "m"}, {"key": "hush6", "access": "r"}]"#;
        let list = line("", &["--keys", json], "keys");
        assert!(list.matches("sha256:").count() == 2 && !list.contains("hush"), "{list}");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_key_and_line() {
        for (text, key, says) in [
            ("\n\nlimits = 3", "limits", "line 3); these are: data, listen"),
            ("hits_max = 1\nhitz_max = 2", "hitz_max", "line 2)"),
            ("[access]\napi_key = \"x\"", "access", "line 1)"),
            ("hits_max = \"many\"", "hits_max", "line 1)"),
            ("\nhits_max = -1", "hits_max", "line 2)"),
            ("hits_max = [1, 2]", "hits_max", "line 1)"),
            ("listen = \"nowhere\"", "listen", "line 1)"),
            ("durability = \"some\"", "durability", "line 1)"),
            ("sampled = 2", "sampled", "line 1)"),
            ("no_auth = \"perhaps\"", "no_auth", "line 1)"),
            ("hits_max = 1\nhits_max = 2", "config", "line 2"),
            ("a = \n", "config", "line 1"),
            ("config = \"x\"", "config", "line 1)"),
        ] {
            match told(text, &[]) {
                Err(Failure::File(error)) => {
                    assert_eq!(error.field(), Some(key), "{text}: {error}");
                    assert!(error.message().contains(says), "{text}: {error}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let missing = ["kithdb", "serve", "--config", "/nowhere/kithdb.toml"].map(OsString::from);
        let failure = matches(&Cli::command(), &missing).expect_err("no file");
        assert!(matches!(failure, Failure::File(error) if error.field() == Some("config")));
    }

    #[test]
    fn a_variable_that_is_no_setting_is_told() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").expect("it is there");
        let variables = ["PATH", "KITHDB_HITS_MAX", "KITHDB_HITZ_MAX", "KITHDB_READ_ONLY", "KITHDB_CONFIG"];
        let told = strangers(serve, variables.iter().map(|name| (*name).to_owned()));
        assert_eq!(told, "# KITHDB_HITZ_MAX is no setting, and does nothing here\n");
    }

    #[test]
    fn every_setting_is_a_flag_a_variable_and_a_key() {
        let command = Cli::command();
        let serve = command.find_subcommand("serve").expect("it is there");
        for arg in settings(serve) {
            let id = arg.get_id().as_str();
            assert_eq!(arg.get_long(), Some(id.replace('_', "-").as_str()), "{id}");
            let variable = format!("KITHDB_{}", id.to_uppercase());
            assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(variable.as_str()), "{id}");
        }
    }
}
