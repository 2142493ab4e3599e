//! Errors of requests to AWS, by kinds that metrics and alarms count.

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::{metadata::ProvideErrorMetadata, operation::BuildError};
use std::{error, iter};

/// The kind of an error. Kinds are few and fixed, because each is a metric with its own cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The credentials have expired, cannot be loaded or are unknown to AWS, or our clock is wrong.
    Credentials,
    /// The role or the key's policy does not allow the request, or the key is disabled.
    AccessDenied,
    /// The table, queue, topic or other resource does not exist.
    ResourceNotFound,
    /// AWS throttled the request.
    Throttled,
    /// The item was locked or changed by other writers.
    Conflict,
    /// No response: no connection, an unknown host name, a broken connection, or a timeout.
    Unreachable,
    /// A response that AWS does not send: cut off, too long, or not JSON.
    InvalidResponse,
    /// The AWS service reported a failure of its own.
    ServiceError,
    /// The caller's time is over, or too little of it remains to begin.
    DeadlineExceeded,
    /// A defect of the service: a request that AWS rejects as invalid, or a panic.
    Defect,
}

impl ErrorKind {
    /// Returns its name in metrics and logs, which alarms and dashboards refer to.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::AccessDenied => "denied",
            Self::ResourceNotFound => "missing",
            Self::Throttled => "throttled",
            Self::Conflict => "conflict",
            Self::Unreachable => "unreachable",
            Self::InvalidResponse => "garbled",
            Self::ServiceError => "table",
            Self::DeadlineExceeded => "deadline",
            Self::Defect => "defect",
        }
    }

    /// Returns whether a later attempt is likely to succeed. Credentials are renewed and services
    /// recover. A request that is denied or invalid stays so.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        !matches!(self, Self::AccessDenied | Self::Defect)
    }

    /// Returns the kind of an AWS error code, or `None` for a code without a kind of its own.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
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
            | "KMSOptInRequired" => Self::AccessDenied,
            "ResourceNotFoundException" => Self::ResourceNotFound,
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

/// An unexpected failure. Clients learn only whether a retry may help; the details are for the log.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind in metrics and logs.
    pub kind: ErrorKind,
    message: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// Creates an error with a message for the log.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Creates the error of a request that could not be built.
    pub fn defect(source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self {
            kind: ErrorKind::Defect,
            message: "the request could not be built".to_owned(),
            source: Some(source.into()),
        }
    }

    /// Creates an error of several AWS error codes. The first that has a kind decides.
    pub fn from_codes<'a>(codes: impl Iterator<Item = &'a str> + Clone) -> Self {
        let kind = codes.clone().find_map(ErrorKind::from_code);
        Self::new(
            kind.unwrap_or(ErrorKind::ServiceError),
            codes.collect::<Vec<_>>().join(", "),
        )
    }

    /// Returns the message with that of each source, for one line in the log.
    #[must_use]
    pub fn report(&self) -> String {
        chain(self)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ")
    }
}

const NO_CREDENTIALS: &str = "no AWS credentials could be loaded; set AWS_ACCESS_KEY_ID and \
    AWS_SECRET_ACCESS_KEY, or run where a role provides them (Lambda, ECS, EKS)";

/// Iterates over an error and its sources.
fn chain<'a>(
    error: &'a (dyn error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn error::Error + 'static)> {
    iter::successors(Some(error), |error| error.source())
}

impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: ProvideErrorMetadata + error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let SdkError::ServiceError(service) = &error else {
            let (kind, message) = match &error {
                SdkError::ResponseError(_) => {
                    (ErrorKind::InvalidResponse, "AWS sent an invalid response")
                }
                _ if chain(&error).any(|error| error.is::<CredentialsError>()) => {
                    (ErrorKind::Credentials, NO_CREDENTIALS)
                }
                SdkError::ConstructionFailure(_) => {
                    (ErrorKind::Defect, "the request could not be built")
                }
                _ => (ErrorKind::Unreachable, "AWS sent no response"),
            };
            return Self {
                kind,
                message: message.to_owned(),
                source: error.into_source().ok(),
            };
        };
        // Without AWS's own message: for a wrong signature it repeats the signed headers, with the
        // session token, and for an invalid request its values.
        let (code, raw) = (error.code(), service.raw());
        let by_status = if raw.status().is_success() {
            ErrorKind::InvalidResponse
        } else {
            ErrorKind::ServiceError
        };
        let request_id = raw.headers().get("x-amzn-requestid").unwrap_or("none");
        Self::new(
            code.and_then(ErrorKind::from_code).unwrap_or(by_status),
            format!(
                "{} (status {}, AWS request id {request_id})",
                code.unwrap_or("no error code"),
                raw.status().as_u16()
            ),
        )
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::defect(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_code_of_aws_has_its_kind() {
        for (code, expected) in [
            ("ExpiredTokenException", Some(ErrorKind::Credentials)),
            ("RequestTimeTooSkewed", Some(ErrorKind::Credentials)),
            ("AccessDeniedException", Some(ErrorKind::AccessDenied)),
            ("KMSDisabledException", Some(ErrorKind::AccessDenied)),
            (
                "ResourceNotFoundException",
                Some(ErrorKind::ResourceNotFound),
            ),
            ("ThrottlingException", Some(ErrorKind::Throttled)),
            ("KMSThrottlingException", Some(ErrorKind::Throttled)),
            ("TransactionConflict", Some(ErrorKind::Conflict)),
            ("ValidationException", Some(ErrorKind::Defect)),
            ("InternalServerError", None),
            ("", None),
        ] {
            assert_eq!(ErrorKind::from_code(code), expected, "{code}");
        }
    }

    /// Alarms and dashboards in infra/ refer to these names.
    #[test]
    fn kinds_have_the_names_that_alarms_count_and_two_are_permanent() {
        for (kind, name, is_transient) in [
            (ErrorKind::Credentials, "credentials", true),
            (ErrorKind::AccessDenied, "denied", false),
            (ErrorKind::ResourceNotFound, "missing", true),
            (ErrorKind::Throttled, "throttled", true),
            (ErrorKind::Conflict, "conflict", true),
            (ErrorKind::Unreachable, "unreachable", true),
            (ErrorKind::InvalidResponse, "garbled", true),
            (ErrorKind::ServiceError, "table", true),
            (ErrorKind::DeadlineExceeded, "deadline", true),
            (ErrorKind::Defect, "defect", false),
        ] {
            assert_eq!((kind.as_str(), kind.is_transient()), (name, is_transient));
        }
    }

    #[test]
    fn first_code_with_a_kind_decides_and_all_are_reported() {
        let codes = ["None", "ThrottlingException", "ValidationException"];
        let error = Error::from_codes(codes.into_iter());
        assert_eq!(error.kind, ErrorKind::Throttled);
        assert_eq!(error.report(), codes.join(", "));
        let unknown = Error::from_codes(["None"].into_iter());
        assert_eq!(unknown.kind, ErrorKind::ServiceError);
    }

    #[test]
    fn report_names_every_source_of_an_error() {
        let source = std::io::Error::other(Error::new(ErrorKind::ServiceError, "inner"));
        let error: SdkError<aws_sdk_dynamodb::Error, HttpResponse> =
            SdkError::timeout_error(source);
        let error = Error::from(error);
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert_eq!(error.report(), "AWS sent no response: inner");
    }
}
