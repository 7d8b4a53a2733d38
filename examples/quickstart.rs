//! The first minute: a database, two points, one hybrid query.

use kithdb::{Condition, Database, FieldKind, Language, Metric, Point, Result, Schema};

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let db = Database::open(folder.path())?;
    let schema = Schema::new().vector(3, Metric::Cosine).keyword(["text".parse()?], Language::English);
    let notes = db.create_collection("notes", schema.field("lang".parse()?, FieldKind::Keyword))?;
    notes.upsert(vec![
        Point::new(1).vector([0.9, 0.1, 0.0]).with("text", "A crate for vectors").with("lang", "en"),
        Point::new(2).vector([0.0, 0.2, 0.9]).with("text", "Ein Buch über Vektoren").with("lang", "de"),
    ])?;
    let query = notes.query().nearest([1.0, 0.0, 0.0]).keyword("crates");
    for hit in query.filter(Condition::equals("lang", "en")?).run()? {
        println!("{} {:.3} {}", hit.id, hit.score, hit.text("text").unwrap_or_default());
    }
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the quickstart");
}
