//! The JSON documents of the contract: read strictly, so that nothing is guessed, and written exactly.
//!
//! Documents are read member by member rather than into structs, so that every offending field is named at once and a
//! number never passes through a float.

use crate::domain::{Decimal, FieldError, Info, InfoPatch, Movie, MovieId, Title, Year};
use inbound::Problem;
pub use inbound::body::MAX_BODY_BYTES;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

#[derive(Serialize)]
pub(super) struct MovieBody<'a> {
    year: u16,
    title: &'a str,
    info: InfoBody<'a>,
}

#[derive(Serialize)]
struct InfoBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    directors: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_date: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    genres: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plot: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running_time_secs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actors: Option<&'a [String]>,
}

impl<'a> From<&'a Movie> for MovieBody<'a> {
    fn from(movie: &'a Movie) -> Self {
        let Info {
            directors,
            release_date,
            rating,
            genres,
            image_url,
            plot,
            rank,
            running_time_secs,
            actors,
        } = movie.info();
        Self {
            year: movie.id().year.get(),
            title: movie.id().title.as_str(),
            info: InfoBody {
                directors: directors.as_deref(),
                release_date: release_date.as_deref(),
                // A decimal's plain notation is a JSON number.
                rating: rating
                    .as_ref()
                    .and_then(|rating| RawValue::from_string(rating.as_str().to_owned()).ok()),
                genres: genres.as_deref(),
                image_url: image_url.as_deref(),
                plot: plot.as_deref(),
                rank: *rank,
                running_time_secs: *running_time_secs,
                actors: actors.as_deref(),
            },
        }
    }
}

#[derive(Serialize)]
pub(super) struct PageBody<'a> {
    movies: Vec<MovieBody<'a>>,
    next: Option<String>,
}

impl<'a> PageBody<'a> {
    pub(super) fn new(movies: &[&'a Movie], next: Option<String>) -> Self {
        Self {
            movies: movies.iter().map(|movie| MovieBody::from(*movie)).collect(),
            next,
        }
    }
}

/// Reads a movie. With an `id`, the one that the path addresses, the body's year and title may be absent and must not differ.
///
/// # Errors
/// Every offending field, as a problem.
pub(super) fn movie(text: &str, id: Option<MovieId>) -> Result<Movie, Problem> {
    read(text, id).map_err(Problem::invalid)
}

/// Reads a movie from a JSON document, as `POST /movies` does.
///
/// # Errors
/// Every offending field.
pub fn read_movie(text: &str) -> Result<Movie, Vec<FieldError>> {
    read(text, None)
}

/// Reads a JSON Merge Patch (RFC 7396) of a movie. A movie has a fixed shape, two levels deep, so
/// that the merge is: each member given replaces, null removes. Only what is given is judged: a
/// stored value may be beyond today's limits.
///
/// # Errors
/// Every offending field, as a problem.
pub(super) fn patch(text: &str, id: &MovieId) -> Result<InfoPatch, Problem> {
    let mut reader = Reader {
        errors: Vec::new(),
        patch: Some(InfoPatch::Fields {
            named: BTreeSet::new(),
            values: Box::default(),
        }),
    };
    let document = reader.document(text, Some(id));
    let patch = match (document, reader.patch.take()) {
        (Some((_, info)), Some(InfoPatch::Fields { named, .. })) => Some(InfoPatch::Fields {
            named,
            values: Box::new(info),
        }),
        (Some(_), patch) => patch,
        (None, _) => None,
    };
    reader.finish(patch).map_err(Problem::invalid)
}

fn read(text: &str, id: Option<MovieId>) -> Result<Movie, Vec<FieldError>> {
    let mut reader = Reader {
        errors: Vec::new(),
        patch: None,
    };
    let document = reader.document(text, id.as_ref());
    reader.finish(document.and_then(|(id, info)| Movie::new(id?, info).ok()))
}

/// Collects what is wrong while it reads.
struct Reader {
    errors: Vec<FieldError>,
    /// What a patch names. In it null removes a member; elsewhere null is refused.
    patch: Option<InfoPatch>,
}

impl Reader {
    fn finish<T>(self, read: Option<T>) -> Result<T, Vec<FieldError>> {
        match read {
            Some(read) if self.errors.is_empty() => Ok(read),
            _ => Err(self.errors),
        }
    }

