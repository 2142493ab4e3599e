//! Spans of requests to DynamoDB.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use inbound::trace::client_span;

/// Sends a request to DynamoDB, its retries included. A condition that was not met is no failure.
pub(crate) async fn call<T, E, R>(
    operation: &'static str,
    request: impl Future<Output = Result<T, SdkError<E, R>>>,
) -> Result<T, SdkError<E, R>>
where
    E: ProvideErrorMetadata,
{
    let error_code = |result: &Result<T, SdkError<E, R>>| {
        let error = result.as_ref().err()?;
        let code = error.code().unwrap_or("_OTHER");
        (code != "TransactionCanceledException").then(|| code.to_owned())
    };
    let attributes = [
        ("db.system.name", "aws.dynamodb"),
        ("db.operation.name", operation),
    ];
    client_span("DynamoDB", operation, &attributes, error_code, request).await
}
