//! Documents: the first byte chooses the kind, the rest is the file, which is parsed and cut.
//!
//! Invariant: a document or a reason; chunks are in order, and texts of their source.

use rag::{Sizing, chunk, parse};

use crate::seed;

const NAMES: [&str; 8] = ["a.md", "a.html", "a.pdf", "a.csv", "a.jsonl", "a.txt", "a.rs", "a.tsv"];

const SIZING: Sizing<'static> = Sizing::Characters { chars_max: 60, overlap: 10 };

/// Parses a file, and cuts it.
pub fn run(bytes: &[u8]) -> bool {
    let Some((choice, body)) = bytes.split_first() else { return false };
    let Ok(source) = parse(NAMES[usize::from(*choice) % NAMES.len()], body.to_vec()) else { return false };
    let mut before = 0;
    for chunk in chunk(&source, &SIZING) {
        let text = source.text.get(chunk.start..chunk.end);
        assert!(text.is_some_and(|text| !text.trim().is_empty()), "{chunk:?} of {:?}", source.text);
        assert!(before <= chunk.start, "{chunk:?} begins before the one before it");
        before = chunk.start;
    }
    true
}

/// A file of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "---\ntitle: A guide\ndate: 2024-01-31\n---\n# A\n\nText, *marked*, [a link](b.md).\n\n## B\n\n\
         | a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nfn f() {}\n```\n\n- one\n- two\n",
        "<!doctype html><html lang=en><head><title>A</title><meta charset=utf-8><script>x</script></head>\
         <body><h1>A</h1><p>Text &amp; more<br>of it</p><table><tr><td>1<td>2</table><ul><li>one</ul></body>",
        "",
        "name,text\n\"a, b\",\"two\nlines\"\nc,\"it is \"\"quoted\"\"\"\n",
        "{\"title\": \"a\", \"text\": \"one\"}\n[1, {\"b\": null}]\n\"three\"\n",
        "= Guide\n\nA paragraph of some words.\n\nAnother, with \u{FC} and \u{1F600}.\n",
        "//! A file.\n\n/// A function.\nfn f<'a>(x: &'a str) -> u8 {\n    match x { \"a\" => 1, _ => 0 }\n}\n",
        "name\ttext\na\tb\n",
    ];
    let mut seeds: Vec<Vec<u8>> =
        texts.iter().enumerate().map(|(choice, text)| seed(choice, text.as_bytes())).collect();
    seeds[2] = seed(2, &pdf());
    seeds
}

/// A page with two lines.
fn pdf() -> Vec<u8> {
    let stream = "BT /F1 12 Tf 1 0 0 1 50 700 Tm [(First) -400 (line)] TJ 0 -14 Td (second) Tj ET";
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Count 1/Kids[4 0 R]>>".to_owned(),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>/Contents 5 0 R>>"
            .to_owned(),
        format!("<</Length {}>>stream\n{stream}\nendstream", stream.len()),
        "<</Title(A guide)/CreationDate(D:20240131120000+01'00')>>".to_owned(),
    ];
    let mut file = "%PDF-1.7\n".to_owned();
    let mut places = String::new();
    for (number, object) in (1..).zip(&objects) {
        places.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let (begin, count) = (file.len(), objects.len() + 1);
    file.push_str(&format!("xref\n0 {count}\n0000000000 65535 f \n{places}"));
    file.push_str(&format!("trailer\n<</Size {count}/Root 1 0 R/Info 6 0 R>>\nstartxref\n{begin}\n%%EOF\n"));
    file.into_bytes()
}