    fn refuse(&mut self, field: &str, message: &'static str) {
        self.errors.push(FieldError::new(field, message));
    }

    /// Reads `{"year", "title", "info"}` over what is known already.
    fn document(&mut self, text: &str, id: Option<&MovieId>) -> Option<(Option<MovieId>, Info)> {
        let mut info = Info::default();
        let members = self.members("body", "", text)?;
        let (mut year, mut title) = (id.map(|id| id.year), id.map(|id| id.title.clone()));
        for name in ["year", "title"] {
            if id.is_none() && !members.iter().any(|(given, _)| given == name) {
                self.refuse(name, "is missing");
            }
        }
        for (name, value) in &members {
            match name.as_str() {
                "year" => {
                    let given = Decimal::parse(value.get())
                        .and_then(|number| number.to_integer())
                        .and_then(Year::new);
                    self.agree("year", &mut year, given, Year::WANTED);
                }
                "title" => {
                    let given = serde_json::from_str::<String>(value.get())
                        .ok()
                        .and_then(Title::new);
                    self.agree("title", &mut title, given, Title::WANTED);
                }
                "info" if self.patch.is_some() && value.get() == "null" => {
                    self.patch = Some(InfoPatch::Clear)
                }
                "info" => self.info(value.get(), &mut info),
                _ => self.refuse(name, "is not a field of a movie"),
            }
        }
        for error in info.errors() {
            if !self.errors.iter().any(|known| known.field == error.field) {
                self.errors.push(error);
            }
        }
        Some((
            year.zip(title).map(|(year, title)| MovieId { year, title }),
            info,
        ))
    }

    /// Takes a part of the key from the body, where it must not contradict the path's.
    fn agree<T: PartialEq>(
        &mut self,
        field: &str,
        known: &mut Option<T>,
        given: Option<T>,
        wanted: &'static str,
    ) {
        match (&known, given) {
            (_, None) => self.refuse(field, wanted),
            (Some(known), Some(given)) if *known != given => {
                self.refuse(field, "must match the path or the query")
            }
            (_, Some(given)) => *known = Some(given),
        }
    }

    fn info(&mut self, text: &str, info: &mut Info) {
        const NAMES: &str = "must be an array of strings";
        const TEXT: &str = "must be a string";
        const NUMBER: &str = "must be a number of up to 38 significant digits";
        const INTEGER: &str = "must be a positive integer";
        fn parsed<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
            serde_json::from_str(text).ok()
        }
        fn integer(text: &str) -> Option<u32> {
            Decimal::parse(text)?.to_integer()
        }
        let Some(members) = self.members("info", "info.", text) else {
            return;
        };
        for (name, value) in &members {
            let value = value.get();
            match name.as_str() {
                "directors" => self.set(name, &mut info.directors, value, parsed, NAMES),
                "release_date" => self.set(name, &mut info.release_date, value, parsed, TEXT),
                "rating" => self.set(name, &mut info.rating, value, Decimal::parse, NUMBER),
                "genres" => self.set(name, &mut info.genres, value, parsed, NAMES),
                "image_url" => self.set(name, &mut info.image_url, value, parsed, TEXT),
                "plot" => self.set(name, &mut info.plot, value, parsed, TEXT),
                "rank" => self.set(name, &mut info.rank, value, integer, INTEGER),
                "running_time_secs" => {
                    self.set(name, &mut info.running_time_secs, value, integer, INTEGER)
                }
                "actors" => self.set(name, &mut info.actors, value, parsed, NAMES),
                _ => self.refuse(&format!("info.{name}"), "is not a field of a movie's info"),
            }
        }
    }

