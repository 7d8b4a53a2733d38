//! The formats on disk cannot change unnoticed: `docs/formats.md` carries the checksum of every file that describes
//! one.

use super::{none, root, sources};

/// Where formats are described.
const PLACES: [&str; 4] = [
    "storage/src/format/",
    "index/src/file/",
    "index/src/graph/calibration/bytes.rs",
    "index/src/segment/layout.rs",
];

#[test]
fn every_change_of_a_format_is_written_down() {
    let document = std::fs::read_to_string(root().join("docs/formats.md")).expect("docs/formats.md");
    let mut breaches = Vec::new();
    let mut files = 0;
    let is_format = |path: &str| PLACES.iter().any(|place| path.starts_with(place));
    for source in sources(&["rs"]).iter().filter(|source| is_format(&source.path)) {
        files += 1;
        let line = format!("| `{}` | `{:08x}` |", source.path, crc32c::crc32c(source.text.as_bytes()));
        if !document.lines().any(|written| written == line) {
            breaches.push(line);
        }
    }
    let listed =
        document.lines().filter_map(|line| line.strip_prefix("| `")).filter(|line| is_format(line)).count();
    if breaches.is_empty() && listed > files {
        breaches.push("a file is listed that is gone".to_owned());
    }
    none(
        "A format file changed. If the bytes on disk did: raise FORMAT_VERSION, add a fixture directory, describe the \
         change in docs/formats.md. Then put these lines there:",
        &breaches,
    );
}
