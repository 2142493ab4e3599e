//! Movies in DynamoDB. A failed condition is an outcome, any other failure an [`outbound::Error`].
//!
//! - `client` opens the tables and reads a movie.
//! - `transaction` writes: puts, patches, deletions and creations with an `Idempotency-Key`.
//! - `list` reads pages of movies.
//! - `condition` writes condition expressions.
//! - [`item`] is the form that a movie has in the table.

mod client;
mod condition;
pub mod item;
mod list;
pub mod retry;
mod transaction;

use crate::domain::{ETag, InfoPatch, Movie, Position, StoredMovie};
pub use client::Store;
use outbound::Error;
use std::time::{Duration, SystemTime};

/// The IAM actions that this store needs, and the only ones that the function's role allows. One
/// test compares the list with the code, another with the role. (A transaction needs the actions of
/// its parts.)
pub const OPERATIONS: [&str; 6] = [
    "GetItem",
    "Query",
    "Scan",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
];

/// Lifetime of an `Idempotency-Key`.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The consistency of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// The read may lack the writes of the last second, and costs half.
    Eventual,
    /// The read includes every write that has completed before.
    Strong,
}

/// A movie as it was read, with its ETag.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionedMovie {
    /// The movie, without malformed attributes.
    pub movie: StoredMovie,
    /// The ETag of the complete item.
    pub etag: ETag,
    /// True if every known attribute is as this API writes it.
    pub is_well_formed: bool,
    item: item::Item,
}

impl VersionedMovie {
    fn new(item: item::Item) -> Option<Self> {
        let etag = item::etag(&item);
        let (movie, is_well_formed) = item::from_item(item.clone())?;
        Some(Self {
            movie,
            is_well_formed: is_well_formed && item::has_etag(&item, &etag),
            etag,
            item,
        })
    }

    /// Returns whether writing this movie would leave the item unchanged.
    ///
    /// # Errors
    /// None that a movie can cause.
    pub fn is_stored_as(&self, movie: &Movie) -> Result<bool, Error> {
        Ok(self.etag == item::etag(&item::to_item(movie).map_err(Error::defect)?))
    }

    /// Returns whether a patch names at least one field and would change nothing.
    ///
    /// # Errors
    /// None that a patch can cause.
    pub fn has(&self, patch: &InfoPatch) -> Result<bool, Error> {
        let patched = item::patched(&self.item, patch).map_err(Error::defect)?;
        Ok(!patch.names().is_empty() && patched == self.item)
    }
}

/// The outcome of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The movie did not exist and was created.
    Created(ETag),
    /// The movie existed and was replaced.
    Replaced(ETag),
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the list's order.
    pub movies: Vec<StoredMovie>,
    /// The last position of this part; `None` at the end of the list.
    pub last: Option<Position>,
    /// Number of malformed items. They are returned without malformed attributes, or omitted if
    /// their key is malformed.
    pub malformed: usize,
}

/// A caller's `Idempotency-Key` of a request that creates a movie.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyKey<'a> {
    /// The caller, because different callers may use the same key.
    pub caller: &'a str,
    /// The key.
    pub key: &'a str,
    /// The time of the request.
    pub now: SystemTime,
}

/// The outcome of creating a movie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// The movie was created, now or by the first request with the same key and the same movie.
    Created(ETag),
    /// The movie exists already.
    Exists,
    /// The key was used for another movie.
    IdempotencyConflict,
}
