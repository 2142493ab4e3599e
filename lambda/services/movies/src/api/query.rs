use super::cursor;
use crate::domain::{ListQuery, Listing, MovieId, Order, Title, Year};
use inbound::{FieldError, Problem, percent::encode};
use std::{borrow::Cow, str::FromStr};

/// The parameters of the list.
const OF_LIST: &[&str] = &["year", "title", "title_prefix", "sort", "limit", "cursor"];

/// The parameters that address one movie.
const OF_MOVIE: &[&str] = &["year", "title"];

/// The movies that the parameters select.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum List {
    /// The one movie of this year and title.
    One(MovieId),
    /// A page.
    Page(ListQuery),
}

/// One error for each parameter that the operation does not have, and for each that is repeated.
fn unknown(query: &[(String, String)], known: &[&str]) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> = Vec::new();
    for (index, (name, _)) in query.iter().enumerate() {
        if errors.iter().any(|error| error.field == *name) {
            continue;
        }
        if !known.contains(&name.as_str()) {
            errors.push(FieldError::new(
                name,
                "is not a parameter of this operation",
            ));
        } else if query[..index].iter().any(|(earlier, _)| earlier == name) {
            errors.push(FieldError::new(name, "is given more than once"));
        }
    }
    errors
}

/// Reads the parameters of a list.
///
/// # Errors
/// A problem with every invalid parameter, each once.
pub(super) fn read(query: &[(String, String)]) -> Result<List, Problem> {
    let mut parameters = Parameters::new(query, OF_LIST);
    let year: Option<Year> = parameters.parse("year");
    let title: Option<Title> = parameters.parse("title");
    let prefix: Option<Title> = parameters.parse("title_prefix");
    let order = match parameters.get("sort") {
        None | Some("title") => Order::Ascending,
        Some("-title") => Order::Descending,
        Some(_) => {
            parameters.error("sort", "must be title or -title");
            Order::Ascending
        }
    };
    let limit = parameters.get("limit").map(limit_of);
    if limit == Some(None) {
        parameters.error("limit", "must be an integer from 1 to 100");
    }
    for name in ["title", "title_prefix", "sort"] {
        if parameters.get(name).is_some() && parameters.get("year").is_none() {
            parameters.error(name, "requires year");
        }
    }
    for name in ["title_prefix", "cursor"] {
        if parameters.get(name).is_some() && parameters.get("title").is_some() {
            parameters.error(name, "cannot be used with title");
        }
    }
    let one = year.zip(title);
    let listing = match year {
        Some(year) => Listing::Year {
            year,
            prefix,
            order,
        },
        None => Listing::All,
    };
    // A cursor belongs to one listing: it cannot be checked against an invalid one.
    let has_listing = !["year", "title_prefix", "sort"]
        .map(|name| parameters.has_error(name))
        .contains(&true);
    let after = parameters
        .get("cursor")
        .filter(|_| has_listing)
        .map(|cursor| cursor::decode(&listing, cursor));
    let after = after.transpose().unwrap_or_else(|error| {
        parameters.error("cursor", error.to_string());
        None
    });
    parameters.finish()?;
    Ok(match one {
        Some((year, title)) => List::One(MovieId { year, title }),
        None => List::Page(ListQuery {
            listing,
            limit: limit.flatten().unwrap_or(ListQuery::DEFAULT_LIMIT),
            after,
        }),
    })
}

/// Reads the movie that the parameters address.
///
/// # Errors
/// A problem with every invalid or missing parameter, each once.
pub(super) fn movie_id(query: &[(String, String)]) -> Result<MovieId, Problem> {
    let mut parameters = Parameters::new(query, OF_MOVIE);
    let (year, title) = (parameters.require("year"), parameters.require("title"));
    match (year, title) {
        (Some(year), Some(title)) => {
            parameters.finish()?;
            Ok(MovieId { year, title })
        }
        _ => Err(Problem::invalid(parameters.errors)),
    }
}

/// The parameters of an operation while they are read. Each gets one error at most.
struct Parameters<'a> {
    query: &'a [(String, String)],
    errors: Vec<FieldError>,
}

impl<'a> Parameters<'a> {
    fn new(query: &'a [(String, String)], known: &[&str]) -> Self {
        let errors = unknown(query, known);
        Self { query, errors }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let mut query = self.query.iter();
        query
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads a parameter. `None` if it is absent or invalid.
    fn parse<T: FromStr<Err: ToString>>(&mut self, name: &str) -> Option<T> {
        match self.get(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(name, error.to_string());
                None
            }
        }
    }

    /// Reads a parameter that must be there.
    fn require<T: FromStr<Err: ToString>>(&mut self, name: &str) -> Option<T> {
        if self.get(name).is_none() {
            self.error(name, "is missing");
        }
        self.parse(name)
    }

