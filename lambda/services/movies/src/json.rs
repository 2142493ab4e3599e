//! Movies as JSON documents, read strictly, so that nothing is guessed, and written exactly.
//! Nothing here depends on HTTP or AWS, because the loader reads the same documents.

use crate::domain::{
    Field, FieldMut, Info, InfoPatch, InvalidInfo, InvalidTitle, InvalidYear, Movie, MovieId,
    StoredMovie, Title, ValidInfo, Year,
};
use inbound::json::{FromJson, Reader};
pub use inbound::{FieldError, body::MAX_BODY_BYTES};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::collections::BTreeSet;

/// A movie's document.
#[derive(Debug, Serialize)]
pub struct MovieBody<'a> {
    year: u16,
    title: &'a str,
    info: InfoBody<'a>,
}

impl<'a> From<&'a Movie> for MovieBody<'a> {
    fn from(movie: &'a Movie) -> Self {
        Self::new(movie.id(), movie.info())
    }
}

impl<'a> From<&'a StoredMovie> for MovieBody<'a> {
    fn from(movie: &'a StoredMovie) -> Self {
        Self::new(&movie.id, &movie.info)
    }
}

impl<'a> MovieBody<'a> {
    fn new(id: &'a MovieId, info: &'a Info) -> Self {
        Self {
            year: id.year.get(),
            title: id.title.as_str(),
            info: InfoBody(info),
        }
    }
}

/// The fields that have a value.
#[derive(Debug)]
struct InfoBody<'a>(&'a Info);

impl Serialize for InfoBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, field) in self.0.fields() {
            match field {
                Field::Strings(Some(strings)) => map.serialize_entry(name, strings)?,
                Field::String(Some(string)) => map.serialize_entry(name, string)?,
                Field::Decimal(Some(number)) => map.serialize_entry(name, number)?,
                Field::Integer(Some(number)) => map.serialize_entry(name, number)?,
                Field::Strings(None)
                | Field::String(None)
                | Field::Decimal(None)
                | Field::Integer(None) => {}
            }
        }
        map.end()
    }
}

/// A page of a listing.
#[derive(Debug, Serialize)]
pub struct PageBody<'a> {
    movies: Vec<MovieBody<'a>>,
    next: Option<String>,
}

impl<'a> PageBody<'a> {
    /// Creates a page with the cursor of the next one.
    #[must_use]
    pub fn new(movies: &[&'a StoredMovie], next: Option<String>) -> Self {
        Self {
            movies: movies.iter().map(|movie| MovieBody::from(*movie)).collect(),
            next,
        }
    }
}

/// Reads a movie from a document with year and title, as in `POST /movies`.
///
/// # Errors
/// Every offending field.
pub fn read_movie(json: &str) -> Result<Movie, Vec<FieldError>> {
    read(json, None)
}

/// Reads a movie that the request addresses. Year and title may be absent from the document, and
/// must otherwise match the address.
///
/// # Errors
/// Every offending field.
pub fn read_movie_at(json: &str, id: MovieId) -> Result<Movie, Vec<FieldError>> {
    read(json, Some(id))
}

/// Reads a JSON Merge Patch (RFC 7396) of a movie. A movie has a fixed shape, two levels deep, so
/// each member of the patch replaces a field, and null removes it. Only the fields in the patch are
/// validated: a stored value may be beyond today's limits.
///
/// # Errors
/// Every offending field.
pub fn read_patch(json: &str, id: &MovieId) -> Result<InfoPatch, Vec<FieldError>> {
    let mut document = Document::of(Some(id.clone()), Null::Removes);
    let info = document.read(json);
    let patch = info.map(|info| match document.is_cleared {
        true => InfoPatch::clear(),
        false => InfoPatch::new(document.names, info),
    });
    document.errors.finish(patch)
}

fn read(json: &str, id: Option<MovieId>) -> Result<Movie, Vec<FieldError>> {
    let mut document = Document::of(id, Null::Invalid);
    let info = document.read(json);
    let id = document.year.zip(document.title);
    let id = id.map(|(year, title)| MovieId { year, title });
    let movie = id.zip(info).map(|(id, info)| Movie::new(id, info));
    document.errors.finish(movie)
}

/// The meaning of null as the value of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    Invalid,
    Removes,
}

