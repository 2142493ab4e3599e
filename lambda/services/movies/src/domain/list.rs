use super::{Decimal, MovieId, Title, Year};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// What a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Which movies.
    pub scope: Scope,
    /// How many of them at the most, 1 to 100.
    pub limit: u8,
    /// Only those after this position, in the list's order.
    pub after: Option<Position>,
}

/// A position in a list: the key of an item. It need not be a movie's, for a page can end at a
/// malformed item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The year, as DynamoDB writes numbers.
    pub year: String,
    /// The title.
    pub title: String,
}

impl From<&MovieId> for Position {
    fn from(id: &MovieId) -> Self {
        Self {
            year: id.year.get().to_string(),
            title: id.title.as_str().to_owned(),
        }
    }
}

impl ListQuery {
    /// The most movies a page may hold.
    pub const MAX_LIMIT: u8 = 100;
    /// How many it holds when nothing is said.
    pub const DEFAULT_LIMIT: u8 = 20;
}

/// Which movies a list is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every one, in the table's order.
    All,
    /// One year's, by title.
    Year {
        /// The year.
        year: Year,
        /// Only titles that begin so.
        prefix: Option<Title>,
        /// Which way.
        order: Order,
    },
}

/// The order of titles: that of their UTF-8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A before B.
    Ascending,
    /// B before A.
    Descending,
}

/// Where a list goes on: opaque to the caller, and good only for the query it came from.
///
/// It holds the last position of a page and a hash over that and the query. The hash is no
/// signature: a forged cursor reaches only movies that the query reaches anyway. It keeps honest
/// clients from continuing in the wrong list.
#[derive(Clone, Copy, Debug)]
pub struct Cursor;

/// Bytes of the hash: enough that no accident passes.
const HASH: usize = 12;

/// Stands before a year that is none of [`Year`]'s, which is spelled out.
const OTHER_YEAR: [u8; 2] = [0xff, 0xff];

impl Cursor {
    /// The cursor that goes on after `last`.
    #[must_use]
    pub fn encode(scope: &Scope, last: &Position) -> String {
        let mut bytes = year_bytes(&last.year);
        bytes.extend(last.title.as_bytes());
        URL_SAFE_NO_PAD.encode([&hash(scope, &bytes)[..], &bytes].concat())
    }

    /// Where to go on. `None` if the cursor is malformed, was changed, or came from another query.
    #[must_use]
    pub fn decode(scope: &Scope, cursor: &str) -> Option<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (found, position) = bytes.split_at_checked(HASH)?;
        let (year, title) = position.split_at_checked(2)?;
        let (year, title) = if year == OTHER_YEAR {
            let (length, rest) = title.split_first()?;
            let (year, title) = rest.split_at_checked(usize::from(*length))?;
            let year = std::str::from_utf8(year).ok()?;
            Decimal::parse(year).filter(|_| Year::parse(year).is_none())?;
            (year.to_owned(), title)
        } else {
            (
                Year::new(u32::from(u16::from_be_bytes(year.try_into().ok()?)))?
                    .get()
                    .to_string(),
                title,
            )
        };
        let title = std::str::from_utf8(title)
            .ok()
            .filter(|title| (1..=Title::MAX_BYTES).contains(&title.len()))?;
        // DynamoDB refuses a start key outside of the range that it is asked for, with an error of ours: check it here.
        let within = match scope {
            Scope::All => true,
            Scope::Year {
                year: asked,
                prefix,
                ..
            } => {
                Year::parse(&year) == Some(*asked)
                    && prefix
                        .as_ref()
                        .is_none_or(|prefix| title.starts_with(prefix.as_str()))
            }
        };
        (within && found == hash(scope, position)).then(|| Position {
            year,
            title: title.to_owned(),
        })
    }
}

fn year_bytes(year: &str) -> Vec<u8> {
    match (Year::parse(year), u8::try_from(year.len())) {
        (Some(year), _) => year.get().to_be_bytes().to_vec(),
        (None, Ok(length)) => [&OTHER_YEAR[..], &[length], year.as_bytes()].concat(),
        // DynamoDB's numbers are shorter.
        (None, Err(_)) => OTHER_YEAR.to_vec(),
    }
}

