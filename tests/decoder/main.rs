//! The decoders by hand: `seeds FOLDER` writes what each is fuzzed from, in a folder of its name; `run NAME FILE` gives
//! it the bytes of a file, so that what a fuzzer or a test has found can be looked at.

use std::path::Path;
use std::process::ExitCode;

use decoders::{ALL, Decoder};

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let outcome = match given.as_slice() {
        ["seeds", folder] => ALL.iter().try_for_each(|decoder| write(decoder, Path::new(folder))),
        ["run", name, file] => match ALL.iter().find(|decoder| decoder.name == *name) {
            Some(decoder) => run(decoder, Path::new(file)),
            None => Err(std::io::Error::other(format!("there is no decoder `{name}`"))),
        },
        _ => Err(std::io::Error::other("say `seeds FOLDER` or `run NAME FILE`")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kithdb-decoder: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(decoder: &Decoder, folder: &Path) -> std::io::Result<()> {
    let folder = folder.join(decoder.name);
    std::fs::create_dir_all(&folder)?;
    for (number, bytes) in (decoder.seeds)().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:02}")), bytes)?;
    }
    Ok(())
}

fn run(decoder: &Decoder, file: &Path) -> std::io::Result<()> {
    let bytes = std::fs::read(file)?;
    let is_taken = (decoder.run)(&bytes);
    println!("{}: {}", decoder.name, if is_taken { "taken" } else { "refused" });
    Ok(())
}
