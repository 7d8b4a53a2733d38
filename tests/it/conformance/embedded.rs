//! The crate as a door: a case's JSON becomes values of the crate.

use kithdb::{
    Codes, Collection, Condition, CountRange, Database, Datatype, Error, ErrorKind, FieldPath, Filter,
    Fusion, GeoArea, GeoPoint, Grouping, Language, MinShould, Params, Payload, PayloadSelect, Point, PointId,
    Predicate, Query, Range, Request, Result, Scalar, Schema, Select, SparseSpec, SparseVector, TimeRange,
    Value, Vector, VectorSelect, VectorSpec, datetime,
};
use serde_json::json;

use super::case::{Door, Outcome, Refusal, Step};
use super::writes;

const NAME: &str = "case";

pub(super) struct EmbeddedDoor {
    db: Database,
    /// Every step finds all rows in one segment.
    is_sealed: bool,
}

impl EmbeddedDoor {
    pub(super) fn new() -> Self {
        Self { db: Database::in_memory().expect("a database"), is_sealed: false }
    }

    pub(super) fn sealed() -> Self {
        Self { is_sealed: true, ..Self::new() }
    }

    fn collection(&self) -> Collection {
        self.db.collection(NAME).expect("it was created")
    }

    fn run(&self, step: &Step) -> Result<Outcome> {
        let done = |_| Outcome::Done;
        match step {
            Step::Create(name, schema) => {
                self.db.create_collection(name, schema_of(schema)?).map(|_| Outcome::Done)
            }
            Step::Upsert(points) => {
                self.collection().upsert(points.iter().map(point_of).collect::<Result<_>>()?).map(done)
            }
            Step::Write(verb, body) => {
                writes::apply(&self.collection(), vec![(String::new(), verb, body)]).map(done)
            }
            Step::Batch(operations) => writes::batch(&self.collection(), operations).map(done),
            Step::Transaction(operations) => writes::transact(&self.db, operations).map(done),
            Step::DeleteIds(ids) => self.collection().delete(ids_of(ids)?).map(done),
            Step::DeleteWhere(filter) => self.collection().delete_where(filter_of(filter)?).map(done),
            Step::CreateField(path, kind) => {
                let (path, name) = (path.parse()?, kind.as_str().or(kind["type"].as_str()));
                let kind_of = name.unwrap_or_default().parse()?;
                let params = kind.as_object().cloned().unwrap_or_default();
                self.collection().create_field_with(path, kind_of, params).map(done)
            }
            Step::DropField(path) => self.collection().drop_field(path.parse()?).map(done),
            Step::Get(ids) => {
                let points = self.collection().get(&ids_of(ids)?, &Select::all())?;
                Ok(Outcome::Points(points.iter().map(tree_of).collect(), None))
            }
            Step::Scroll(with) => self.scroll(with),
            Step::Count(filter) => Ok(Outcome::Count(self.collection().count(&filter_of(filter)?)? as u64)),
            Step::Query(with) => self.query(with),
            Step::Facet(with) => self.facet(with),
            Step::Groups(with) => self.groups(with),
        }
    }

    fn scroll(&self, with: &Value) -> Result<Outcome> {
        let from = with.get("offset").map(id_of).transpose()?;
        let limit = number(&with["limit"]).unwrap_or(10);
        let page =
            self.collection().scroll(&filter_of(&with["filter"])?, from, limit, &select_of(with, true)?)?;
        let next = page.next.map(|id| tree_of_id(&id));
        Ok(Outcome::Points(page.points.iter().map(tree_of).collect(), next))
    }

    fn query(&self, with: &Value) -> Result<Outcome> {
        let (hits, _) = self.collection().search(request_of(with)?, &select_of(with, false)?)?;
        let hit = |hit: kithdb::Hit| {
            let point = Point { id: hit.id, vectors: hit.vectors, payload: hit.payload };
            let mut tree = tree_of(&point);
            tree["score"] = json!(f64::from(hit.score));
            tree["highlight"] = super::kinds::tree_of_fragments(&hit.highlights);
            tree
        };
        Ok(Outcome::Points(hits.into_iter().map(hit).collect(), None))
    }

