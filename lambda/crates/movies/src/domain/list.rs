use super::{MovieId, Title, Year};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// What a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Which movies.
    pub scope: Scope,
    /// How many of them at the most, 1 to 100.
    pub limit: u8,
    /// Only those after this one, in the list's order.
    pub after: Option<MovieId>,
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
/// It holds the last movie of a page and a hash over that and the query. The hash is no signature: whoever forges one
/// reaches only movies that the query reaches anyway. It keeps honest callers from going on in the wrong list.
#[derive(Clone, Copy, Debug)]
pub struct Cursor;

/// Bytes of the hash: enough that no accident passes.
const HASH: usize = 12;

impl Cursor {
    /// The cursor that goes on after `last`.
    #[must_use]
    pub fn encode(scope: &Scope, last: &MovieId) -> String {
        let mut bytes = hash(scope, last.year.get(), last.title.as_str()).to_vec();
        bytes.extend(last.year.get().to_be_bytes());
        bytes.extend(last.title.as_str().as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where to go on. `None` if the cursor is malformed, was changed, or came from another query.
    #[must_use]
    pub fn decode(scope: &Scope, cursor: &str) -> Option<MovieId> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (found, rest) = bytes.split_at_checked(HASH)?;
        let (year, title) = rest.split_at_checked(2)?;
        let year = Year::new(u32::from(u16::from_be_bytes(year.try_into().ok()?)))?;
        let title = Title::new(std::str::from_utf8(title).ok()?)?;
        // DynamoDB refuses a start key outside of the range that it is asked for, with an error of ours: check it here.
        let within = match scope {
            Scope::All => true,
            Scope::Year { year: asked, prefix, .. } => {
                *asked == year && prefix.as_ref().is_none_or(|prefix| title.as_str().starts_with(prefix.as_str()))
            }
        };
        (within && found == hash(scope, year.get(), title.as_str())).then_some(MovieId { year, title })
    }
}

fn hash(scope: &Scope, year: u16, title: &str) -> [u8; HASH] {
    let mut hash = Sha256::new();
    match scope {
        Scope::All => hash.update([b'a']),
        Scope::Year { year, prefix, order } => {
            let prefix = prefix.as_ref().map_or("", Title::as_str);
            hash.update([b'y', u8::from(*order == Order::Descending)]);
            hash.update(year.get().to_be_bytes());
            hash.update((prefix.len() as u64).to_be_bytes());
            hash.update(prefix);
        }
    }
    hash.update(year.to_be_bytes());
    hash.update(title);
    let mut short = [0; HASH];
    short.copy_from_slice(&hash.finalize()[..HASH]);
    short
}
