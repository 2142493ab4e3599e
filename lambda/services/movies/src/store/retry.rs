//! How often the store repeats what is more than one request. The timeouts and retries of a single
//! request are in crate `outbound`.

/// Rounds of a put without a precondition, each of which tries to replace and then to create. Only
/// other writers that keep creating and deleting the movie make a second one necessary.
pub(super) const PUT_ROUNDS: usize = 2;

/// Maximum number of attempts to write onto an item as it was read, while others keep changing it.
pub const WRITE_ATTEMPTS: usize = 3;

/// Maximum number of pages without a movie that a list reads. The caller then gets an empty page
/// with a cursor.
pub(super) const MAX_EMPTY_PAGES: usize = 5;
