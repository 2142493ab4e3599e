//! Movies in paths.

use super::Problem;
use crate::domain::{FieldError, MovieId, Title, Year};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stands for itself in a path segment or a query (RFC 3986, unreserved).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

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

/// `None` for an escape that is none (`%zz`, a lone `%`) and for bytes that are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let broken =
        text.split('%').skip(1).any(|rest| !matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()));
    if broken {
        return None;
    }
    percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// Percent-encodes a text for a path segment or a query value.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
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
