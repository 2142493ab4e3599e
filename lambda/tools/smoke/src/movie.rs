//! A movie on the wire, compared without a number ever becoming a float.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
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
    /// `next` has to be there; it is null on the last page.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) next: Option<String>,
}

impl MovieBody {
    /// Names every field that differs.
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

fn same(a: &str, b: &str) -> bool {
    match (Decimal::parse(a), Decimal::parse(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => match (
            serde_json::from_str::<Value>(a),
            serde_json::from_str::<Value>(b),
        ) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        },
        _ => false,
    }
}

/// A JSON number by its value: 8.30, 8.3 and 83e-1 are one, 8.3 and 8.300000000000000000000000000000000001 are two.
#[derive(PartialEq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = text
            .strip_prefix('-')
            .map_or((false, text), |rest| (true, rest));
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0').trim_end_matches('0').to_owned();
        let trailing_zeros = all.len() - all.trim_end_matches('0').len();
        let exponent = exponent.parse::<i64>().ok()? - i64::try_from(fraction.len()).ok()?
            + i64::try_from(trailing_zeros).ok()?;
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits,
                exponent: 0,
            });
        }
        Some(Self {
            negative,
            digits,
            exponent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movie(json: &str) -> MovieBody {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_are_equal_by_value_and_never_by_float() {
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
        ] {
            assert!(!same(a, b), "{a} ≠ {b}");
        }
    }

    #[test]
    fn every_difference_is_named() {
        let stored =
            movie(r#"{"year":2013,"title":"Rush","info":{"rating":8.3,"genres":["Drama"]}}"#);
        let answer = movie(
            r#"{"year":2013,"title":"rush","info":{"rating":8.30000000000000071054,"rank":2}}"#,
        );
        let error = answer.ensure_equals(&stored).unwrap_err().to_string();
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
    fn a_page_without_next_is_no_page() {
        assert!(serde_json::from_str::<MoviePageBody>(r#"{"movies":[],"next":null}"#).is_ok());
        assert!(serde_json::from_str::<MoviePageBody>(r#"{"movies":[]}"#).is_err());
    }
}
