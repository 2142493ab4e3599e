//! Writes batches to the table, and does not rest while DynamoDB leaves a part of one undone.

use std::time::Duration;

use anyhow::{Error, Result, bail};
use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemError;
use aws_sdk_dynamodb::types::{PutRequest, ReturnConsumedCapacity, WriteRequest};
use movies::store::item::Item;
use tokio::time::sleep;

/// DynamoDB takes no more in one BatchWriteItem.
pub(crate) const BATCH_ITEMS: usize = 25;
/// Tries that may pass without a single item being taken; some 13 seconds on average.
const FRUITLESS_TRIES: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// Makes a client of the AWS CLI's settings.
    ///
    /// # Errors
    /// They name no region: a default could be the region of another table of the same name.
    pub(crate) async fn open(name: String) -> Result<Self, &'static str> {
        // Calls that fail (throttled, dropped, timed out) are the SDK's to repeat: exponential backoff, full jitter.
        // Unprocessed items come with a success, so they are ours.
        let retry = RetryConfig::standard()
            .with_max_attempts(8)
            .with_initial_backoff(FIRST_PAUSE)
            .with_max_backoff(LONGEST_PAUSE);
        let timeout = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(15))
            .build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(retry)
            .timeout_config(timeout)
            .load()
            .await;
        config.region().ok_or("No AWS region is configured. Set AWS_REGION, or AWS_PROFILE to a profile with a region.")?;
        Ok(Self {
            client: Client::new(&config),
            name,
        })
    }

    /// Puts every item, replacing what was there. Gives the write capacity that it cost.
    pub(crate) async fn put(self, items: Vec<Item>) -> Result<f64> {
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            left.push(
                WriteRequest::builder()
                    .put_request(PutRequest::builder().set_item(Some(item)).build()?)
                    .build(),
            );
        }
        let (mut units, mut fruitless) = (0.0, 0);
        loop {
            let count = left.len();
            let answer = self
                .client
                .batch_write_item()
                .request_items(&self.name, left)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => bail!("BatchWriteItem on {}: {}", self.name, reason(error)),
            };
            units += answer
                .consumed_capacity()
                .iter()
                .filter_map(|consumed| consumed.capacity_units())
                .sum::<f64>();
            left = answer
                .unprocessed_items
                .and_then(|mut tables| tables.remove(&self.name))
                .unwrap_or_default();
            if left.is_empty() {
                return Ok(units);
            }
            fruitless = if left.len() < count { 0 } else { fruitless + 1 };
            if fruitless == FRUITLESS_TRIES {
                bail!(
                    "{} took none of {count} items in {FRUITLESS_TRIES} tries: its write capacity is spent; try a lower --concurrency",
                    self.name
                );
            }
            sleep(pause(fruitless, fastrand::f64())).await;
        }
    }
}

/// DynamoDB's code and message, or why there was no response.
fn reason(error: SdkError<BatchWriteItemError>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => format!("{:#}", Error::new(error)),
    }
}

/// Exponential, with full jitter: clients that were turned away together do not come back together.
fn pause(fruitless: u32, chance: f64) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(fruitless))
        .min(LONGEST_PAUSE)
        .mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_bound_and_is_drawn_from_the_whole_range() {
        assert_eq!(pause(0, 1.0), FIRST_PAUSE);
        assert_eq!(pause(3, 1.0), FIRST_PAUSE * 8);
        assert_eq!(pause(3, 0.25), FIRST_PAUSE * 2);
        assert_eq!(pause(3, 0.0), Duration::ZERO);
        assert_eq!(pause(u32::MAX, 1.0), LONGEST_PAUSE);
    }
}