    fn facet(&self, with: &Value) -> Result<Outcome> {
        let path = with["key"].as_str().unwrap_or_default();
        let path: FieldPath = path.parse().map_err(|error: Error| error.with_field("key"))?;
        let limit = number(&with["limit"]).unwrap_or(10);
        let facets = self.collection().facets(&path, &filter_of(&with["filter"])?, limit)?;
        let row = |(value, count): (Scalar, usize)| json!([tree_of_scalar(&value), count]);
        Ok(Outcome::Rows(facets.into_iter().map(row).collect()))
    }

    fn groups(&self, with: &Value) -> Result<Outcome> {
        let grouping = Grouping {
            path: with["group_by"].as_str().unwrap_or_default().parse()?,
            groups: number(&with["limit"]).unwrap_or(10),
            size: number(&with["group_size"]).unwrap_or(3),
        };
        let groups = self.collection().groups(request_of(with)?, &grouping, &Select::none())?;
        let row = |group: kithdb::Group| {
            let ids = group.hits.iter().map(|hit| tree_of_id(&hit.id));
            std::iter::once(tree_of_scalar(&group.value)).chain(ids).collect()
        };
        Ok(Outcome::Rows(groups.into_iter().map(row).collect()))
    }
}

fn tree_of_scalar(value: &Scalar) -> Value {
    match value {
        Scalar::Str(text) => text.as_str().into(),
        Scalar::Int(number) => (*number).into(),
        Scalar::Bool(flag) => (*flag).into(),
    }
}

impl Door for EmbeddedDoor {
    fn create(&self, schema: &Value) -> std::result::Result<(), Refusal> {
        let created = schema_of(schema).and_then(|schema| self.db.create_collection(NAME, schema));
        created.map(|_| ()).map_err(|error| refusal(&error))
    }

    fn perform(&self, step: &Step) -> std::result::Result<Outcome, Refusal> {
        if self.is_sealed {
            self.collection().optimize(true).expect("a segment");
            let status = self.collection().status();
            assert_eq!((status.head_rows, status.segments.len()), (0, usize::from(status.points > 0)));
        }
        self.run(step).map_err(|error| refusal(&error))
    }

    fn count(&self) -> u64 {
        self.collection().count(&Filter::default()).expect("a count") as u64
    }
}

fn refusal(error: &Error) -> Refusal {
    let kind = match error.kind() {
        // Both are the caller's fault, and HTTP has one status for them.
        ErrorKind::InvalidArgument | ErrorKind::LimitExceeded => "invalid",
        ErrorKind::NotFound => "not_found",
        ErrorKind::AlreadyExists => "exists",
        ErrorKind::Conflict => "conflict",
        other => panic!("{other:?}: {error}"),
    };
    Refusal { kind, field: error.field().map(str::to_owned) }
}

pub(super) fn bad(field: &str) -> Error {
    Error::invalid(field, "is not written as cases are")
}

fn number(tree: &Value) -> Option<usize> {
    tree.as_u64().and_then(|number| usize::try_from(number).ok())
}

pub(super) fn list<'a>(tree: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    tree.as_array().ok_or_else(|| bad(field))
}

pub(super) fn elements_of(tree: &Value) -> Result<Vec<f32>> {
    let elements = list(tree, "vector")?;
    elements.iter().map(|element| element.as_f64().map(|e| e as f32).ok_or_else(|| bad("vector"))).collect()
}

pub(super) fn sparse_of(tree: &Value) -> Result<SparseVector> {
    let index = |index: &Value| {
        index.as_u64().and_then(|index| u32::try_from(index).ok()).ok_or_else(|| bad("indices"))
    };
    let indices = list(&tree["indices"], "indices")?.iter().map(index).collect::<Result<_>>()?;
    Ok(SparseVector { indices, values: elements_of(&tree["values"])? })
}

