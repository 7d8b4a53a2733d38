//! Reference figures: bm25s (stemmed by Snowball English, its stop words, k1 1.2, b 0.75), all-MiniLM-L6-v2 by
//! sentence-transformers (title and text, 256 tokens at most), their reciprocal rank fusion with k 60 over 1,000
//! documents a leg; all judged by pytrec_eval.

use super::Method;
use super::measure::Quality;

/// Keyword, vector, hybrid; each nDCG@10 and recall@100. The smallest collection comes first.
#[expect(clippy::approx_constant, reason = "0.3180 is a measured figure that happens to be near 1/π")]
const FIGURES: [(&str, [(f64, f64); 3]); 6] = [
    ("clapnq", [(0.9457, 0.997), (0.9848, 1.000), (0.9736, 1.000)]),
    ("anthropic_code", [(0.5871, 0.937), (0.5830, 0.919), (0.6816, 0.955)]),
    ("rustsec", [(0.9236, 0.998), (0.4325, 0.636), (0.6173, 0.974)]),
    ("cranfield", [(0.3758, 0.731), (0.3953, 0.776), (0.4235, 0.791)]),
    ("nfcorpus", [(0.3180, 0.247), (0.3159, 0.311), (0.3510, 0.326)]),
    ("scifact", [(0.6791, 0.913), (0.6451, 0.925), (0.7143, 0.955)]),
];

/// The collections that have reference figures.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FIGURES.iter().map(|(name, _)| *name)
}

/// What the reference reached, if it was measured on that collection.
pub(super) fn of(name: &str, method: Method) -> Option<Quality> {
    let (_, figures) = FIGURES.iter().find(|(known, _)| *known == name)?;
    let (ndcg, recall) = match method {
        Method::Keyword => figures[0],
        Method::Vector => figures[1],
        Method::Hybrid => figures[2],
        Method::Dbsf | Method::RelativeScore | Method::Adaptive(_) => return None,
    };
    Some(Quality { ndcg, recall })
}
