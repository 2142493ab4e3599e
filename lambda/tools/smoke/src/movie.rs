//! Movies of responses. Numbers are compared without conversion to a float.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use inbound::decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MovieBody {
    pub(crate) year: u16,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) info: BTreeMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoviePageBody {
    pub(crate) movies: Vec<MovieBody>,
    /// `next` is required; it is null on the last page.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) next: Option<String>,
}

impl MovieBody {
    /// Fails with every field that differs.
    pub(crate) fn ensure_equals(&self, expected: &Self) -> Result<()> {
        let mut differences = Vec::new();
        if self.year != expected.year {
            differences.push(format!("year is {}, not {}", self.year, expected.year));
        }
        if self.title != expected.title {
            differences.push(format!(
                "title is {:?}, not {:?}",
                self.title, expected.title
            ));
        }
        let fields: BTreeSet<_> = self.info.keys().chain(expected.info.keys()).collect();
        for field in fields {
            let (ours, theirs) = (self.info.get(field), expected.info.get(field));
            if !matches!((ours, theirs), (Some(ours), Some(theirs)) if same(ours.get(), theirs.get()))
            {
                let text = |raw: Option<&Box<RawValue>>| {
                    raw.map_or("absent".to_owned(), |raw| raw.get().to_owned())
                };
                differences.push(format!(
                    "info.{field} is {}, not {}",
                    text(ours),
                    text(theirs)
                ));
            }
        }
        ensure!(differences.is_empty(), "{}", differences.join("; "));
        Ok(())
    }
}

/// Compares two JSON values, numbers by their exact value. A number that is no [`Decimal`] equals
/// only its own spelling.
fn same(a: &str, b: &str) -> bool {
    let decimals = (a.parse::<Decimal>(), b.parse::<Decimal>());
    let values = (serde_json::from_str(a), serde_json::from_str(b));
    match (decimals, values) {
        ((Ok(a), Ok(b)), _) => a == b,
        ((Err(_), Err(_)), (Ok(Value::Number(_)), Ok(Value::Number(_)))) => a == b,
        ((Err(_), Err(_)), (Ok(a), Ok(b))) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movie(json: &str) -> MovieBody {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_are_compared_by_exact_value() {
        for (a, b) in [
            ("8.3", "8.30"),
            ("8.3", "83e-1"),
            ("100", "1E2"),
            ("0", "-0.0"),
            ("7", "7.0"),
        ] {
            assert!(same(a, b), "{a} = {b}");
        }
        for (a, b) in [
            ("8.3", "8.31"),
            ("8", "80"),
            ("1", "-1"),
            ("8.3", "\"8.3\""),
            (
                "1.2345678901234567890123456789012345678",
                "1.2345678901234567890123456789012345679",
            ),
            // More digits than a decimal holds: as floats the two are equal.
            (
                "1.234567890123456789012345678901234567891",
                "1.234567890123456789012345678901234567892",
            ),
        ] {
            assert!(!same(a, b), "{a} ≠ {b}");
        }
    }

    #[test]
    fn every_difference_is_reported() {
        let stored =
            movie(r#"{"year":2013,"title":"Rush","info":{"rating":8.3,"genres":["Drama"]}}"#);
        let response = movie(
            r#"{"year":2013,"title":"rush","info":{"rating":8.30000000000000071054,"rank":2}}"#,
        );
        let error = response.ensure_equals(&stored).unwrap_err().to_string();
        for part in [
            "title is \"rush\"",
            "info.rating is 8.30000000000000071054, not 8.3",
            "info.genres is absent",
            "info.rank is 2, not absent",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
        stored.ensure_equals(&stored).unwrap();
    }

    #[test]
    fn a_page_without_next_is_rejected() {
        assert!(serde_json::from_str::<MoviePageBody>(r#"{"movies":[],"next":null}"#).is_ok());
        assert!(serde_json::from_str::<MoviePageBody>(r#"{"movies":[]}"#).is_err());
    }
}
