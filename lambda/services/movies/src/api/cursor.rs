//! The position in a listing as an opaque cursor.

use crate::domain::{Decimal, Listing, Order, Position, Title, Year};
use inbound::cursor::{Cursor, InvalidCursor};

/// Precedes a year that is not a [`Year`], which is spelled out.
const OTHER_YEAR: [u8; 2] = [0xff, 0xff];

/// The cursor that continues a listing after a position.
#[must_use]
pub fn encode(listing: &Listing, last: &Position) -> String {
    Cursor::new(&listing_bytes(listing), position_bytes(last)).to_string()
}

/// The position after which a cursor continues a listing.
///
/// # Errors
/// The string is no cursor, was changed, or came from another listing.
pub fn decode(listing: &Listing, cursor: &str) -> Result<Position, InvalidCursor> {
    let cursor: Cursor = cursor.parse()?;
    // DynamoDB rejects a start key outside of the listing with an error of the service.
    position_from(cursor.position(&listing_bytes(listing))?)
        .filter(|position| listing.contains(position))
        .ok_or(InvalidCursor)
}

/// The bytes of one listing never begin with those of another.
fn listing_bytes(listing: &Listing) -> Vec<u8> {
    match listing {
        Listing::All => vec![b'a'],
        Listing::Year {
            year,
            prefix,
            order,
        } => {
            let prefix = prefix.as_ref().map_or("", Title::as_str);
            [
                &[b'y', u8::from(*order == Order::Descending)][..],
                &year.get().to_be_bytes(),
                &(prefix.len() as u64).to_be_bytes(),
                prefix.as_bytes(),
            ]
            .concat()
        }
    }
}

fn position_bytes(Position { year, title }: &Position) -> Vec<u8> {
    let mut bytes = match (year.parse::<Year>(), u8::try_from(year.len())) {
        (Ok(year), _) => year.get().to_be_bytes().to_vec(),
        (_, Ok(length)) => [&OTHER_YEAR[..], &[length], year.as_bytes()].concat(),
        // Numbers of DynamoDB are shorter.
        (_, Err(_)) => OTHER_YEAR.to_vec(),
    };
    bytes.extend(title.as_bytes());
    bytes
}

