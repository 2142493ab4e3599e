//! How long and how often the table is asked, and when it is not asked any more: every number of it is here.
//!
//! ```text
//! a caller waits          BUDGET 3 s, or until RESERVE before Lambda would end the function
//!   a call to the table   OPERATION 2.5 s with all its attempts; more calls may follow, within the same budget
//!     an attempt          ATTEMPT 750 ms, CONNECT 500 ms of it for the connection; ATTEMPTS 3 at the most
//!     a pause before one  random between 0 and 50 ms, then between 0 and 100 ms (full jitter)
//! ```
//!
//! So a table that is silent costs 2.4 s at the most, and the answer is ours. Retries are paid from a bucket: [`TOKENS`] buy
//! ten retries, a retry that succeeds gives its price back, a first attempt that succeeds one token more. In an outage the
//! ten are soon spent; from then on each request makes one attempt, until the table is back.
//!
//! What the SDK does by itself, read in its source and seen in `tests/faults`: exponential backoff from one second (here 50
//! ms, for a read takes 5), full jitter, a bucket of a hundred retries for all clients of a process, connections that
//! timed out or answered 5xx not used again, and clock skew corrected by the answer's `Date`. It does not look at
//! `x-amz-crc32`, reads answers of any length and does not repeat a cancelled transaction: that is made up for here.

use aws_sdk_dynamodb::{
    config::{
        Builder, ConfigBag, Intercept, RuntimeComponents, StalledStreamProtectionConfig,
        interceptors::{BeforeDeserializationInterceptorContextMut, InterceptorContext},
        retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition, TokenBucket},
        timeout::TimeoutConfig,
    },
    error::{BoxError, ProvideErrorMetadata},
    operation::{
        get_item::GetItemError, query::QueryError, scan::ScanError,
        transact_write_items::TransactWriteItemsError,
    },
    types::CancellationReason,
};
use aws_smithy_runtime_api::client::interceptors::context::Error as OperationError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// What a caller waits for at the most.
pub const BUDGET: Duration = Duration::from_secs(3);
/// Before Lambda's own timeout an answer must be out; it kills the process, and what the caller gets is not ours.
pub const RESERVE: Duration = Duration::from_millis(200);
/// With less than this left, no work is begun: the caller is told at once to come again.
pub const WORTH_TRYING: Duration = Duration::from_millis(100);

const OPERATION: Duration = Duration::from_millis(2500);
const ATTEMPT: Duration = Duration::from_millis(750);
/// For the connection; part of the attempt's time.
const CONNECT: Duration = Duration::from_millis(500);
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const TOKENS: usize = 50;
const TOKENS_PER_RETRY: u32 = 5;

/// A page of DynamoDB's holds 1 MiB of data; as JSON it seldom doubles. What is longer is not read on.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A client's configuration under this policy.
pub(super) fn apply(config: Builder) -> Builder {
    let bucket = TokenBucket::builder()
        .capacity(TOKENS)
        .retry_cost(TOKENS_PER_RETRY)
        .throttling_retry_cost(TOKENS_PER_RETRY)
        .timeout_retry_cost(TOKENS_PER_RETRY)
        .build();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT);
    let timeouts = timeouts.operation_timeout(OPERATION).build();
    config
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(FIRST_PAUSE),
        )
        .retry_partition(
            RetryPartition::custom("movies")
                .token_bucket(bucket)
                .build(),
        )
        .retry_classifier(TransientClassifier)
        .timeout_config(timeouts)
        // An answer is read to its end within its attempt's time.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(Verify)
}

/// Whether a cancelled transaction can succeed when it is repeated: only conflicts and a lack of
/// capacity stopped it, or these stopped its last write. DynamoDB prepares each item on its own. A
/// creation that races its own retry can find the movie written (a failed condition) while the key,
/// its last write, is still locked by the first (a conflict). The response depends on the key, so
/// the key must be readable first.
pub(super) fn is_transient(reasons: &[CancellationReason]) -> bool {
    let passes = |code: &str| {
        matches!(
            code,
            "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"
        )
    };
    let codes = || reasons.iter().map(|reason| reason.code().unwrap_or("None"));
    codes().all(|code| code == "None" || passes(code)) || codes().next_back().is_some_and(passes)
}

/// Retries what the SDK does not: transactions that were cancelled for a transient reason, and
/// requests that KMS throttled.
#[derive(Debug)]
struct TransientClassifier;

impl ClassifyRetry for TransientClassifier {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context
            .output_or_error()
            .and_then(Result::err)
            .and_then(|error| error.as_operation_error());
        let Some(error) = error else {
            return RetryAction::NoActionIndicated;
        };
        let retries = match error.downcast_ref() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                is_transient(cancelled.cancellation_reasons())
            }
            _ => code(error) == Some("KMSThrottlingException"),
        };
        if retries {
            RetryAction::throttling_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "transient"
    }
}

/// The code of an error of any operation of this store.
fn code(error: &OperationError) -> Option<&str> {
    fn of<E: ProvideErrorMetadata + Error + Send + Sync + 'static>(
        error: &OperationError,
    ) -> Option<&str> {
        error.downcast_ref::<E>()?.code()
    }
    of::<GetItemError>(error)
        .or_else(|| of::<QueryError>(error))
        .or_else(|| of::<ScanError>(error))
        .or_else(|| of::<TransactWriteItemsError>(error))
}

/// Has every answer read through [`Verified`].
#[derive(Debug)]
struct Verify;

impl Intercept for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let wanted = response
            .headers()
            .get("x-amz-crc32")
            .and_then(|value| value.parse().ok());
        let body = std::mem::replace(response.body_mut(), SdkBody::taken());
        let verified = Verified {
            body: Box::pin(body),
            left: MAX_ANSWER_BYTES,
            hash: crc32fast::Hasher::new(),
            wanted,
        };
        *response.body_mut() = SdkBody::from_body_1_x(verified);
        Ok(())
    }
}

/// A body that ends in an error when it is too long or not what its checksum says: for the SDK a broken answer, which it
/// asks for again on a new connection.
struct Verified {
    body: Pin<Box<SdkBody>>,
    left: usize,
    hash: crc32fast::Hasher,
    wanted: Option<u32>,
}

impl Body for Verified {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(frame) = ready!(self.body.as_mut().poll_frame(context)) else {
            let differs = self
                .wanted
                .take()
                .is_some_and(|wanted| wanted != self.hash.clone().finalize());
            return Poll::Ready(
                differs.then(|| Err("the answer is not what its x-amz-crc32 says".into())),
            );
        };
        let frame = frame?;
        if let Some(data) = frame.data_ref() {
            self.hash.update(data);
            match self.left.checked_sub(data.len()) {
                Some(left) => self.left = left,
                None => {
                    return Poll::Ready(Some(Err(format!(
                        "the answer has more than {MAX_ANSWER_BYTES} bytes"
                    )
                    .into())));
                }
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }
}
