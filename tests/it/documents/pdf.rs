//! PDFs as programs make them that people write with (`tests/files/pages.py`): fonts embedded in part, glyphs that
//! only ToUnicode names, ligatures, words that the ends of lines divide.

use rag::{Skip, Source, parse};

fn read(name: &str) -> Result<Source, Skip> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/files/").to_owned() + name;
    parse(name, std::fs::read(path).expect("a file of the repository"))
}

#[test]
fn a_pdf_of_a_program_is_read_page_by_page() {
    let source = read("pages.pdf").expect("a PDF");
    let said = (source.title.as_str(), source.metadata.author.as_deref());
    assert_eq!(said, ("A harbour guide", Some("B. Keeper")));
    let ends = source.pages.iter().copied().skip(1).chain([source.text.len()]);
    let text = |(start, end): (usize, usize)| {
        source.text[start..end].split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let pages: Vec<String> = source.pages.iter().copied().zip(ends).map(text).collect();
    assert_eq!(
        pages,
        [
            "The office of the keepers An efficient officer files the first affidavit in the information desk of the harbour.",
            "Öffnungszeiten: täglich außer dienstags von 9 bis 17 Uhr. The fluffy waffle costs 4.50 € – or 5 $ at the pier.",
            "Boats leave every day at noon, the last one in September. The Anglo- Saxon museum stays open.",
        ]
    );
}

#[test]
fn a_pdf_that_a_password_opens_is_passed_over_and_says_so() {
    assert!(matches!(read("locked.pdf"), Err(Skip::Malformed(why)) if why.contains("encrypted")));
}
