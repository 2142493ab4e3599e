//! Movies in URL paths.

use crate::domain::{InvalidTitle, InvalidYear, MovieId, Title};
use inbound::{
    FieldError, Problem,
    percent::{decode, encode},
};

/// Returns the movie that the two parameters of a path address, such as `2013` and `V%2FH%2FS`.
/// Both are decoded exactly once, and a plus is not a space.
///
/// # Errors
/// A problem with every invalid parameter.
pub fn movie_id(year: &str, title: &str) -> Result<MovieId, Problem> {
    let year = decode(year).map_or(Err(InvalidYear), |year| year.parse());
    let title = decode(title).map_or(Err(InvalidTitle), Title::try_from);
    match (year, title) {
        (Ok(year), Ok(title)) => Ok(MovieId { year, title }),
        (year, title) => {
            let year = year.map_err(|error| FieldError::new("year", error.to_string()));
            let title = title.map_err(|error| FieldError::new("title", error.to_string()));
            let errors = year.err().into_iter().chain(title.err());
            Err(Problem::invalid(errors.collect()))
        }
    }
}

/// Returns the address of a movie, relative to `/movies`. Clients and gateways remove `.` and `..`
/// segments in either encoding, and some merge slashes. Such titles are addressed by the query
/// form.
pub(super) fn location(id: &MovieId) -> String {
    let (year, title) = (id.year, encode(id.title.as_str()));
    let mut segments = id.title.as_str().split('/');
    if segments.any(|segment| matches!(segment, "" | "." | "..")) {
        format!("movies?year={year}&title={title}")
    } else {
        format!("movies/{year}/{title}")
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
    fn title_in_a_path_is_decoded_exactly_once() {
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
    fn invalid_escape_or_invalid_utf8_in_a_path_is_rejected() {
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
    fn every_invalid_parameter_of_a_path_is_named() {
        let problem = movie_id("abc", "").unwrap_err();
        let expected = [
            ("year", InvalidYear.to_string()),
            ("title", InvalidTitle.to_string()),
        ]
        .map(|(field, message)| FieldError::new(field, message));
        assert_eq!(problem, Problem::invalid(expected.to_vec()));
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            cases: 2_000, failure_persistence: None, ..Default::default()
        })]

        /// Clients may encode every character or only the percent sign.
        #[test]
        fn any_title_can_be_read_from_its_path(
            text in "\\PC{1,60}|[ /?+&#%'.=;<>{}|^`~é😀\u{301}-]{1,40}",
        ) {
            let strict = encode(&text);
            let lax = text.replace('%', "%25");
            for encoded in [strict, lax] {
                proptest::prop_assert_eq!(title(&encoded), Some(text.clone()));
            }
        }
    }

    #[test]
    fn title_that_does_not_survive_in_a_path_is_located_by_the_query() {
        let location = |title: &str| {
            location(&MovieId {
                year: "2013".parse().unwrap(),
                title: title.parse().unwrap(),
            })
        };
        assert_eq!(location("50/50 %"), "movies/2013/50%2F50%20%25");
        assert_eq!(location("a//b"), "movies?year=2013&title=a%2F%2Fb");
        assert_eq!(location(".."), "movies?year=2013&title=..");
    }
}
