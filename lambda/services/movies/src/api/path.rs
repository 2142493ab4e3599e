//! Movies in paths.

use crate::domain::{FieldError, MovieId, Title, Year};
use inbound::{
    Problem,
    percent::{decode, encode},
};

/// The movie that a path's two parts address, `2013` and `V%2FH%2FS`. Both are decoded exactly once; a plus is a plus.
///
/// # Errors
/// Every offending part, as a problem.
pub fn movie_id(year: &str, title: &str) -> Result<MovieId, Problem> {
    let year = decode(year).and_then(|year| Year::parse(&year));
    let title = decode(title).and_then(Title::new);
    match (year, title) {
        (Some(year), Some(title)) => Ok(MovieId { year, title }),
        (year, title) => {
            let year = year
                .is_none()
                .then(|| FieldError::new("year", Year::WANTED));
            let title = title
                .is_none()
                .then(|| FieldError::new("title", Title::WANTED));
            Err(Problem::invalid(year.into_iter().chain(title).collect()))
        }
    }
}

/// Where a movie is, relative to `/movies`. Clients and gateways drop `.` and `..` segments however they are encoded,
/// and some fold slashes: such titles are addressed by the query form.
pub(super) fn location(id: &MovieId) -> String {
    let (year, title) = (id.year.get(), id.title.as_str());
    if title
        .split('/')
        .any(|segment| matches!(segment, "" | "." | ".."))
    {
        format!("movies?year={year}&title={}", encode(title))
    } else {
        format!("movies/{year}/{}", encode(title))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(encoded: &str) -> Option<String> {
        movie_id("2013", encoded)
            .ok()
            .map(|id| id.title.as_str().to_owned())
    }

    #[test]
    fn titles_are_decoded_exactly_once() {
        for (encoded, decoded) in [
            ("Rush", "Rush"),
            ("50%2F50", "50/50"),
            ("50/50", "50/50"),
            ("100%2525", "100%25"),
            ("Romeo%20+%20Juliet", "Romeo + Juliet"),
            ("a%2Bb", "a+b"),
            ("Am%C3%A9lie", "Amélie"),
            ("Amélie", "Amélie"),
            ("%2E%2E", ".."),
            ("%252e", "%2e"),
            ("%E2%80%AE", "\u{202e}"),
        ] {
            assert_eq!(title(encoded).as_deref(), Some(decoded), "{encoded}");
        }
    }

    #[test]
    fn broken_escapes_and_bytes_that_are_not_utf8_are_refused() {
        for encoded in [
            "%",
            "%2",
            "%zz",
            "%2g",
            "a%",
            "%00",
            "%0a",
            "%c0%af",
            "%ff",
            "%ed%a0%80",
            "",
        ] {
            assert_eq!(title(encoded), None, "{encoded}");
        }
    }

    #[test]
    fn both_parts_are_named_when_both_are_wrong() {
        let problem = movie_id("abc", "").unwrap_err();
        let expected = [("year", Year::WANTED), ("title", Title::WANTED)]
            .map(|(field, message)| FieldError::new(field, message));
        assert_eq!(problem, Problem::invalid(expected.to_vec()));
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { cases: 2_000, failure_persistence: None, ..Default::default() })]

        /// However much or little of it a client encodes.
        #[test]
        fn any_title_survives_its_way_through_a_path(text in "\\PC{1,60}|[ /?+&#%'.=;<>{}|^`~é😀\u{301}-]{1,40}") {
            let strict = encode(&text);
            let lax = text.replace('%', "%25");
            for encoded in [strict, lax] {
                proptest::prop_assert_eq!(title(&encoded), Some(text.clone()));
            }
        }
    }
}
