//! What should not happen and did: the cause by which it is counted, and a text for the log.

use aws_sdk_dynamodb::{
    config::http as wire,
    error::{ProvideErrorMetadata, SdkError},
};
use std::{error::Error, fmt};

/// Why a request could not be answered. Few and fixed, for each is a metric that is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// What signs our calls has expired, is not known to AWS, or our clock is wrong.
    Credentials,
    /// The role or the key's policy does not allow the call, or the key is disabled.
    Denied,
    /// There is no such table.
    Missing,
    /// DynamoDB asked for fewer calls.
    Throttled,
    /// Other writers kept hold of the row.
    Conflict,
    /// No answer: no connection, no way to the name, a connection that broke, or silence.
    Unreachable,
    /// An answer that DynamoDB does not give: cut short, changed on the way, too long, no JSON.
    Garbled,
    /// DynamoDB said that it failed.
    Table,
    /// The time for the answer was over, or what was left of it is not worth a try.
    Deadline,
    /// We are wrong: a call that DynamoDB does not take, or a panic.
    Defect,
}

impl Cause {
    /// Its name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Throttled => "throttled",
            Self::Conflict => "conflict",
            Self::Unreachable => "unreachable",
            Self::Garbled => "garbled",
            Self::Table => "table",
            Self::Deadline => "deadline",
            Self::Defect => "defect",
        }
    }

    /// Whether trying again later is likely to help: credentials are renewed, tables come back. What is denied, or sent
    /// wrongly, fails alike tomorrow.
    #[must_use]
    pub fn is_transient(self) -> bool {
        !matches!(self, Self::Denied | Self::Defect)
    }

    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "RequestTimeTooSkewed"
            | "RequestExpired" => Self::Credentials,
            "AccessDeniedException"
            | "AccessDenied"
            | "KMSAccessDeniedException"
            | "KMSDisabledException"
            | "KMSInvalidStateException"
            | "KMSNotFoundException"
            | "KMSOptInRequired" => Self::Denied,
            "ResourceNotFoundException" => Self::Missing,
            "ProvisionedThroughputExceededException"
            | "ProvisionedThroughputExceeded"
            | "ThrottlingException"
            | "ThrottlingError"
            | "KMSThrottlingException"
            | "RequestLimitExceeded" => Self::Throttled,
            "TransactionConflict"
            | "TransactionConflictException"
            | "TransactionInProgressException" => Self::Conflict,
            "ValidationException"
            | "ValidationError"
            | "SerializationException"
            | "IdempotentParameterMismatchException" => Self::Defect,
            _ => return None,
        })
    }
}

/// Something that should not happen did. The caller of the API is told whether to come again, and nothing else of it.
#[derive(Debug)]
pub struct Fault {
    /// What it counts as.
    pub cause: Cause,
    detail: String,
}

impl Fault {
    /// A fault in words for the log.
    pub(crate) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
        }
    }

    /// Of the first of these codes of DynamoDB's that says more than that something failed.
    pub(super) fn of_codes<'a>(codes: impl Iterator<Item = &'a str> + Clone) -> Self {
        Self::new(
            codes
                .clone()
                .find_map(Cause::of_code)
                .unwrap_or(Cause::Table),
            codes.collect::<Vec<_>>().join(", "),
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Fault {}

impl<E> From<SdkError<E, wire::HttpResponse>> for Fault
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, wire::HttpResponse>) -> Self {
        let SdkError::ServiceError(service) = &error else {
            let cause = match error {
                SdkError::ResponseError(_) => Cause::Garbled,
                SdkError::ConstructionFailure(_) => Cause::Defect,
                _ => Cause::Unreachable,
            };
            return Self::new(cause, chain(&error));
        };
        // AWS's message is left out: one that tells of a wrong signature repeats the signed headers, the session token too,
        // and one of a wrong request its values.
        let (code, raw) = (error.code(), service.raw());
        let by_status = match raw.status().as_u16() {
            200..300 => Cause::Garbled,
            _ => Cause::Table,
        };
        let request_id = raw.headers().get("x-amzn-requestid").unwrap_or("none");
        Self::new(
            code.and_then(Cause::of_code).unwrap_or(by_status),
            format!(
                "{} (status {}, DynamoDB's request id {request_id})",
                code.unwrap_or("no code"),
                raw.status().as_u16()
            ),
        )
    }
}

impl From<serde_dynamo::Error> for Fault {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::new(Cause::Defect, error.to_string())
    }
}

/// An error and what lies below it, in their own words.
fn chain(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut below) = (error.to_string(), error.source());
    while let Some(error) = below {
        text += &format!(": {error}");
        below = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_dynamodb_has_its_cause() {
        for (code, expected) in [
            ("ExpiredTokenException", Some(Cause::Credentials)),
            ("RequestTimeTooSkewed", Some(Cause::Credentials)),
            ("AccessDeniedException", Some(Cause::Denied)),
            ("KMSDisabledException", Some(Cause::Denied)),
            ("ResourceNotFoundException", Some(Cause::Missing)),
            ("ThrottlingException", Some(Cause::Throttled)),
            ("KMSThrottlingException", Some(Cause::Throttled)),
            ("TransactionConflict", Some(Cause::Conflict)),
            ("ValidationException", Some(Cause::Defect)),
            ("InternalServerError", None),
            ("", None),
        ] {
            assert_eq!(Cause::of_code(code), expected, "{code}");
        }
    }

    #[test]
    fn only_denied_requests_and_defects_are_permanent() {
        for cause in [Cause::Denied, Cause::Defect] {
            assert!(!cause.is_transient(), "{cause:?}");
        }
        for cause in [
            Cause::Credentials,
            Cause::Missing,
            Cause::Throttled,
            Cause::Conflict,
            Cause::Unreachable,
            Cause::Garbled,
            Cause::Table,
            Cause::Deadline,
        ] {
            assert!(cause.is_transient(), "{cause:?}");
        }
    }

    #[test]
    fn the_first_code_with_a_cause_decides_and_all_are_logged() {
        let fault =
            Fault::of_codes(["None", "ThrottlingException", "ValidationException"].into_iter());
        assert_eq!(fault.cause, Cause::Throttled);
        assert_eq!(
            fault.to_string(),
            "None, ThrottlingException, ValidationException"
        );
        assert_eq!(Fault::of_codes(["None"].into_iter()).cause, Cause::Table);
    }

    #[test]
    fn the_log_text_names_every_source_of_an_error() {
        let source = std::io::Error::other(Fault::new(Cause::Table, "inner"));
        let error: SdkError<aws_sdk_dynamodb::Error, wire::HttpResponse> =
            SdkError::timeout_error(source);
        let fault = Fault::from(error);
        assert_eq!(fault.cause, Cause::Unreachable);
        assert!(fault.to_string().ends_with(": inner"), "{fault}");
    }
}