/// A document while it is read.
struct Document {
    errors: Reader,
    null: Null,
    year: Option<Year>,
    title: Option<Title>,
    is_addressed: bool,
    /// The fields of `info` that are in the document.
    names: BTreeSet<&'static str>,
    /// `info` is null.
    is_cleared: bool,
}

impl Document {
    fn of(id: Option<MovieId>, null: Null) -> Self {
        let is_addressed = id.is_some();
        let (year, title) = id.map(|id| (id.year, id.title)).unzip();
        Self {
            errors: Reader::default(),
            null,
            year,
            title,
            is_addressed,
            names: BTreeSet::new(),
            is_cleared: false,
        }
    }

    /// Reads `{"year", "title", "info"}` and returns the info. `None` if this is invalid.
    fn read(&mut self, json: &str) -> Option<ValidInfo> {
        let members = self.errors.object("", json)?;
        for name in ["year", "title"] {
            if !self.is_addressed && !members.iter().any(|(given, _)| given == name) {
                self.errors.error(name, "is missing");
            }
        }
        let mut info = Info::default();
        for (name, value) in members {
            match name.as_str() {
                "year" => key(&mut self.errors, "year", value.get(), &mut self.year),
                "title" => key(&mut self.errors, "title", value.get(), &mut self.title),
                "info" if value.get() == "null" && self.null == Null::Removes => {
                    self.is_cleared = true;
                }
                "info" => self.read_info(value.get(), &mut info),
                _ => self.errors.error(name, "is not a field of a movie"),
            }
        }
        match ValidInfo::try_from(info) {
            Ok(info) => Some(info),
            Err(InvalidInfo(fields)) => {
                for field in fields {
                    let path = format!("info.{}", field.name);
                    if !self.errors.has_error(&path) {
                        self.errors.error(path, field.requirement);
                    }
                }
                None
            }
        }
    }

    fn read_info(&mut self, json: &str, info: &mut Info) {
        for (name, value) in self.errors.object("info", json).into_iter().flatten() {
            let path = format!("info.{name}");
            let field = info.fields_mut().find(|(known, _)| *known == name);
            let Some((name, field)) = field else {
                self.errors.error(path, "is not a field of a movie's info");
                continue;
            };
            self.names.insert(name);
            if value.get() == "null" && self.null == Null::Removes {
                continue;
            }
            let (errors, value) = (&mut self.errors, value.get());
            match field {
                FieldMut::Strings(field) => *field = errors.value(path, value),
                FieldMut::String(field) => *field = errors.value(path, value),
                FieldMut::Decimal(field) => *field = errors.value(path, value),
                FieldMut::Integer(field) => *field = errors.value(path, value),
            }
        }
    }
}

/// Reads a part of the key, which must match the address if there is one.
fn key<T: FromJson + PartialEq>(
    errors: &mut Reader,
    name: &str,
    json: &str,
    address: &mut Option<T>,
) {
    let read = errors.value(name, json);
    match (&address, &read) {
        (Some(address), Some(read)) if address != read => {
            errors.error(name, "must match the path or the query");
        }
        (None, _) => *address = read,
        (Some(_), _) => {}
    }
}

impl FromJson for Year {
    type Err = InvalidYear;

    fn from_json(json: &str) -> Result<Self, InvalidYear> {
        let year = u32::from_json(json).map_err(|_| InvalidYear)?;
        year.try_into()
    }
}

impl FromJson for Title {
    type Err = InvalidTitle;

