//! How long a request may take in all: a matter of the entry points. The timeouts of a single
//! request to DynamoDB are in crate `outbound`.

use std::time::Duration;

/// What a caller waits for at the most.
pub const BUDGET: Duration = Duration::from_secs(3);
/// Before Lambda's own timeout a response must be out: it kills the process, and what the caller
/// gets is not ours.
pub const RESERVE: Duration = Duration::from_millis(200);
/// With less than this left, no work is begun: the caller is told at once to come again.
pub const WORTH_TRYING: Duration = Duration::from_millis(100);
