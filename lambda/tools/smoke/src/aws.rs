//! Requests to the environment's AWS APIs, with the caller's credentials, one at a time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::error::ProvideErrorMetadata;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::deadline::Deadline;

/// Time limit for a request, including the SDK's retries.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Aws {
    pub(crate) config: SdkConfig,
    runtime: Runtime,
    deadline: Arc<Deadline>,
    /// Whether requests clean up and may begin after the deadline.
    cleanup: AtomicBool,
}

impl Aws {
    pub(crate) fn connect(region: &str, deadline: Arc<Deadline>) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .timeout_config(timeouts);
        let config = runtime.block_on(config.load());
        Ok(Self {
            config,
            runtime,
            deadline,
            cleanup: AtomicBool::new(false),
        })
    }

    /// Lets the next requests clean up: they run even after the deadline or an interrupt.
    pub(crate) fn continue_after_deadline(&self) {
        self.cleanup.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stop_at_deadline(&self) {
        self.cleanup.store(false, Ordering::Relaxed);
    }

    /// # Errors
    /// The deadline has passed, or the run was interrupted.
    pub(crate) fn ensure_time_is_left(&self) -> Result<()> {
        self.deadline.remaining(CALL_TIMEOUT, false).map(drop)
    }

    pub(crate) fn call<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        E: ProvideErrorMetadata + Into<Error>,
    {
        self.call_within(
            self.deadline
                .remaining(CALL_TIMEOUT, self.cleanup.load(Ordering::Relaxed))?,
            call,
        )
    }

    pub(crate) fn call_within<T, E>(
        &self,
        time: Duration,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + Into<Error>,
    {
        let returned = self.runtime.block_on(async { timeout(time, call).await });
        returned
            .with_context(|| format!("AWS did not respond within {:.0} s", time.as_secs_f64()))?
            .map_err(reason)
    }
}

/// The service's code and message, or why there was no response. (The SDK's own errors print as
/// structs.)
fn reason<E: ProvideErrorMetadata + Into<Error>>(error: E) -> Error {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow!("{code}: {message}"),
        (Some(code), None) => anyhow!("{code}"),
        (None, _) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::error::ErrorMetadata;
    use aws_sdk_lambda::operation::get_alias::GetAliasError;

    use super::*;

    #[test]
    fn aws_errors_are_code_and_message() {
        let metadata = ErrorMetadata::builder()
            .code("AccessDeniedException")
            .message("You may not.")
            .build();
        let error = reason(GetAliasError::generic(metadata));
        assert_eq!(format!("{error:#}"), "AccessDeniedException: You may not.");
        let code_alone =
            GetAliasError::generic(ErrorMetadata::builder().code("Throttling").build());
        assert_eq!(format!("{:#}", reason(code_alone)), "Throttling");
    }
}
