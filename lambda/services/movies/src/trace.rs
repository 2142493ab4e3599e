//! Spans of requests to DynamoDB.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tracing::{Instrument, field::Empty};

/// Sends a request to DynamoDB, with its retries, in a span. A failed condition is not an error.
/// Box a large future, because each future around it would be as large.
pub(crate) async fn call<T, E, R>(
    operation: &'static str,
    request: impl Future<Output = Result<T, SdkError<E, R>>>,
) -> Result<T, SdkError<E, R>>
where
    E: ProvideErrorMetadata,
{
    let span = tracing::info_span!(
        "request to DynamoDB",
        otel.kind = "client",
        otel.name = %format_args!("DynamoDB.{operation}"),
        otel.status_code = Empty,
        db.system.name = "aws.dynamodb",
        db.operation.name = operation,
        "error.type" = Empty,
    );
    let result = request.instrument(span.clone()).await;
    if let Err(error) = &result {
        let code = error.code().unwrap_or("_OTHER");
        if code != "TransactionCanceledException" {
            span.record("error.type", code);
            span.record("otel.status_code", "ERROR");
        }
    }
    result
}