fn hash(scope: &Scope, position: &[u8]) -> [u8; HASH] {
    let mut hash = Sha256::new();
    match scope {
        Scope::All => hash.update([b'a']),
        Scope::Year {
            year,
            prefix,
            order,
        } => {
            let prefix = prefix.as_ref().map_or("", Title::as_str);
            hash.update([b'y', u8::from(*order == Order::Descending)]);
            hash.update(year.get().to_be_bytes());
            hash.update((prefix.len() as u64).to_be_bytes());
            hash.update(prefix);
        }
    }
    hash.update(position);
    let mut short = [0; HASH];
    short.copy_from_slice(&hash.finalize()[..HASH]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn title() -> impl Strategy<Value = Title> {
        prop_oneof![
            any::<String>(),
            "[ /?+&#%'.=;\\\\\"<>{}|^`~é😀\u{301}-]{1,40}"
        ]
        .prop_filter_map("no title", Title::new)
    }

    fn id() -> impl Strategy<Value = MovieId> {
        (
            (1888u32..=2100).prop_filter_map("no year", Year::new),
            title(),
        )
            .prop_map(|(year, title)| MovieId { year, title })
    }

    fn scope() -> impl Strategy<Value = Scope> {
        let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
        prop_oneof![
            Just(Scope::All),
            (id(), any::<bool>(), order).prop_map(|(id, prefixed, order)| Scope::Year {
                year: id.year,
                prefix: prefixed.then_some(id.title),
                order
            }),
        ]
    }

    /// A movie, and a query that reaches it.
    fn reached() -> impl Strategy<Value = (MovieId, Scope)> {
        (id(), scope(), any::<prop::sample::Index>()).prop_map(|(id, scope, cut)| {
            let scope = match scope {
                Scope::All => Scope::All,
                Scope::Year { prefix, order, .. } => {
                    let ends: Vec<_> = id
                        .title
                        .as_str()
                        .char_indices()
                        .map(|(at, one)| at + one.len_utf8())
                        .collect();
                    let prefix =
                        prefix.and_then(|_| Title::new(&id.title.as_str()[..*cut.get(&ends)]));
                    Scope::Year {
                        year: id.year,
                        prefix,
                        order,
                    }
                }
            };
            (id, scope)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_cursor_leads_back_to_where_it_was_made((id, scope) in reached()) {
            prop_assert_eq!(Cursor::decode(&scope, &Cursor::encode(&scope, &Position::from(&id))), Some(Position::from(&id)));
        }

        #[test]
        fn a_cursor_leads_nowhere_that_its_query_does_not(id in id(), scope in scope()) {
            let within = match &scope {
                Scope::All => true,
                Scope::Year { year, prefix, .. } => *year == id.year && prefix.as_ref().is_none_or(|prefix| id.title.as_str().starts_with(prefix.as_str())),
            };
            prop_assert_eq!(Cursor::decode(&scope, &Cursor::encode(&scope, &Position::from(&id))), within.then(|| Position::from(&id)));
        }

        #[test]
        fn a_cursor_of_another_query_leads_nowhere((id, ours) in reached(), theirs in scope()) {
            let ours_reversed = match ours.clone() {
                Scope::Year { year, prefix, order: Order::Ascending } => Scope::Year { year, prefix, order: Order::Descending },
                Scope::Year { year, order: Order::Descending, .. } => Scope::Year { year, prefix: None, order: Order::Ascending },
                Scope::All => Scope::Year { year: id.year, prefix: None, order: Order::Ascending },
            };
            for theirs in [theirs, ours_reversed] {
                prop_assume!(ours != theirs);
                prop_assert_eq!(Cursor::decode(&theirs, &Cursor::encode(&ours, &Position::from(&id))), None);
            }
        }

        #[test]
        fn a_cursor_leads_to_any_key_of_an_item(
            year in "-?[1-9][0-9]{0,20}(\\.[0-9]{0,10}[1-9])?|2013",
            title in any::<String>().prop_filter("a key", |title| (1..=1024).contains(&title.len())),
        ) {
            let position = Position { year, title };
            let within = Scope::Year { year: Year::new(2013).unwrap(), prefix: None, order: Order::Ascending };
            for (scope, reached) in [(Scope::All, true), (within, position.year == "2013")] {
                let cursor = Cursor::encode(&scope, &position);
                prop_assert_eq!(Cursor::decode(&scope, &cursor), reached.then(|| position.clone()));
            }
        }

        #[test]
        fn no_text_is_a_cursor_by_accident(text in "[A-Za-z0-9_-]{0,80}", scope in scope()) {
            prop_assert_eq!(Cursor::decode(&scope, &text), None);
        }
    }

    /// Callers keep cursors over a release: a change here sends them back to the first page, so it must be meant.
    #[test]
    fn the_form_is_kept_over_releases() {
        let (year, title) = (Year::new(2013).unwrap(), |text: &str| {
            Title::new(text).unwrap()
        });
        let rush = MovieId {
            year,
            title: title("Rush"),
        };
        let within = |prefix: Option<&str>, order| Scope::Year {
            year,
            prefix: prefix.map(title),
            order,
        };
        for (scope, cursor) in [
            (Scope::All, "dNU44hgGK4p1gUNbB91SdXNo"),
            (within(None, Order::Ascending), "4E0iQJ-qvVOEVT7PB91SdXNo"),
            (
                within(Some("R"), Order::Descending),
                "3wTrl9Fgvd9cH1JnB91SdXNo",
            ),
        ] {
            assert_eq!(Cursor::encode(&scope, &Position::from(&rush)), cursor);
        }
    }
}