pub(super) fn vector_of(tree: &Value) -> Result<Vector> {
    match tree {
        Value::Object(_) => sparse_of(tree).map(Vector::from),
        Value::Array(rows) if rows.first().is_some_and(Value::is_array) => {
            rows.iter().map(elements_of).collect::<Result<_>>().map(Vector::Multi)
        }
        elements => elements_of(elements).map(Vector::from),
    }
}

pub(super) fn id_of(tree: &Value) -> Result<PointId> {
    match tree {
        Value::Number(number) => number.as_u64().map(PointId::Num).ok_or_else(|| bad("id")),
        Value::String(text) => text.parse(),
        _ => Err(bad("id")),
    }
}

pub(super) fn ids_of(tree: &Value) -> Result<Vec<PointId>> {
    list(tree, "ids")?.iter().map(id_of).collect()
}

fn tree_of_id(id: &PointId) -> Value {
    match id {
        PointId::Num(num) => json!(num),
        PointId::Uuid(_) => json!(id.to_string()),
    }
}

fn tree_of(point: &Point) -> Value {
    let vectors: Payload =
        point.vectors.iter().map(|(name, vector)| (name.clone(), tree_of_vector(vector))).collect();
    json!({"id": tree_of_id(&point.id), "payload": point.payload, "vectors": vectors})
}

fn tree_of_vector(vector: &Vector) -> Value {
    match vector {
        Vector::Dense(elements) => floats(elements),
        Vector::Multi(rows) => rows.iter().map(|row| floats(row)).collect(),
        Vector::Sparse(SparseVector { indices, values }) => {
            json!({"indices": indices, "values": floats(values)})
        }
    }
}

fn floats(elements: &[f32]) -> Value {
    elements.iter().map(|element| f64::from(*element)).collect::<Vec<f64>>().into()
}

pub(super) fn point_of(tree: &Value) -> Result<Point> {
    let point =
        Point::new(id_of(&tree["id"])?).payload(tree["payload"].as_object().cloned().unwrap_or_default());
    match &tree["vector"] {
        Value::Null => Ok(point),
        Value::Object(named) => named
            .iter()
            .try_fold(point, |point, (name, vector)| Ok(point.named_vector(name, vector_of(vector)?))),
        vector => Ok(point.vector(vector_of(vector)?)),
    }
}

fn schema_of(tree: &Value) -> Result<Schema> {
    let mut schema = Schema::new();
    for (name, spec) in tree["vectors"].as_object().into_iter().flatten() {
        schema = match spec.get("multivector_config") {
            Some(_) => schema.multi_vector(name, space_of(spec)?),
            None => schema.named_vector(name, space_of(spec)?),
        };
    }
    for (name, spec) in tree["sparse_vectors"].as_object().into_iter().flatten() {
        let modifier = spec["modifier"].as_str().map(str::parse).transpose()?;
        schema = schema.sparse_vector(name, SparseSpec { modifier, index: None });
    }
    schema.recall = tree["recall"].as_f64().map(|recall| recall as f32);
    schema.hybrid = tree.get("hybrid_weights").map(super::kinds::hybrid_weights);
    if let Some(keyword) = tree.get("keyword") {
        let language: Language = keyword["language"].as_str().unwrap_or("english").parse()?;
        schema = schema.keyword(paths_of(&keyword["paths"])?, language);
    }
    for (path, kind) in tree["fields"].as_object().into_iter().flatten() {
        schema = schema.field(path.parse()?, kind.as_str().ok_or_else(|| bad("fields"))?.parse()?);
    }
    Ok(schema)
}

fn space_of(tree: &Value) -> Result<VectorSpec> {
    let metric = tree["distance"].as_str().ok_or_else(|| bad("distance"))?.parse()?;
    let spec = VectorSpec::new(number(&tree["size"]).ok_or_else(|| bad("size"))?, metric);
    let datatype: Option<Datatype> = tree["datatype"].as_str().map(str::parse).transpose()?;
    let codes: Option<Codes> = tree["codes"].as_str().map(str::parse).transpose()?;
    Ok(spec.stored_as(datatype.unwrap_or_default()).found_by(codes.unwrap_or_default()))
}

fn paths_of(tree: &Value) -> Result<Vec<FieldPath>> {
    list(tree, "paths")?.iter().map(|path| path.as_str().ok_or_else(|| bad("paths"))?.parse()).collect()
}

