//! Writes batches to the table, and repeats requests for items that DynamoDB left unprocessed.

use std::error::Error as StdError;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemError;
use aws_sdk_dynamodb::types::{PutRequest, ReturnConsumedCapacity, WriteRequest};
use movies::store::item::Item;
use thiserror::Error;
use tokio::time::sleep;

/// Maximum number of items in one BatchWriteItem.
pub(crate) const BATCH_ITEMS: usize = 25;
/// Attempts in a row without a single written item: about 13 seconds on average.
const MAX_ATTEMPTS_WITHOUT_PROGRESS: u32 = 10;
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

#[derive(Debug, Error)]
#[error("No AWS region is configured. Set AWS_REGION, or AWS_PROFILE to a profile with a region.")]
pub(crate) struct NoRegion;

/// The reason why a batch was not written.
#[derive(Debug, Error)]
pub(crate) enum WriteError {
    #[error("BatchWriteItem on {table}: {reason}")]
    Request { table: String, reason: String },
    #[error(
        "{table} wrote none of {items} items in {MAX_ATTEMPTS_WITHOUT_PROGRESS} attempts: its write \
         capacity is exhausted. Use a lower --concurrency"
    )]
    NoCapacity { table: String, items: usize },
    #[error(transparent)]
    Item(#[from] BuildError),
}

#[derive(Clone)]
pub(crate) struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// Configures a client with the settings of the AWS CLI.
    ///
    /// # Errors
    /// No region is configured. A default could be the region of another table with the same name.
    pub(crate) async fn open(name: String) -> Result<Self, NoRegion> {
        // The SDK repeats failed requests (throttled, dropped, timed out). Unprocessed items are
        // part of a successful response, so `put` repeats them.
        let retry = RetryConfig::standard()
            .with_max_attempts(8)
            .with_initial_backoff(INITIAL_BACKOFF)
            .with_max_backoff(MAX_BACKOFF);
        let timeout = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(15))
            .build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(retry)
            .timeout_config(timeout)
            .load()
            .await;
        config.region().ok_or(NoRegion)?;
        Ok(Self {
            client: Client::new(&config),
            name,
        })
    }

    /// Writes all items, which replace items with the same key. Returns the consumed write capacity
    /// units.
    pub(crate) async fn put(self, items: Vec<Item>) -> Result<f64, WriteError> {
        let mut remaining = Vec::with_capacity(items.len());
        for item in items {
            remaining.push(
                WriteRequest::builder()
                    .put_request(PutRequest::builder().set_item(Some(item)).build()?)
                    .build(),
            );
        }
        let (mut units, mut attempts) = (0.0, 0);
        loop {
            let count = remaining.len();
            let response = self
                .client
                .batch_write_item()
                .request_items(&self.name, remaining)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            let response = response.map_err(|error| WriteError::Request {
                table: self.name.clone(),
                reason: reason(error),
            })?;
            units += response
                .consumed_capacity()
                .iter()
                .filter_map(|consumed| consumed.capacity_units())
                .sum::<f64>();
            remaining = response
                .unprocessed_items
                .and_then(|mut tables| tables.remove(&self.name))
                .unwrap_or_default();
            if remaining.is_empty() {
                return Ok(units);
            }
            attempts = if remaining.len() < count {
                0
            } else {
                attempts + 1
            };
            if attempts == MAX_ATTEMPTS_WITHOUT_PROGRESS {
                return Err(WriteError::NoCapacity {
                    table: self.name,
                    items: count,
                });
            }
            sleep(backoff(attempts, fastrand::f64())).await;
        }
    }
}

/// Returns DynamoDB's code and message, or the reason why there was no response.
fn reason(error: SdkError<BatchWriteItemError>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => chain(&error),
    }
}

/// Joins the messages of an error and its sources.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Exponential backoff with full jitter, so that clients that were throttled together do not retry
/// together. `random` is between 0 and 1.
fn backoff(attempts: u32, random: f64) -> Duration {
    INITIAL_BACKOFF
        .saturating_mul(2_u32.saturating_pow(attempts))
        .min(MAX_BACKOFF)
        .mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_maximum_with_full_jitter() {
        assert_eq!(backoff(0, 1.0), INITIAL_BACKOFF);
        assert_eq!(backoff(3, 1.0), INITIAL_BACKOFF * 8);
        assert_eq!(backoff(3, 0.25), INITIAL_BACKOFF * 2);
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
        assert_eq!(backoff(u32::MAX, 1.0), MAX_BACKOFF);
    }
}
