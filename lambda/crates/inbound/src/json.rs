//! Strict reading of JSON, with every error named at once.
//!
//! Documents are read member by member instead of into structs. So a repeated member is an error
//! instead of overwriting the first one, every offending field is reported in one response, and a
//! number never passes through a float.

use crate::{
    FieldError,
    decimal::{Decimal, InvalidDecimal},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::HashSet, fmt};
use thiserror::Error;

/// A value that can be read from JSON.
pub trait FromJson: Sized {
    /// Describes what is expected, as the message of a [`FieldError`].
    type Err: fmt::Display;

    /// Reads one JSON value.
    ///
    /// # Errors
    /// The value is of another type or beyond a limit.
    fn from_json(json: &str) -> Result<Self, Self::Err>;
}

/// The value is of another JSON type than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidType {
    /// A string is expected.
    #[error("must be a string")]
    String,
    /// An array of strings is expected.
    #[error("must be an array of strings")]
    Strings,
    /// A number that fits into `u32` is expected.
    #[error("must be a positive integer")]
    Integer,
}

impl FromJson for String {
    type Err = InvalidType;

    fn from_json(json: &str) -> Result<Self, InvalidType> {
        serde_json::from_str(json).map_err(|_| InvalidType::String)
    }
}

impl FromJson for Vec<String> {
    type Err = InvalidType;

    fn from_json(json: &str) -> Result<Self, InvalidType> {
        serde_json::from_str(json).map_err(|_| InvalidType::Strings)
    }
}

impl FromJson for Decimal {
    type Err = InvalidDecimal;

    fn from_json(json: &str) -> Result<Self, InvalidDecimal> {
        json.parse()
    }
}

impl FromJson for u32 {
    type Err = InvalidType;

    /// Reads an integer in any notation: `7`, `7.0` and `7e0` are one number.
    fn from_json(json: &str) -> Result<Self, InvalidType> {
        let number: Option<Decimal> = json.parse().ok();
        number
            .and_then(|number| number.to_integer())
            .ok_or(InvalidType::Integer)
    }
}

/// The members of an object in their order, each name once, with the JSON text of each value.
pub type Members<'a> = Vec<(String, &'a RawValue)>;

/// Collects the errors of a document while it is read.
#[derive(Debug, Default)]
pub struct Reader {
    errors: Vec<FieldError>,
}

impl Reader {
    /// Reads an object. `path` is that of the object in the document; the document itself has the
    /// empty path, and its errors are reported for the field `body`. `None` if it is no object.
    pub fn object<'a>(&mut self, path: &str, json: &'a str) -> Option<Members<'a>> {
        let Ok(Object(members)) = serde_json::from_str::<Object<'a>>(json) else {
            let field = if path.is_empty() { "body" } else { path };
            self.error(field, "must be a JSON object");
            return None;
        };
        let mut seen = HashSet::new();
        let (first, repeated): (Vec<_>, Vec<_>) = members
            .into_iter()
            .partition(|(name, _)| seen.insert(name.clone()));
        for (name, _) in repeated {
            self.error(member(path, &name), "is given more than once");
        }
        Some(first)
    }

    /// Reads a value. `None` if it is invalid.
    pub fn value<T: FromJson>(&mut self, path: impl Into<String>, json: &str) -> Option<T> {
        T::from_json(json)
            .map_err(|error| self.error(path, error.to_string()))
            .ok()
    }

    /// Adds an error.
    pub fn error(&mut self, field: impl Into<String>, message: impl Into<Cow<'static, str>>) {
        self.errors.push(FieldError::new(field, message));
    }

    /// Returns whether a field has an error.
    #[must_use]
    pub fn has_error(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    /// Returns what was read if there is no error.
    ///
    /// # Errors
    /// Every offending field, in the order in which they were found.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, Vec<FieldError>> {
        match read {
            Some(read) if self.errors.is_empty() => Ok(read),
            _ => Err(self.errors),
        }
    }
}