fn select_of(with: &Value, is_payload_default: bool) -> Result<Select> {
    let payload = match &with["with_payload"] {
        Value::Null if is_payload_default => PayloadSelect::All,
        Value::Bool(true) => PayloadSelect::All,
        Value::Object(select) if select.contains_key("exclude") => {
            PayloadSelect::Except(paths_of(&select["exclude"])?)
        }
        Value::Object(select) => PayloadSelect::Only(paths_of(&select["include"])?),
        paths @ Value::Array(_) => PayloadSelect::Only(paths_of(paths)?),
        _ => PayloadSelect::None,
    };
    let vectors = match &with["with_vector"] {
        Value::Bool(true) => VectorSelect::All,
        Value::Array(names) => {
            VectorSelect::Named(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => VectorSelect::None,
    };
    let highlight = super::kinds::highlight_of(&with["highlight"])?;
    Ok(Select { payload, vectors, highlight })
}

fn request_of(with: &Value) -> Result<Request> {
    let legs = with["legs"].as_array().into_iter().flatten();
    let using = with["using"].as_str().unwrap_or_default().to_owned();
    let query = match (&with["nearest"], &with["keyword"], &with["rrf"], &with["query"]) {
        (Value::Object(_), ..) => Query::Nearest { vector: sparse_of(&with["nearest"])?.into(), using },
        (Value::Array(_), ..) => Query::Nearest { vector: vector_of(&with["nearest"])?.into(), using },
        (_, words @ (Value::String(_) | Value::Object(_)), ..) => {
            Query::Keyword(super::kinds::keyword_of(words)?)
        }
        (_, _, Value::Number(k), _) => Query::Fuse(Fusion::rrf(k.as_f64().unwrap_or_default() as f32)),
        (.., kind @ Value::Object(_)) => super::kinds::query_of(kind, using)?,
        _ => Query::ById,
    };
    Ok(Request {
        prefetch: legs.map(request_of).collect::<Result<_>>()?,
        query,
        filter: filter_of(&with["filter"])?,
        limit: number(&with["limit"]).unwrap_or(10),
        offset: number(&with["offset"]).unwrap_or(0),
        score_threshold: with["score_threshold"].as_f64().map(|threshold| threshold as f32),
        params: Params {
            is_exact: with["exact"] == true,
            ef: number(&with["ef"]),
            recall: with["recall"].as_f64().map(|recall| recall as f32),
        },
        corpus: with.get("corpus").map(filter_of).transpose()?,
    })
}

pub(super) fn filter_of(tree: &Value) -> Result<Filter> {
    if let Some(text) = tree.as_str() {
        return text.parse();
    }
    let clause = |name: &str| match &tree[name] {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(condition_of).collect(),
        one => Ok(vec![condition_of(one)?]),
    };
    let min_should = tree.get("min_should").map(|least| {
        let conditions =
            list(&least["conditions"], "min_should")?.iter().map(condition_of).collect::<Result<_>>()?;
        Ok::<_, Error>(MinShould { conditions, count: number(&least["min_count"]).unwrap_or(0) })
    });
    Ok(Filter {
        must: clause("must")?,
        should: clause("should")?,
        must_not: clause("must_not")?,
        min_should: min_should.transpose()?,
    })
}

fn condition_of(tree: &Value) -> Result<Condition> {
    let path = |tree: &Value| tree["key"].as_str().ok_or_else(|| bad("key"))?.parse::<FieldPath>();
    if let Some(tree) = tree.get("is_empty") {
        return Ok(Condition::IsEmpty(path(tree)?));
    }
    if let Some(tree) = tree.get("is_null") {
        return Ok(Condition::IsNull(path(tree)?));
    }
    if let Some(ids) = tree.get("has_id") {
        return Ok(Condition::HasId(ids_of(ids)?));
    }
    if let Some(slice) = tree.get("slice") {
        let part = |member: &str| {
            slice[member].as_u64().and_then(|part| u32::try_from(part).ok()).expect("a number")
        };
        return Ok(Condition::Slice { index: part("index"), total: part("total") });
    }
    if let Some(name) = tree.get("has_vector") {
        return Ok(Condition::HasVector(name.as_str().unwrap_or_default().to_owned()));
    }
    if let Some(nested) = tree.get("nested") {
        return Ok(Condition::Nested(path(nested)?, Box::new(filter_of(&nested["filter"])?)));
    }
    if tree.get("key").is_none() {
        return Ok(Condition::Filter(Box::new(filter_of(tree)?)));
    }
    if let Some(count) = tree.get("values_count") {
        let bound = |name: &str| number(&count[name]);
        let (lt, lte, gt, gte) = (bound("lt"), bound("lte"), bound("gt"), bound("gte"));
        return Ok(Condition::Count(path(tree)?, CountRange { lt, lte, gt, gte }));
    }
    Ok(Condition::Field(path(tree)?, predicate_of(tree)?))
}

fn predicate_of(tree: &Value) -> Result<Predicate> {
    let scalar = |value: &Value| Scalar::of(value).ok_or_else(|| bad("match"));
    let scalars = |tree: &Value| list(tree, "match")?.iter().map(scalar).collect::<Result<Vec<_>>>();
    let found = &tree["match"];
    let part = |words: Predicate| Predicate::PartUnlessIndexed(Box::new(words));
    let makes: [(&str, &dyn Fn(String) -> Predicate); 4] = [
        ("text", &|text| part(Predicate::Text(text))),
        ("text_any", &|text| part(Predicate::TextAny(text))),
        ("phrase", &|text| part(Predicate::Phrase(text))),
        ("prefix", &Predicate::Prefix),
    ];
    for (name, make) in makes {
        if let Some(text) = found[name].as_str() {
            return Ok(make(text.to_owned()));
        }
    }
    if let Some(area) = area_of(tree) {
        return Ok(Predicate::Geo(area));
    }
    if tree["range"].as_object().is_some_and(|range| range.values().any(Value::is_string)) {
        let bound = |name: &str| {
            tree["range"][name]
                .as_str()
                .map(|text| datetime::parse(text, &format!("range.{name}")))
                .transpose()
        };
        let (lt, lte, gt, gte) = (bound("lt")?, bound("lte")?, bound("gt")?, bound("gte")?);
        return Ok(Predicate::Times(TimeRange { lt, lte, gt, gte }));
    }
    Ok(match (found.get("value"), found.get("any"), found.get("except")) {
        (Some(value), ..) => Predicate::Any(vec![scalar(value)?]),
        (_, Some(values), _) => Predicate::Any(scalars(values)?),
        (.., Some(values)) => Predicate::Except(scalars(values)?),
        _ => {
            let bound = |name: &str| tree["range"][name].as_f64();
            let (lt, lte, gt, gte) = (bound("lt"), bound("lte"), bound("gt"), bound("gte"));
            Predicate::Range(Range { lt, lte, gt, gte })
        }
    })
}

fn area_of(tree: &Value) -> Option<GeoArea> {
    let place = |tree: &Value| GeoPoint {
        lon: tree["lon"].as_f64().unwrap_or(f64::NAN),
        lat: tree["lat"].as_f64().unwrap_or(f64::NAN),
    };
    let ring = |tree: &Value| tree["points"].as_array().into_iter().flatten().map(place).collect();
    if let Some(corners) = tree.get("geo_bounding_box") {
        let (top_left, bottom_right) = (place(&corners["top_left"]), place(&corners["bottom_right"]));
        return Some(GeoArea::Box { top_left, bottom_right });
    }
    if let Some(circle) = tree.get("geo_radius") {
        let radius_m = circle["radius"].as_f64().unwrap_or(f64::NAN);
        return Some(GeoArea::Circle { center: place(&circle["center"]), radius_m });
    }
    let polygon = tree.get("geo_polygon")?;
    let interiors = polygon["interiors"].as_array().into_iter().flatten().map(ring).collect();
    Some(GeoArea::Polygon { exterior: ring(&polygon["exterior"]), interiors })
}
