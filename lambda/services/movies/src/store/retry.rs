//! Retries of operations that need several requests. The timeouts and retries of a single request
//! are in the crate `outbound`.

/// Maximum number of rounds of a put without a precondition. Each round tries to replace and then
/// to create. A second one is only needed if other writers create and delete the movie in between.
pub(super) const PUT_ROUNDS: usize = 2;

/// Maximum number of attempts to write onto an item as it was read, while others keep changing it.
pub const WRITE_ATTEMPTS: usize = 3;

/// Maximum number of pages without a movie that a list reads. The caller then gets an empty page
/// with a cursor.
pub(super) const MAX_EMPTY_PAGES: usize = 5;
