//! Whole sections in place of the chunks that were found.

use kithdb::{Change, Filter, Payload, PointId, Select, Selection, Value};
use serde_json::json;

use super::{Fake, Site};

/// A paragraph that is a chunk of its own, with a word that no other has.
fn paragraph(word: &str) -> String {
    format!("The {word} is here. {}", "Every lock has a key and a door beside it. ".repeat(13))
        .trim()
        .to_owned()
}

fn site(engine: Option<&Fake>) -> Site {
    let [a, b, c, d] = ["badger", "otter", "spider", "heron"].map(paragraph);
    let text = format!("# Locks\n\n{a}\n\n{b}\n\n{c}\n\n# Keys\n\n{d}\n");
    Site::of(&[("a.md", text.as_str())], engine)
}

/// The words of the passages of an answer, as they lie on disk.
fn words(site: &Site, more: &Value) -> Vec<Vec<&'static str>> {
    let mut rag = json!({"top_k": 1, "min_coverage": 0});
    more.as_object().into_iter().flatten().for_each(|(key, value)| rag[key] = value.clone());
    let answer = site.ask("Where is the otter?", &json!({"rag": rag}));
    let documents =
        answer.body["rag"]["documents"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone();
    let text = site.text("a.md");
    let passage = |document: &Value| {
        let place = |key: &str| document[key].as_u64().expect(key) as usize;
        let own = &text[place("start")..place("end")];
        ["badger", "otter", "spider", "heron"].into_iter().filter(|word| own.contains(word)).collect()
    };
    documents.iter().map(passage).collect()
}

#[test]
fn a_section_stands_in_place_of_its_chunk() {
    let site = site(None);
    assert_eq!(words(&site, &json!({})), [vec!["otter"]]);
    assert_eq!(words(&site, &json!({"parents": true})), [vec!["badger", "otter", "spider"]]);
    let both = words(&site, &json!({"parents": true, "top_k": 3, "merge": false}));
    assert!(both.contains(&vec!["badger", "otter", "spider"]), "{both:?}");
    let otters = both.iter().flatten().filter(|word| **word == "otter").count();
    assert_eq!(otters, 1, "a section is there once: {both:?}");
}

#[test]
fn a_section_ends_before_what_may_not_be_seen() {
    let site = site(None);
    let chunks = site.db.collection("documents").expect("ingested");
    let reading = chunks.reading().expect("a state");
    let page = reading.scroll(&Filter::default(), None, 100, &Select::default()).expect("chunks");
    let spider = |payload: &Payload| payload["text"].as_str().is_some_and(|text| text.contains("spider"));
    let ids: Vec<PointId> =
        page.points.iter().filter(|point| spider(&point.payload)).map(|point| point.id).collect();
    let payload = Payload::from_iter([("labels".to_owned(), json!(["keepers"]))]);
    chunks.change(Selection::Ids(ids), Change::SetPayload { payload, path: None }).expect("labelled");
    let seen = |labels: Value| words(&site, &json!({"parents": true, "labels": labels}));
    assert_eq!(seen(json!([])), [vec!["badger", "otter"]]);
    assert_eq!(seen(json!(["keepers"])), [vec!["badger", "otter", "spider"]]);
}

#[test]
fn a_section_is_no_larger_than_the_room() {
    let site = site(None);
    assert_eq!(words(&site, &json!({"parents": true, "prompt_tokens": 250})), [vec!["otter"]]);
    assert_eq!(words(&site, &json!({"parents": true, "prompt_tokens": 450})), [vec!["otter", "spider"]]);
}

#[test]
fn a_model_is_given_sections_that_it_has_room_for() {
    for (context, expected) in [(4_000, 3), (700, 2)] {
        let fake = Fake::start(context, &[]);
        let site = site(Some(&fake));
        let more = json!({"max_tokens": 100, "rag": {"top_k": 1, "min_coverage": 0, "parents": true}});
        assert_eq!(site.ask("Where is the otter?", &more).status, 200);
        let asked = fake.questions()[0]["messages"].to_string();
        let words = ["badger", "otter", "spider", "heron"].into_iter().filter(|word| asked.contains(word));
        assert!(words.clone().any(|word| word == "otter"), "{asked}");
        assert!(words.count() >= expected, "{asked}");
    }
}