    fn has_error(&self, name: &str) -> bool {
        self.errors.iter().any(|error| error.field == name)
    }

    fn error(&mut self, name: &str, message: impl Into<Cow<'static, str>>) {
        if !self.has_error(name) {
            self.errors.push(FieldError::new(name, message));
        }
    }

    fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }
}

fn limit_of(text: &str) -> Option<u8> {
    let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|limit| (1..=ListQuery::MAX_LIMIT).contains(limit))
}

/// The next page as a reference relative to this one, which is independent of host, stage and
/// custom domain.
pub(super) fn next_page(query: &[(String, String)], cursor: &str) -> String {
    let mut next = String::from("?");
    for (name, value) in query.iter().filter(|(name, _)| name != "cursor") {
        next.push_str(&format!("{}={}&", encode(name), encode(value)));
    }
    next + "cursor=" + cursor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Position;

    fn accepted(query: &[(&str, &str)]) -> Result<List, Vec<String>> {
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        read(&query).map_err(|problem| {
            problem
                .errors()
                .iter()
                .map(|error| error.field.clone())
                .collect()
        })
    }

    fn rejected(query: &[(&str, &str)]) -> Vec<String> {
        accepted(query).unwrap_err()
    }

    #[test]
    fn query_without_parameters_lists_everything() {
        assert_eq!(
            accepted(&[]),
            Ok(List::Page(ListQuery {
                listing: Listing::All,
                limit: 20,
                after: None
            }))
        );
    }

    #[test]
    fn every_invalid_parameter_is_named_at_once() {
        assert_eq!(
            rejected(&[
                ("year", "1e3"),
                ("title", ""),
                ("sort", "year"),
                ("limit", "0")
            ]),
            ["year", "title", "sort", "limit"]
        );
        assert_eq!(
            rejected(&[("genre", "x"), ("limit", "1"), ("limit", "1")]),
            ["genre", "limit"]
        );
    }

    #[test]
    fn parameter_that_requires_or_excludes_another_is_rejected() {
        assert_eq!(
            rejected(&[("title", "a"), ("sort", "title")]),
            ["title", "sort"]
        );
        assert_eq!(rejected(&[("title_prefix", "a")]), ["title_prefix"]);
        assert_eq!(
            rejected(&[
                ("year", "2013"),
                ("title", "a"),
                ("title_prefix", "a"),
                ("cursor", "a")
            ]),
            ["title_prefix", "cursor"]
        );
    }

    #[test]
    fn limit_is_1_to_100_in_ascii_digits() {
        for text in [
            "0",
            "101",
            "-1",
            "+1",
            "01",
            "1.0",
            "",
            " 1",
            "١",
            "256",
            "99999999999999999999",
        ] {
            assert_eq!(limit_of(text), None, "{text:?}");
        }
        assert_eq!((limit_of("1"), limit_of("100")), (Some(1), Some(100)));
    }

    #[test]
    fn next_page_repeats_the_query_and_replaces_the_cursor() {
        let query = [
            ("year", "2013"),
            ("title_prefix", "A&B +"),
            ("cursor", "old"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            next_page(&query, "new"),
            "?year=2013&title_prefix=A%26B%20%2B&cursor=new"
        );
    }

    #[test]
    fn every_parameter_of_a_list_is_read() {
        let year: Year = "2013".parse().unwrap();
        let title = |text: &str| text.parse::<Title>().unwrap();
        let of_year = |prefix: Option<&str>, order| Listing::Year {
            year,
            prefix: prefix.map(title),
            order,
        };
        let page = |listing, limit, after| {
            Ok(List::Page(ListQuery {
                listing,
                limit,
                after,
            }))
        };
        assert_eq!(
            accepted(&[("year", "2013"), ("sort", "title")]),
            page(of_year(None, Order::Ascending), 20, None)
        );
        let listing = of_year(Some("R"), Order::Descending);
        let query = [
            ("year", "2013"),
            ("title_prefix", "R"),
            ("sort", "-title"),
            ("limit", "7"),
        ];
        assert_eq!(accepted(&query), page(listing.clone(), 7, None));
        let last = MovieId {
            year,
            title: title("Rush"),
        };
        let next = cursor::encode(&listing, &Position::from(&last));
        assert_eq!(
            accepted(&[&query[..], &[("cursor", &next)]].concat()),
            page(listing, 7, Some(Position::from(&last)))
        );
        assert_eq!(rejected(&[("cursor", &next)]), ["cursor"]);
        assert_eq!(
            accepted(&[("year", "2013"), ("title", "Rush")]),
            Ok(List::One(last))
        );
    }
}
