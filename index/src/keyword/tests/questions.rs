//! Every option of a question beside its definition: any history, several fields, filters; and statistics that do not
//! depend on where a document stands.

use types::{Fuzzy, Operator};

use super::*;

fn query() -> impl Strategy<Value = KeywordQuery> {
    let text = prop::sample::select(vec![
        "stone fish",
        "river \"stone fish\"",
        "\"fish of stone\" bird fish",
        "rivr stnoe",
        "fis st",
        "\"bird\" \"stone river bird\"",
        "fish fish fsih",
        "nothing stone",
    ]);
    let weight = || prop::sample::select(vec![0.5_f32, 1.0, 3.0]);
    let fields = prop_oneof![
        Just(vec![]),
        weight().prop_map(|a| vec![("a", a)]),
        (weight(), weight()).prop_map(|(a, b)| vec![("b", b), ("a", a)]),
    ];
    let slop = prop::option::of(0_u32..3);
    let fuzzy = prop::option::of((0_u8..3, 0_usize..3));
    (text, fields, any::<bool>(), slop, any::<bool>(), fuzzy, prop::sample::select(vec![1.0_f32, 2.5]))
        .prop_map(|(text, fields, is_all, phrase_slop, is_prefix, fuzzy, boost)| {
            let path = |(path, weight): (&str, f32)| (path.parse().expect("a path"), weight);
            KeywordQuery {
                text: text.to_owned(),
                fields: fields.into_iter().map(path).collect(),
                operator: if is_all { Operator::All } else { Operator::Any },
                phrase_slop,
                is_prefix,
                fuzzy: fuzzy.map(|(distance, prefix_chars)| Fuzzy { distance, prefix_chars }),
                boost,
            }
        })
}

