//! What is marked in a text is what was found.

use super::*;

fn marked(language: Language, query: &KeywordQuery, text: &str) -> Vec<String> {
    let mut bench = Bench::of(field_of(1, language));
    bench.add(&[text]);
    let marker = bench.index.publish().marker(query).expect("a marker");
    marker.spans(text).into_iter().map(|span| text[span].to_owned()).collect()
}

#[test]
fn stems_phrases_and_beginnings_are_marked_as_they_stand() {
    let text = "Größe: the Fishes fished; a red, red fox and the fox";
    let english = |query: KeywordQuery| marked(Language::English, &query, text);
    assert_eq!(english("fish".into()), ["Fishes", "fished"]);
    assert_eq!(english("the größe".into()), ["Größe"]);
    let phrase = |text: &str| KeywordQuery { phrase_slop: Some(0), ..text.into() };
    assert_eq!(english(phrase("\"red fox\"")), ["red", "fox"]);
    assert_eq!(english(phrase("\"red fox\" fox")), ["red", "fox", "fox"]);
    assert_eq!(english(phrase("\"fox red\"")), Vec::<String>::new());
    let prefix = KeywordQuery { is_prefix: true, ..KeywordQuery::new("fo") };
    assert_eq!(english(prefix), ["fox", "fox"]);
    assert_eq!(marked(Language::None, &"fox the".into(), text), ["the", "fox", "the", "fox"]);
    let code = "a HttpClient is no http_server, HTTP client";
    let in_code = |query: KeywordQuery| marked(Language::English, &query, code);
    assert_eq!(in_code("HttpClient".into()), ["HttpClient", "http", "HTTP", "client"]);
    assert_eq!(in_code(phrase("\"http client\"")), ["Http", "Client", "HTTP", "client"]);
}