    fn from_json(json: &str) -> Result<Self, InvalidTitle> {
        let title = String::from_json(json).map_err(|_| InvalidTitle)?;
        title.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<String> {
        read_movie(text)
            .unwrap_err()
            .into_iter()
            .map(|error| error.field)
            .collect()
    }

    fn written(movie: &Movie) -> String {
        serde_json::to_string(&MovieBody::from(movie)).unwrap()
    }

    fn id() -> MovieId {
        MovieId {
            year: "2013".parse().unwrap(),
            title: "Rush".parse().unwrap(),
        }
    }

    #[test]
    fn rating_keeps_its_exact_value() {
        for rating in [
            "8.3",
            "8",
            "0",
            "10",
            "7.1234567890123456789012345678901234567",
        ] {
            let text = format!(r#"{{"year":2013,"title":"Rush","info":{{"rating":{rating}}}}}"#);
            assert_eq!(written(&read_movie(&text).unwrap()), text);
        }
    }

    #[test]
    fn every_offending_field_of_a_document_is_named_at_once() {
        assert_eq!(
            fields(
                r#"{"year":1,"title":"","x":1,"info":{"rating":"8","rank":0.5,"plot":null,
                    "directors":["a",1],"y":{},"actors":[""]}}"#
            ),
            [
                "year",
                "title",
                "x",
                "info.rating",
                "info.rank",
                "info.plot",
                "info.directors",
                "info.y",
                "info.actors"
            ]
        );
        assert_eq!(fields("{}"), ["year", "title"]);
        assert_eq!(
            fields(r#"{"year":2013,"title":"a","title":"a","info":{"rank":1,"rank":2}}"#),
            ["title", "info.rank"]
        );
    }

    #[test]
    fn string_that_is_not_unicode_is_rejected() {
        assert_eq!(fields(r#"{"year":2013,"title":"\ud800"}"#), ["title"]);
        assert_eq!(fields(r#"{"year":2013,"title":"a\u0000"}"#), ["title"]);
        assert_eq!(
            fields(r#"{"year":2013,"title":"a","info":{"actors":["\udfff"]}}"#),
            ["info.actors"]
        );
    }

    #[test]
    fn year_is_an_integer_in_any_notation() {
        assert!(read_movie(r#"{"year":2.013e3,"title":"a"}"#).is_ok());
        for year in [
            "2013.5",
            "\"2013\"",
            "1e400",
            "-2013",
            "99999999999999999999",
            "null",
            "true",
        ] {
            assert_eq!(
                fields(&format!(r#"{{"year":{year},"title":"a"}}"#)),
                ["year"],
                "{year}"
            );
        }
    }

    #[test]
    fn year_and_title_in_a_document_must_match_the_address() {
        let given = |text: &str| {
            read_movie_at(text, id()).map_err(|errors| {
                errors
                    .into_iter()
                    .map(|error| error.field)
                    .collect::<Vec<_>>()
            })
        };
        assert!(given("{}").is_ok() && given(r#"{"year":2013,"title":"Rush"}"#).is_ok());
        assert_eq!(
            given(r#"{"year":2014,"title":"rush"}"#).unwrap_err(),
            ["year", "title"]
        );
    }

    #[test]
    fn merge_patch_names_the_fields_it_sets_and_removes() {
        let read = |text: &str| read_patch(text, &id()).ok();
        let fields = |names: &[&'static str], values: Info| {
            let names = names.iter().copied().collect();
            Some(InfoPatch::new(names, values.try_into().unwrap()))
        };
        assert_eq!(read("{}"), fields(&[], Info::default()));
        assert_eq!(read(r#"{"info":{}}"#), fields(&[], Info::default()));
        assert_eq!(read(r#"{"info":null}"#), Some(InfoPatch::clear()));
        let values = Info {
            rating: "9".parse().ok(),
            actors: Some(vec!["c".into()]),
            ..Info::default()
        };
        assert_eq!(
            read(r#"{"info":{"rating":9,"plot":null,"actors":["c"]}}"#),
            fields(&["actors", "plot", "rating"], values)
        );
        assert_eq!(
            read(r#"{"year":2013,"title":"Rush","info":{"rank":null}}"#),
            fields(&["rank"], Info::default())
        );
        for rejected in [
            "[]",
            "null",
            r#"{"year":null}"#,
            r#"{"title":"rush"}"#,
            r#"{"info":[]}"#,
            r#"{"info":{"x":null}}"#,
            r#"{"info":{"rating":{}}}"#,
            r#"{"info":{"rating":11}}"#,
        ] {
            assert_eq!(read(rejected), None, "{rejected}");
        }
    }
}
