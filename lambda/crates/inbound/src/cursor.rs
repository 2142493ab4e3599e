//! Opaque cursors: where a listing continues.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Length of the hash in bytes. No accidental change of a cursor matches 96 bits.
const HASH: usize = 12;

/// The position at which a listing continues, bound to the query that it came from.
///
/// It consists of the position and a hash over the query and the position. The hash is not a
/// signature: a forged cursor reaches only what the query reaches anyway. It prevents clients from
/// continuing in the wrong listing by mistake.
///
/// The service chooses the bytes of a query and of a position. No query's bytes may begin with
/// another query's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    hash: [u8; HASH],
    position: Vec<u8>,
}

/// The string is not a cursor of this query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be the next value of the previous page of the same query")]
pub struct InvalidCursor;

impl Cursor {
    /// Creates the cursor of a query that continues after a position.
    #[must_use]
    pub fn new(query: &[u8], position: Vec<u8>) -> Self {
        Self {
            hash: hash(query, &position),
            position,
        }
    }

    /// Returns the position.
    ///
    /// # Errors
    /// The cursor was changed or came from another query.
    pub fn position(&self, query: &[u8]) -> Result<&[u8], InvalidCursor> {
        if hash(query, &self.position) == self.hash {
            Ok(&self.position)
        } else {
            Err(InvalidCursor)
        }
    }
}

fn hash(query: &[u8], position: &[u8]) -> [u8; HASH] {
    let digest = Sha256::new()
        .chain_update(query)
        .chain_update(position)
        .finalize();
    std::array::from_fn(|index| digest[index])
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.hash[..], &self.position].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let (hash, position) = bytes.split_first_chunk().ok_or(InvalidCursor)?;
        Ok(Self {
            hash: *hash,
            position: position.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn cursor_returns_its_position_to_its_query(query in bytes(), position in bytes()) {
            let cursor = Cursor::new(&query, position.clone());
            let read: Cursor = cursor.to_string().parse().unwrap();
            prop_assert_eq!(read.position(&query), Ok(&position[..]));
        }

        #[test]
        fn cursor_is_invalid_for_a_query_that_differs_in_a_byte(
            query in prop::collection::vec(any::<u8>(), 1..40), position in bytes(),
            at in any::<prop::sample::Index>(), change in 1_u8..,
        ) {
            let mut other = query.clone();
            *at.get_mut(&mut other) ^= change;
            let cursor = Cursor::new(&query, position);
            prop_assert_eq!(cursor.position(&other), Err(InvalidCursor));
        }

        #[test]
        fn cursor_with_a_changed_byte_is_invalid(
            query in bytes(), position in bytes(), at in any::<prop::sample::Index>(),
            change in 1_u8..,
        ) {
            let mut bytes =
                URL_SAFE_NO_PAD.decode(Cursor::new(&query, position).to_string()).unwrap();
            *at.get_mut(&mut bytes) ^= change;
            let changed: Cursor = URL_SAFE_NO_PAD.encode(bytes).parse().unwrap();
            prop_assert_eq!(changed.position(&query), Err(InvalidCursor));
        }

        #[test]
        fn random_string_is_an_invalid_cursor(text in "[A-Za-z0-9_-]{0,80}", query in bytes()) {
            let read = text.parse::<Cursor>();
            prop_assert!(read.is_err() || read.unwrap().position(&query).is_err());
        }
    }

    #[test]
    fn string_shorter_than_the_hash_or_not_base64url_is_an_invalid_cursor() {
        for text in [
            "",
            "AAAA",
            "AAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAA+",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
        assert!("AAAAAAAAAAAAAAAA".parse::<Cursor>().is_ok());
    }

    /// Clients store cursors across releases. If the format changes, they have to restart at the
    /// first page.
    #[test]
    fn cursor_format_is_stable_over_releases() {
        let cursor = Cursor::new(b"a", [&2013_u16.to_be_bytes()[..], b"Rush"].concat());
        assert_eq!(cursor.to_string(), "dNU44hgGK4p1gUNbB91SdXNo");
    }
}
