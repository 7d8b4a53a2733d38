//! What is analysed beforehand is what would be analysed by the writer.

use super::*;

/// Of two paths, with stems, phrases, words of parts, and documents without texts.
const TEXTS: [[&str; 2]; 6] = [
    ["The red river fox", "a HttpServer for foxes"],
    ["", "fox fox river"],
    ["red", ""],
    ["rivers run red", "the river of the fox"],
    ["", ""],
    ["fish", "http server"],
];

fn given() -> Vec<Vec<Vec<&'static str>>> {
    let of_path = |text: &&'static str| if text.is_empty() { Vec::new() } else { vec![*text] };
    TEXTS.iter().map(|texts| texts.iter().map(of_path).collect()).collect()
}

fn add_each(bench: &mut Bench, documents: &[Vec<Vec<&str>>]) {
    for texts in documents {
        bench.add_at(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

fn versions(bench: &Bench, count: usize) -> Vec<Version> {
    let first = u64::from(bench.head.rows());
    (first..first + count as u64).map(|row| Version(row * 2 + 1)).collect()
}

fn add_all(bench: &mut Bench, documents: &[Vec<Vec<&str>>]) {
    let (analysed, versions) = (bench.index.analyse(documents), versions(bench, documents.len()));
    for version in &versions {
        bench.alive.insert(append(&bench.head, *version));
    }
    assert!(bench.index.add_analysed(&versions, analysed));
    bench.seqno += documents.len() as u64;
}

fn questions() -> Vec<KeywordQuery> {
    let phrase = |text: &str| KeywordQuery { phrase_slop: Some(0), ..text.into() };
    let prefix = KeywordQuery { is_prefix: true, ..KeywordQuery::new("ri") };
    let field = KeywordQuery::new("fox").field("b".parse().expect("a path"), 2.0);
    vec!["red foxes".into(), "http".into(), phrase("\"red river\""), prefix, field]
}

/// Into an empty tail, behind documents of the same view, and behind those of a view before.
#[test]
fn documents_are_found_with_the_scores_that_they_have_one_by_one() {
    let mut each = Bench::of(field_of(2, Language::English));
    let mut all = Bench::of(field_of(2, Language::English));
    let given = given();
    for (published, part) in [(true, &given[..2]), (false, &given[2..]), (true, &given[..])] {
        add_each(&mut each, part);
        add_all(&mut all, part);
        assert_eq!(each.index.pending(), all.index.pending());
        assert_eq!(each.index.pending_bytes(), all.index.pending_bytes());
        if published {
            all.index.publish();
        }
    }
    for is_committed in [false, true] {
        for query in questions() {
            let expected = each.search(query.clone(), 20);
            assert!(!expected.is_empty(), "{query:?}");
            assert_eq!(all.search(query.clone(), 20), expected, "{query:?} {is_committed}");
        }
        assert_eq!(each.index.versions(), all.index.versions());
        each.commit();
        all.commit();
    }
    assert_eq!((all.index.version_max(), all.index.pending_bytes()), (each.index.version_max(), 0));
}

#[test]
fn what_is_held_already_or_is_of_another_index_is_not_added() {
    let (mut bench, other) = (Bench::of(field_of(2, Language::None)), Bench::of(field_of(2, Language::None)));
    let given = given();
    let next = versions(&bench, given.len());
    assert!(!bench.index.add_analysed(&next, other.index.analyse(&given)), "of another index");
    assert!(!bench.index.add_analysed(&next[1..], bench.index.analyse(&given)), "too few versions");
    assert_eq!((bench.index.pending(), bench.index.version_max()), (0, None));
    add_all(&mut bench, &given);
    assert!(!bench.index.add_analysed(&next, bench.index.analyse(&given)), "held already");
    assert_eq!((bench.index.pending(), bench.index.versions().len()), (5, 5));
    assert!(bench.index.add_analysed(&versions(&bench, 0), bench.index.analyse(&[])), "nothing");
}