/// The position that [`position_bytes`] wrote.
fn position_from(bytes: &[u8]) -> Option<Position> {
    let (year, title) = bytes.split_first_chunk()?;
    let (year, title) = if *year == OTHER_YEAR {
        let (length, rest) = title.split_first()?;
        let (year, title) = rest.split_at_checked((*length).into())?;
        let year = str::from_utf8(year).ok()?;
        if year.parse::<Decimal>().is_err() || year.parse::<Year>().is_ok() {
            return None;
        }
        (year.to_owned(), title)
    } else {
        let year = Year::try_from(u32::from(u16::from_be_bytes(*year))).ok()?;
        (year.to_string(), title)
    };
    let title = str::from_utf8(title).ok()?.to_owned();
    (1..=Title::MAX_BYTES)
        .contains(&title.len())
        .then_some(Position { year, title })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MovieId, Order, Title, Year};
    use proptest::prelude::*;

    fn title() -> impl Strategy<Value = Title> {
        prop_oneof![
            any::<String>(),
            "[ /?+&#%'.=;\\\\\"<>{}|^`~é😀\u{301}-]{1,40}"
        ]
        .prop_filter_map("no title", |text| Title::try_from(text).ok())
    }

    fn id() -> impl Strategy<Value = MovieId> {
        (
            (1888u32..=2100).prop_filter_map("no year", |year| Year::try_from(year).ok()),
            title(),
        )
            .prop_map(|(year, title)| MovieId { year, title })
    }

    fn listing() -> impl Strategy<Value = Listing> {
        let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
        prop_oneof![
            Just(Listing::All),
            (id(), any::<bool>(), order).prop_map(|(id, prefixed, order)| Listing::Year {
                year: id.year,
                prefix: prefixed.then_some(id.title),
                order
            }),
        ]
    }

    /// A movie, and a listing that contains it.
    fn reached() -> impl Strategy<Value = (MovieId, Listing)> {
        (id(), listing(), any::<prop::sample::Index>()).prop_map(|(id, listing, cut)| {
            let listing = match listing {
                Listing::All => Listing::All,
                Listing::Year { prefix, order, .. } => {
                    let ends: Vec<_> = id
                        .title
                        .as_str()
                        .char_indices()
                        .map(|(at, one)| at + one.len_utf8())
                        .collect();
                    let prefix =
                        prefix.and_then(|_| id.title.as_str()[..*cut.get(&ends)].parse().ok());
                    Listing::Year {
                        year: id.year,
                        prefix,
                        order,
                    }
                }
            };
            (id, listing)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn cursor_decodes_to_the_position_it_was_encoded_from((id, listing) in reached()) {
            let position = Position::from(&id);
            let cursor = encode(&listing, &position);
            prop_assert_eq!(decode(&listing, &cursor), Ok(position));
        }

        #[test]
        fn cursor_of_a_position_outside_of_the_listing_is_invalid(
            id in id(), listing in listing(),
        ) {
            let position = Position::from(&id);
            let is_within = match &listing {
                Listing::All => true,
                Listing::Year { year, prefix, .. } => {
                    let prefix = prefix.as_ref().map_or("", Title::as_str);
                    *year == id.year && id.title.as_str().starts_with(prefix)
                }
            };
            let cursor = encode(&listing, &position);
            let expected = if is_within { Ok(position) } else { Err(InvalidCursor) };
            prop_assert_eq!(decode(&listing, &cursor), expected);
        }

        #[test]
        fn cursor_of_another_listing_is_invalid((id, own) in reached(), other in listing()) {
            let (year, prefix, order) = match own.clone() {
                Listing::Year { year, prefix, order: Order::Ascending } => {
                    (year, prefix, Order::Descending)
                }
                Listing::Year { year, .. } => (year, None, Order::Ascending),
                Listing::All => (id.year, None, Order::Ascending),
            };
            for other in [other, Listing::Year { year, prefix, order }] {
                prop_assume!(own != other);
                let cursor = encode(&own, &Position::from(&id));
                prop_assert_eq!(decode(&other, &cursor), Err(InvalidCursor));
            }
        }

        #[test]
        fn cursor_decodes_to_any_key_of_an_item(
            year in "-?[1-9][0-9]{0,20}(\\.[0-9]{0,10}[1-9])?|2013",
            title in any::<String>().prop_filter("a key", |key| (1..=1024).contains(&key.len())),
        ) {
            let position = Position { year, title };
            let of_2013 = Listing::Year {
                year: Year::try_from(2013).unwrap(), prefix: None, order: Order::Ascending,
            };
            for (listing, is_within) in [(Listing::All, true), (of_2013, position.year == "2013")] {
                let cursor = encode(&listing, &position);
                prop_assert_eq!(decode(&listing, &cursor).is_ok(), is_within);
                prop_assert!(!is_within || decode(&listing, &cursor).as_ref() == Ok(&position));
            }
        }

        #[test]
        fn random_string_is_an_invalid_cursor_of_a_listing(
            text in "[A-Za-z0-9_-]{0,80}", listing in listing(),
        ) {
            prop_assert_eq!(decode(&listing, &text), Err(InvalidCursor));
        }
    }

    /// Clients store cursors across releases. If the format changes, they have to restart at the
    /// first page.
    #[test]
    fn cursor_of_a_listing_is_stable_over_releases() {
        let (year, title) = (Year::try_from(2013).unwrap(), |text: &str| {
            text.parse::<Title>().unwrap()
        });
        let rush = MovieId {
            year,
            title: title("Rush"),
        };
        let within = |prefix: Option<&str>, order| Listing::Year {
            year,
            prefix: prefix.map(title),
            order,
        };
        for (listing, cursor) in [
            (Listing::All, "dNU44hgGK4p1gUNbB91SdXNo"),
            (within(None, Order::Ascending), "4E0iQJ-qvVOEVT7PB91SdXNo"),
            (
                within(Some("R"), Order::Descending),
                "3wTrl9Fgvd9cH1JnB91SdXNo",
            ),
        ] {
            assert_eq!(encode(&listing, &Position::from(&rush)), cursor);
        }
    }
}