#[derive(Clone, Debug)]
enum Change {
    Add(Vec<Vec<String>>),
    Remove(usize),
    Commit,
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop::sample::select(vec!["fish", "fishy", "bird", "of", "stone", "stones", "river", "rover"]);
    let text = prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "));
    let texts = move || prop::collection::vec(text.clone(), 0..3);
    prop_oneof![
        8 => (texts(), texts()).prop_map(|(a, b)| Change::Add(vec![a, b])),
        3 => (0_usize..30).prop_map(Change::Remove),
        2 => Just(Change::Commit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_question_is_answered_as_it_is_defined(
        changes in prop::collection::vec(change(), 1..40),
        queries in prop::collection::vec(query(), 6),
    ) {
        let mut bench = Bench::of(field_of(2, Language::None));
        for change in changes {
            match change {
                Change::Add(texts) => {
                    let texts: Vec<Vec<&str>> =
                        texts.iter().map(|texts| texts.iter().map(String::as_str).collect()).collect();
                    bench.add_at(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
                }
                Change::Remove(position) => {
                    let version = bench.texts.keys().nth(position).copied();
                    if let Some(version) = version {
                        bench.texts.remove(&version);
                        bench.remove(version);
                    }
                }
                Change::Commit => bench.commit(),
            }
        }
        for query in &queries {
            bench.check(query)?;
            let accept: RoaringBitmap = (0..40).filter(|slot| slot % 3 != 0).collect();
            let view = bench.index.publish();
            let found = view.search(query, &bench.rows, &bench.alive, Some(&accept), 4).expect("a search");
            let mut naive = bench.naive(query);
            naive.retain(|scored| accept.contains(scored.slot.0));
            prop_assert_eq!(found.len(), naive.len().min(4), "{:?} {:?}", found, naive);
            for (found, naive) in found.iter().zip(&naive) {
                prop_assert!((found.score - naive.score).abs() < 1e-4, "{:?} {:?}", found, naive);
            }
        }
    }
}

impl Bench {
    /// Compares the best 1, 10 and 100, of which there are enough, with the definition.
    fn check_best(&self, query: &KeywordQuery, tolerance: f32) {
        let naive = self.naive(query);
        for k in [1, 10, 100] {
            let found = self.search(query.clone(), k);
            assert_eq!(found.len(), k);
            for (found, naive) in found.iter().zip(&naive) {
                assert!((found.score - naive.score).abs() < tolerance, "{query:?} {k} {found:?} {naive:?}");
            }
        }
    }
}

/// A block is bounded by what was best in it by its segment's own mean length. Here another document is best by the
/// mean of all, in both directions, and the tail has found enough documents that are better than the bound.
#[test]
fn nothing_is_missed_where_segments_differ_in_length() {
    let filled =
        |fish: usize, words: usize| format!("{} {}", "fish ".repeat(fish), "word ".repeat(words - fish));
    let (short, long) = (filled(1, 2), filled(20, 400));
    let cases = [
        (vec![&short; 383], &long, (400, "word ".repeat(800)), filled(2, 10)),
        (vec![&long; 255], &short, (5_000, "two words".to_owned()), filled(1, 8)),
    ];
    for (mut first, odd, (count, other), middling) in cases {
        let mut bench = Bench::of(field_of(1, Language::None));
        first.insert(200, odd);
        first.iter().for_each(|text| bench.put(text));
        bench.commit();
        (0..count).for_each(|_| bench.put(&other));
        bench.commit();
        (0..10).for_each(|_| bench.put(&middling));
        for (text, operator) in
            [("fish", Operator::Any), ("fish word", Operator::Any), ("word fish", Operator::All)]
        {
            bench.check_best(&KeywordQuery { operator, ..text.into() }, 1e-4);
        }
    }
}

/// A byte, as tantivy keeps lengths, has 40 and 41 words alike.
#[test]
fn a_document_is_as_long_as_it_is() {
    let mut bench = Bench::of(field_of(1, Language::None));
    for words in [40, 39] {
        bench.put(&format!("fish{}", " word".repeat(words)));
    }
    let prefix = KeywordQuery { is_prefix: true, ..KeywordQuery::new("fis") };
    for is_committed in [false, true] {
        for query in [KeywordQuery::new("fish"), prefix.clone()] {
            let found = bench.search(query, 2);
            let slots: Vec<Slot> = found.iter().map(|scored| scored.slot).collect();
            assert_eq!(slots, [Slot(1), Slot(0)], "{is_committed} {found:?}");
            assert!(found[0].score > found[1].score, "{is_committed} {found:?}");
        }
        bench.commit();
    }
}

/// The best by rounded lengths are not the best: over many blocks, in two segments and the tail.
#[test]
fn nothing_is_missed_where_lengths_are_rounded() {
    let mut bench = Bench::of(field_of(1, Language::None));
    for number in 0..2_000_usize {
        let (fish, stones, words) = (number % 4, number % 3, 40 + number * 37 % 160);
        bench.put(&format!("{}{}{}", "fish ".repeat(fish), "stone ".repeat(stones), "word ".repeat(words)));
        if number == 1_200 || number == 1_900 {
            bench.commit();
        }
    }
    for (text, operator) in
        [("fish", Operator::Any), ("fish stone", Operator::Any), ("stone fish", Operator::All)]
    {
        bench.check_best(&KeywordQuery { operator, ..text.into() }, 1e-5);
    }
}

#[test]
fn removed_documents_change_no_score() {
    let mut bench = Bench::new();
    let mut doomed = Vec::new();
    for number in 0..400 {
        let version = bench.add(&[&format!("fish {}", "stone ".repeat(number % 9))]);
        if number % 3 != 0 {
            doomed.push(version);
        }
        if number == 250 {
            bench.commit();
        }
    }
    let mut only = Bench::new();
    for number in (0..400).filter(|number| number % 3 == 0) {
        only.add(&[&format!("fish {}", "stone ".repeat(number % 9))]);
    }
    let scores = |bench: &Bench| -> Vec<f32> {
        bench.search("stone fish", 500).iter().map(|scored| scored.score).collect()
    };
    for version in doomed {
        bench.remove(version);
    }
    let expected = scores(&only);
    for _ in 0..3 {
        let found = scores(&bench);
        assert_eq!(found.len(), expected.len());
        let is_close = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(is_close, "{found:?} {expected:?}");
        bench.commit();
        bench.add(&[]);
    }
}

/// Each word was a walk through every dictionary, again where it stood again.
#[test]
fn a_question_has_so_many_words_in_other_spellings_and_each_once() {
    let mut bench = Bench::new();
    bench.add(&["he was running"]);
    bench.commit();
    let letter = |n: u8| char::from(b'a' + n);
    let words = |count: u8| {
        (0..count).map(|n| format!("q{}{}xq ", letter(n / 26), letter(n % 26))).collect::<String>()
    };
    let ask = |text: String| {
        let fuzzy = Some(Fuzzy { distance: 2, prefix_chars: 0 });
        let query = KeywordQuery { fuzzy, ..KeywordQuery::new(text) };
        bench.index.publish().search(&query, &bench.rows, &bench.alive, None, 9)
    };
    assert_eq!(ask(words(63) + "runing").expect("as many as may be").len(), 1);
    assert_eq!(ask("runing ".repeat(4_000)).expect("one word").len(), 1);
    let error = ask(words(65)).expect_err("too many");
    assert_eq!((error.kind(), error.field()), (types::ErrorKind::LimitExceeded, Some("query.keyword.fuzzy")));
    let plain = bench.index.publish().search(&words(65).as_str().into(), &bench.rows, &bench.alive, None, 9);
    assert_eq!(plain.expect("as they stand").len(), 0);
}

/// Words that all differ.
fn word(number: usize) -> String {
    let letter = |number: usize| char::from(b'a' + number as u8);
    format!("q{}{}x ", letter(number / 26), letter(number % 26))
}

/// Two segments, the first of more than one window, and a tail.
fn many_documents() -> Bench {
    let mut bench = Bench::of(field_of(1, Language::None));
    for number in 0..5_000 {
        bench.put(&format!("fish {}{}", word(number % 600), "stone ".repeat(number % 5)));
        if number == 4_400 || number == 4_900 {
            bench.commit();
        }
    }
    bench
}

#[test]
fn very_many_words_are_answered_as_few_are() {
    let bench = many_documents();
    let text = format!("stone fish {}", (0..100).map(word).collect::<String>());
    let naive = bench.naive(&KeywordQuery::new(text.as_str()));
    for k in [1, 10, 1_000] {
        let found = bench.search(text.as_str(), k);
        assert_eq!(found.len(), k);
        for (found, naive) in found.iter().zip(&naive) {
            assert!((found.score - naive.score).abs() < 1e-4, "{k} {found:?} {naive:?}");
        }
    }
    let all = KeywordQuery { operator: Operator::All, ..KeywordQuery::new(text) };
    assert_eq!(bench.search(all, 9), []);
}

/// Thousands of words were looked for in every document, however long it took.
#[test]
fn a_search_ends_with_its_time_and_what_it_found_is_no_other() {
    let bench = many_documents();
    let many = format!("stone fish {}", (0..100).map(word).collect::<String>());
    let all = KeywordQuery { operator: Operator::All, ..KeywordQuery::new("stone fish") };
    let prefix = KeywordQuery { is_prefix: true, ..KeywordQuery::new("fish q") };
    let texts = ["fish", "stone fish", "\"fish qaax\" stone", many.as_str()];
    let view = bench.index.publish();
    for query in texts.map(KeywordQuery::new).into_iter().chain([all, prefix]) {
        let scores = |found: Vec<Scored>| -> BTreeMap<u32, f32> {
            found.iter().map(|scored| (scored.slot.0, scored.score)).collect()
        };
        let whole = scores(bench.search(query.clone(), 10_000));
        let mut cut = 0;
        for looks in [0, 1, 2, 5, 10, 15, 20, 40, 1_000] {
            let left = std::cell::Cell::new(looks);
            let goes_on = |_: crate::Work| {
                left.set(left.get() - 1);
                left.get() >= 0
            };
            let gauge = crate::Gauge::new(Some(&goes_on));
            let shown = (&bench.rows, &bench.alive);
            let found = view.search_within(&query, shown, (None, 10_000), &gauge).expect("a search");
            let (found, work) = (scores(found), gauge.work());
            let is_so = |(slot, score): (&u32, &f32)| (whole[slot] - score).abs() < 1e-5;
            assert!(found.iter().all(is_so), "{query:?} {looks}");
            let is_cut = left.get() < 0;
            cut += usize::from(is_cut);
            assert!(is_cut || found.len() == whole.len(), "{query:?} {looks}");
            assert_eq!(work.wanted, if is_cut { 4_901 } else { 0 }, "{query:?} {looks}");
            assert!(work.distances <= work.wanted && (looks > 0 || found.is_empty()), "{query:?} {looks}");
        }
        assert!((2..9).contains(&cut), "{query:?}: {cut}");
    }
}

#[test]
fn beginnings_and_spellings_are_those_of_words_and_not_of_stems() {
    let mut bench = Bench::new();
    bench.add(&["he was running"]);
    bench.add(&["the databases"]);
    for is_committed in [false, true] {
        let prefix = |text: &str| {
            let query = KeywordQuery { is_prefix: true, ..text.into() };
            bench.search(query, 9).iter().map(|scored| scored.slot.0).collect::<Vec<_>>()
        };
        let fuzzy = |text: &str, distance| {
            let fuzzy = Some(Fuzzy { distance, prefix_chars: 1 });
            bench
                .search(KeywordQuery { fuzzy, ..text.into() }, 9)
                .iter()
                .map(|scored| scored.slot.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(prefix("runni"), [0], "{is_committed}");
        assert_eq!((prefix("ran"), prefix("run data"), prefix("th")), (vec![], vec![1, 0], vec![]));
        assert_eq!((fuzzy("runing", 1), fuzzy("dtabaess", 2)), (vec![0], vec![1]));
        assert_eq!((fuzzy("urnning", 1), fuzzy("runing", 0)), (vec![], vec![]));
        bench.commit();
    }
}

/// What the beginning stands for may be in documents alone that are gone: then the groups differ, and mean the same.
#[test]
fn a_word_that_is_asked_for_again_as_a_beginning_counts_once() {
    let mut bench = Bench::of(field_of(1, Language::None));
    let gone = bench.add(&["fishy"]);
    bench.add(&["fish of", "bird stone"]);
    bench.texts.remove(&gone);
    bench.remove(gone);
    let query = KeywordQuery { is_prefix: true, ..KeywordQuery::from("fish stone fish") };
    bench.check(&query).expect("as it is defined");
    bench.add(&["fishy stone"]);
    bench.check(&query).expect("as it is defined");
}
