//! Movies in DynamoDB. A failed condition is an outcome; everything else that goes wrong is an
//! [`outbound::Error`].
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

/// How long an `Idempotency-Key` is valid.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How current a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// It may lack the writes of the last second, and costs half.
    Eventual,
    /// It has every write that was answered before.
    Strong,
}

/// A movie as it was read, with its ETag.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionedMovie {
    /// The movie, without malformed attributes.
    pub movie: StoredMovie,
    /// The ETag of everything that the item holds.
    pub etag: ETag,
    /// True if the item is as this API writes it, apart from unknown attributes.
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

    /// Returns whether a movie would be stored as this item is.
    ///
    /// # Errors
    /// None that a movie can cause.
    pub fn is_stored_as(&self, movie: &Movie) -> Result<bool, Error> {
        Ok(self.etag == item::etag(&item::to_item(movie).map_err(Error::defect)?))
    }

    /// Returns whether a patch names a field and would change nothing.
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
    /// Where the next part begins; `None` at the end.
    pub last: Option<Position>,
    /// Malformed items: served as far as they go, or left out if they are no movie at all.
    pub malformed: usize,
}

/// A caller's `Idempotency-Key` of a request that creates a movie.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyKey<'a> {
    /// The caller, because others may use the same key.
    pub caller: &'a str,
    /// The key.
    pub key: &'a str,
    /// When it is used.
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