    fn set<T>(
        &mut self,
        name: &str,
        slot: &mut Option<T>,
        value: &str,
        parse: impl Fn(&str) -> Option<T>,
        wanted: &'static str,
    ) {
        let is_patch = self.patch.is_some();
        if let Some(InfoPatch::Fields { named, .. }) = &mut self.patch {
            named.insert(name.to_owned());
        }
        if is_patch && value == "null" {
            *slot = None;
        } else if let Some(value) = parse(value) {
            *slot = Some(value);
        } else {
            self.refuse(&format!("info.{name}"), wanted);
        }
    }

    /// The members of an object, each name once.
    fn members<'a>(
        &mut self,
        field: &str,
        prefix: &str,
        text: &'a str,
    ) -> Option<Vec<(String, &'a RawValue)>> {
        let Ok(Members(members)) = serde_json::from_str::<Members<'a>>(text) else {
            self.refuse(field, "must be a JSON object");
            return None;
        };
        let mut seen = HashSet::new();
        let (first, again): (Vec<_>, Vec<_>) = members
            .into_iter()
            .partition(|(name, _)| seen.insert(name.clone()));
        for (name, _) in again {
            self.refuse(&format!("{prefix}{name}"), "is given more than once");
        }
        Some(first)
    }
}

/// An object's members in order, values unread. (A map would keep the last of two with one name.)
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
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

    #[test]
    fn numbers_keep_their_exact_value() {
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
    fn every_offending_field_is_named_at_once() {
        assert_eq!(
            fields(
                r#"{"year":1,"title":"","x":1,"info":{"rating":"8","rank":0.5,"plot":null,"directors":["a",1],"y":{},"actors":[""]}}"#
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
    fn what_is_not_one_json_object_is_refused() {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            "null",
            "[]",
            "1",
            "{",
            "{}{}",
            "\u{feff}{}",
            "{\"year\":NaN}",
            "{'year':1}",
            "{\"year\":1,}",
            &deep,
            &format!("{{\"a\":{deep}"),
        ] {
            assert_eq!(fields(text), ["body"], "{}", &text[..text.len().min(20)]);
        }
    }

    #[test]
    fn texts_that_are_no_unicode_are_refused() {
        assert_eq!(fields(r#"{"year":2013,"title":"\ud800"}"#), ["title"]);
        assert_eq!(fields(r#"{"year":2013,"title":"a\u0000"}"#), ["title"]);
        assert_eq!(
            fields(r#"{"year":2013,"title":"a","info":{"actors":["\udfff"]}}"#),
            ["info.actors"]
        );
    }

    #[test]
    fn a_year_is_an_integer_however_it_is_spelled() {
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
    fn a_body_must_not_contradict_the_path() {
        let id = MovieId {
            year: Year::new(2013).unwrap(),
            title: Title::new("Rush").unwrap(),
        };
        let given = |text: &str| {
            read(text, Some(id.clone())).map_err(|errors| {
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
    fn a_merge_patch_names_what_it_sets_and_what_it_removes() {
        let id = MovieId {
            year: Year::new(2013).unwrap(),
            title: Title::new("Rush").unwrap(),
        };
        let read = |text: &str| patch(text, &id).ok();
        let fields = |named: &[&str], values| {
            let named = named.iter().map(ToString::to_string).collect();
            Some(InfoPatch::Fields {
                named,
                values: Box::new(values),
            })
        };
        assert_eq!(read("{}"), fields(&[], Info::default()));
        assert_eq!(read(r#"{"info":{}}"#), fields(&[], Info::default()));
        assert_eq!(read(r#"{"info":null}"#), Some(InfoPatch::Clear));
        let values = Info {
            rating: Decimal::parse("9"),
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
        for refused in [
            "[]",
            "null",
            r#"{"year":null}"#,
            r#"{"title":"rush"}"#,
            r#"{"info":[]}"#,
            r#"{"info":{"x":null}}"#,
            r#"{"info":{"rating":{}}}"#,
            r#"{"info":{"rating":11}}"#,
        ] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
