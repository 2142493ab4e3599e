//! Timeouts and retries of a request to AWS. This file has every one of them.
//!
//! ```text
//! an operation      OPERATION_TIMEOUT 2.5 s, all attempts included
//!   an attempt      ATTEMPT_TIMEOUT 750 ms, CONNECT_TIMEOUT 500 ms of it; MAX_ATTEMPTS 3
//!   a backoff       random between 0 and 50 ms, then between 0 and 100 ms (full jitter)
//! ```
//!
//! An operation without a response therefore ends after 2.4 s. Retries are paid for from a token
//! bucket: [`RETRY_TOKENS`] buy ten retries, a retry that succeeds returns its price, and a first
//! attempt that succeeds returns one token. In an outage the ten are soon spent. From then on each
//! operation makes one attempt until the service is back.
//!
//! The SDK does the rest, as read in its source and seen in the fault tests of movies: exponential
//! backoff with full jitter, no reuse of a connection that timed out or returned a server error,
//! and correction of clock skew by the response's `Date`.

use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use std::time::Duration;

const OPERATION_TIMEOUT: Duration = Duration::from_millis(2500);
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(750);
/// Part of the attempt's time.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const MAX_ATTEMPTS: u32 = 3;
/// The SDK's default is a second. A read takes 5 ms.
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);

/// Capacity of the token bucket.
const RETRY_TOKENS: usize = 50;
const TOKENS_PER_RETRY: u32 = 5;

pub(crate) fn retry_config() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(MAX_ATTEMPTS)
        .with_initial_backoff(INITIAL_BACKOFF)
}

pub(crate) fn timeout_config() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// The token bucket that clients with this name share. The SDK takes it per client, and not with
/// the rest of the configuration.
#[must_use]
pub fn partition(name: &'static str) -> RetryPartition {
    let bucket = TokenBucket::builder()
        .capacity(RETRY_TOKENS)
        .retry_cost(TOKENS_PER_RETRY)
        .throttling_retry_cost(TOKENS_PER_RETRY)
        .timeout_retry_cost(TOKENS_PER_RETRY)
        .build();
    RetryPartition::custom(name).token_bucket(bucket).build()
}
