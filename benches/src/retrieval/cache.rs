//! Embeddings kept on disk between runs: a raw file of little-endian f32, a row a text, in the order of the texts.
//!
//! Invariant: the file's name holds a hash of the model's revision and of all texts, so a file never answers for other
//! texts. A file that is shorter than its texts is what an interrupted run left: it is continued.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use kithdb::Result;
use sha2::{Digest, Sha256};

/// Texts that are embedded before they are written and progress is shown.
const STEP_TEXTS: usize = 128;

/// Makes the vectors of some texts, in their order.
type Embed<'a> = dyn Fn(&[&str]) -> Result<Vec<Vec<f32>>> + 'a;

/// Where the embeddings of these texts by that model are kept.
pub(super) fn place(folder: &Path, name: &str, kind: &str, revision: &str, texts: &[&str]) -> PathBuf {
    let mut hash = Sha256::new();
    hash.update(revision.as_bytes());
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("{name}-{kind}-{digest}.f32"))
}

/// The embeddings of the texts: read from `path`, and what is missing there is made and added.
///
/// # Errors
/// What `embed` returns; `Io`.
pub(super) fn embeddings(
    path: &Path,
    dim: usize,
    texts: &[&str],
    embed: &Embed<'_>,
) -> Result<Vec<Vec<f32>>> {
    let mut rows = read(path, dim)?;
    rows.truncate(texts.len());
    if rows.len() < texts.len() {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        // A row that was cut off by the interruption goes.
        file.set_len((rows.len() * dim * size_of::<f32>()) as u64)?;
        for step in texts[rows.len()..].chunks(STEP_TEXTS) {
            let made = embed(step)?;
            let bytes: Vec<u8> = made.iter().flatten().flat_map(|element| element.to_le_bytes()).collect();
            file.write_all(&bytes)?;
            rows.extend(made);
            eprintln!("{}: {} of {} embedded", path.display(), rows.len(), texts.len());
        }
    }
    Ok(rows)
}

fn read(path: &Path, dim: usize) -> Result<Vec<Vec<f32>>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = fs::read(path)?;
    let (elements, _) = bytes.as_chunks::<{ size_of::<f32>() }>();
    let elements: Vec<f32> = elements.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(elements.chunks_exact(dim).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_interrupted_file_is_continued_and_a_whole_one_only_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let texts: Vec<String> = (0..300).map(|at| "x".repeat(at)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let path = place(folder.path(), "a", "documents", "revision", &texts);
        let embedded = Cell::new(0);
        let embed = |texts: &[&str]| {
            embedded.set(embedded.get() + texts.len());
            Ok(texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect())
        };
        let first = embeddings(&path, 2, &texts, &embed).expect("embeds");
        assert_eq!((embedded.get(), first[299][0]), (300, 299.0));
        let bytes = fs::read(&path).expect("a file");
        fs::write(&path, &bytes[..8 * 290 + 3]).expect("cut");
        assert_eq!(embeddings(&path, 2, &texts, &embed).expect("continues"), first);
        assert_eq!(embeddings(&path, 2, &texts, &embed).expect("reads"), first);
        assert_eq!(embedded.get(), 310);
        assert_eq!(fs::read(&path).expect("a file"), bytes);
    }

    #[test]
    fn other_texts_and_other_models_have_other_files() {
        let at = |revision: &str, texts: &[&str]| place(Path::new(""), "a", "queries", revision, texts);
        assert_ne!(at("r", &["ab", "c"]), at("r", &["a", "bc"]));
        assert_ne!(at("r", &["a"]), at("s", &["a"]));
    }
}
