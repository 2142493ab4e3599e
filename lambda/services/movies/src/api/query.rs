use crate::domain::{Cursor, FieldError, ListQuery, MovieId, Order, Scope, Title, Year};
use inbound::{Problem, percent::encode};

/// The parameters of the list.
const OF_LIST: &[&str] = &["year", "title", "title_prefix", "sort", "limit", "cursor"];

/// The parameters that address one movie.
const OF_MOVIE: &[&str] = &["year", "title"];

/// What a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum List {
    /// The one movie of this year and title.
    One(MovieId),
    /// A page.
    Page(ListQuery),
}

/// One error for each parameter that the operation does not have, and for each that is given more than once.
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

/// Reads the list's parameters.
///
/// # Errors
/// Every invalid parameter, once.
pub(super) fn read(query: &[(String, String)]) -> Result<List, Problem> {
    let given = |name: &str| {
        query
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    };
    let mut errors = unknown(query, OF_LIST);
    let mut check = |good: bool, field: &str, message: &'static str| {
        if !good && !errors.iter().any(|error| error.field == field) {
            errors.push(FieldError::new(field, message));
        }
    };

    let year = given("year").map(Year::parse);
    check(year != Some(None), "year", Year::WANTED);
    let title = given("title").map(Title::new);
    check(title != Some(None), "title", Title::WANTED);
    let prefix = given("title_prefix").map(Title::new);
    check(prefix != Some(None), "title_prefix", Title::WANTED);
    let order = match given("sort") {
        None | Some("title") => Some(Order::Ascending),
        Some("-title") => Some(Order::Descending),
        Some(_) => None,
    };
    check(order.is_some(), "sort", "must be title or -title");
    let limit = given("limit").map_or(Some(ListQuery::DEFAULT_LIMIT), limit_of);
    check(limit.is_some(), "limit", "must be an integer from 1 to 100");
    for name in ["title", "title_prefix", "sort"] {
        check(
            year.is_some() || given(name).is_none(),
            name,
            "requires year",
        );
    }
    for name in ["title_prefix", "cursor"] {
        check(
            title.is_none() || given(name).is_none(),
            name,
            "cannot be used with title",
        );
    }
    // A cursor belongs to one listing: without a valid year, prefix and order it cannot be judged.
    let (year, title, prefix) = (year.flatten(), title.flatten(), prefix.flatten());
    let scope = match (year, order) {
        _ if errors
            .iter()
            .any(|error| ["year", "title_prefix", "sort"].contains(&&*error.field)) =>
        {
            None
        }
        (Some(year), Some(order)) => Some(Scope::Year {
            year,
            prefix,
            order,
        }),
        _ => Some(Scope::All),
    };
    let after = scope
        .as_ref()
        .zip(given("cursor"))
        .map(|(scope, cursor)| Cursor::decode(scope, cursor));
    if after == Some(None) && !errors.iter().any(|error| error.field == "cursor") {
        errors.push(FieldError::new(
            "cursor",
            "must be the next value of the previous page of the same query",
        ));
    }
    match (scope, limit) {
        (Some(scope), Some(limit)) if errors.is_empty() => Ok(match (year, title) {
            (Some(year), Some(title)) => List::One(MovieId { year, title }),
            _ => List::Page(ListQuery {
                scope,
                limit,
                after: after.flatten(),
            }),
        }),
        _ => Err(Problem::invalid(errors)),
    }
}

/// Reads the movie that the parameters address.
///
/// # Errors
/// Every invalid or missing parameter, once.
pub(super) fn movie_id(query: &[(String, String)]) -> Result<MovieId, Problem> {
    let given = |name: &str| {
        query
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    };
    let mut errors = unknown(query, OF_MOVIE);
    let mut check = |good: bool, field: &str, requirement: &'static str| {
        if !good && !errors.iter().any(|error| error.field == field) {
            let message = if given(field).is_some() {
                requirement
            } else {
                "is missing"
            };
            errors.push(FieldError::new(field, message));
        }
    };
    let (year, title) = (
        given("year").and_then(Year::parse),
        given("title").and_then(Title::new),
    );
    check(year.is_some(), "year", Year::WANTED);
    check(title.is_some(), "title", Title::WANTED);
    match (year, title) {
        (Some(year), Some(title)) if errors.is_empty() => Ok(MovieId { year, title }),
        _ => Err(Problem::invalid(errors)),
    }
}

fn limit_of(text: &str) -> Option<u8> {
    let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|limit| (1..=ListQuery::MAX_LIMIT).contains(limit))
}

/// The next page as a reference relative to this one: it needs neither host, stage nor custom domain to be right.
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

    fn asked(query: &[(&str, &str)]) -> Result<List, Vec<String>> {
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

    fn refused(query: &[(&str, &str)]) -> Vec<String> {
        asked(query).unwrap_err()
    }

    #[test]
    fn nothing_asked_is_everything() {
        assert_eq!(
            asked(&[]),
            Ok(List::Page(ListQuery {
                scope: Scope::All,
                limit: 20,
                after: None
            }))
        );
    }

    #[test]
    fn every_wrong_parameter_is_named_at_once() {
        assert_eq!(
            refused(&[
                ("year", "1e3"),
                ("title", ""),
                ("sort", "year"),
                ("limit", "0")
            ]),
            ["year", "title", "sort", "limit"]
        );
        assert_eq!(
            refused(&[("genre", "x"), ("limit", "1"), ("limit", "1")]),
            ["genre", "limit"]
        );
    }

    #[test]
    fn what_needs_a_year_is_refused_without_one() {
        assert_eq!(
            refused(&[("title", "a"), ("sort", "title")]),
            ["title", "sort"]
        );
        assert_eq!(refused(&[("title_prefix", "a")]), ["title_prefix"]);
        assert_eq!(
            refused(&[
                ("year", "2013"),
                ("title", "a"),
                ("title_prefix", "a"),
                ("cursor", "a")
            ]),
            ["title_prefix", "cursor"]
        );
    }

    #[test]
    fn limits_are_one_to_a_hundred_in_ascii_digits() {
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
    fn the_next_page_repeats_the_query_and_replaces_the_cursor() {
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
    fn what_is_asked_is_read() {
        let (year, title) = (Year::new(2013).unwrap(), |text: &str| {
            Title::new(text).unwrap()
        });
        let whole = |prefix: Option<&str>, order| Scope::Year {
            year,
            prefix: prefix.map(title),
            order,
        };
        let page = |scope, limit, after| {
            Ok(List::Page(ListQuery {
                scope,
                limit,
                after,
            }))
        };
        assert_eq!(
            asked(&[("year", "2013"), ("sort", "title")]),
            page(whole(None, Order::Ascending), 20, None)
        );
        let scope = whole(Some("R"), Order::Descending);
        let query = [
            ("year", "2013"),
            ("title_prefix", "R"),
            ("sort", "-title"),
            ("limit", "7"),
        ];
        assert_eq!(asked(&query), page(scope.clone(), 7, None));
        let last = MovieId {
            year,
            title: title("Rush"),
        };
        let cursor = Cursor::encode(&scope, &Position::from(&last));
        assert_eq!(
            asked(&[&query[..], &[("cursor", &cursor)]].concat()),
            page(scope, 7, Some(Position::from(&last)))
        );
        assert_eq!(refused(&[("cursor", &cursor)]), ["cursor"]);
        assert_eq!(
            asked(&[("year", "2013"), ("title", "Rush")]),
            Ok(List::One(last))
        );
    }
}
