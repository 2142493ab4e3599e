//! The AWS APIs of the environment, with the credentials of whoever runs this, one call at a time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::error::ProvideErrorMetadata;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::watch::Watch;

/// With the SDK's own repetitions.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Aws {
    pub(crate) config: SdkConfig,
    runtime: Runtime,
    watch: Arc<Watch>,
}

impl Aws {
    pub(crate) fn connect(region: &str, watch: Arc<Watch>) -> Result<Self> {
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
            watch,
        })
    }

    pub(crate) fn ask<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        E: ProvideErrorMetadata + Into<Error>,
    {
        self.ask_within(self.watch.left(CALL_TIMEOUT, false)?, call)
    }

    pub(crate) fn ask_within<T, E>(
        &self,
        time: Duration,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + Into<Error>,
    {
        let answered = self.runtime.block_on(async { timeout(time, call).await });
        answered
            .with_context(|| format!("AWS did not answer within {:.0} s", time.as_secs_f64()))?
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
    fn an_error_of_aws_is_its_code_and_message() {
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