/// The path of an object's member.
fn member(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// An object's members in order, with repetitions. A map would drop all but the last of one name.
struct Object<'a>(Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one object and reports the fields with errors.
    fn errors(path: &str, json: &str) -> Vec<String> {
        let mut reader = Reader::default();
        let members = reader.object(path, json);
        let errors = reader.finish(members.map(drop)).err().unwrap_or_default();
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn only_one_json_object_is_an_object() {
        let deep = "[".repeat(100_000);
        for json in [
            "",
            "null",
            "[]",
            "1",
            "{",
            "{}{}",
            "\u{feff}{}",
            "{\"a\":NaN}",
            "{'a':1}",
            "{\"a\":1,}",
            &deep,
            &format!("{{\"a\":{deep}"),
        ] {
            assert_eq!(
                errors("", json),
                ["body"],
                "{}",
                &json[..json.len().min(20)]
            );
            assert_eq!(errors("info", json), ["info"]);
        }
        assert!(errors("", " {\"a\": {\"a\": 1}} ").is_empty());
    }

    #[test]
    fn every_repeated_member_is_an_error_and_the_first_value_counts() {
        let json = r#"{"a":1,"b":2,"a":3,"b":4}"#;
        assert_eq!(errors("", json), ["a", "b"]);
        assert_eq!(errors("info", json), ["info.a", "info.b"]);
        let members = Reader::default().object("", json).unwrap();
        let values: Vec<_> = members.iter().map(|(_, value)| value.get()).collect();
        assert_eq!(values, ["1", "2"]);
        // An escape is another spelling of the same name.
        assert_eq!(errors("", r#"{"a":1,"\u0061":2}"#), ["a"]);
    }

    #[test]
    fn value_of_another_type_is_an_error() {
        let mut reader = Reader::default();
        assert_eq!(reader.value("a", r#""b""#), Some("b".to_owned()));
        assert_eq!(reader.value("a", r#"["b"]"#), Some(vec!["b".to_owned()]));
        assert_eq!(reader.value("a", "7.0"), Some(7_u32));
        assert_eq!(reader.value::<Decimal>("a", "8.30"), "8.3".parse().ok());
        assert!(!reader.has_error("a"));
        for json in ["null", "1", "[]", r#""\ud800""#] {
            assert_eq!(reader.value::<String>("string", json), None, "{json}");
        }
        for json in ["null", r#""b""#, r#"["b",1]"#, r#"[["b"]]"#, "[null]"] {
            assert_eq!(reader.value::<Vec<String>>("strings", json), None, "{json}");
        }
        for json in ["null", r#""7""#, "7.5", "-1", "4294967296"] {
            assert_eq!(reader.value::<u32>("integer", json), None, "{json}");
        }
        for json in ["null", r#""8.3""#, "true", "1e400"] {
            assert_eq!(reader.value::<Decimal>("decimal", json), None, "{json}");
        }
        let errors = reader.finish(Some(())).unwrap_err();
        let messages: HashSet<_> = errors
            .iter()
            .map(|error| (error.field.as_str(), &*error.message))
            .collect();
        assert_eq!(
            messages,
            HashSet::from([
                ("string", "must be a string"),
                ("strings", "must be an array of strings"),
                ("integer", "must be a positive integer"),
                ("decimal", "must be a number of up to 38 significant digits"),
            ])
        );
    }

    #[test]
    fn document_with_an_error_or_without_a_value_is_not_read() {
        assert_eq!(Reader::default().finish(Some(1)), Ok(1));
        assert_eq!(Reader::default().finish(None::<u8>), Err(Vec::new()));
        let mut reader = Reader::default();
        reader.error("a", "is missing");
        assert!(reader.has_error("a") && !reader.has_error("b"));
        assert_eq!(
            reader.finish(Some(1)),
            Err(vec![FieldError::new("a", "is missing")])
        );
    }
}
