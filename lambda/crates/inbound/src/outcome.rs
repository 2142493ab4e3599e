use crate::Problem;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use std::convert::Infallible;

/// Properties of a response that are not part of HTTP. It is an extension that only this module
/// sets and the access log removes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The rejection that becomes the body.
    pub(crate) problem: Option<Problem>,
    /// The failure of the service, if there was one.
    pub(crate) failure: Option<Failure>,
    /// Number of malformed items in the result.
    pub(crate) malformed_items: usize,
}

/// Number of malformed items in the result, for the metrics. A part of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedItems(pub usize);

impl IntoResponseParts for MalformedItems {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        if self.0 > 0 {
            parts.extensions_mut().insert(Outcome {
                malformed_items: self.0,
                ..Outcome::default()
            });
        }
        Ok(parts)
    }
}

impl IntoResponse for Problem {
    /// Creates a response whose document is written by the layer with the request id.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        self.insert_header(response.headers_mut());
        response.extensions_mut().insert(Outcome {
            problem: Some(self),
            ..Outcome::default()
        });
        response
    }
}

/// A failure of the service. The layer that writes the response logs it once. The caller gets 503
/// or 500 without the detail.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    kind: &'static str,
    is_transient: bool,
    detail: String,
}

impl Failure {
    /// Creates a failure. Each kind is a metric with its own cost, so kinds are few and fixed. A
    /// retry may help if the failure `is_transient`.
    #[must_use]
    pub fn new(kind: &'static str, is_transient: bool, detail: impl Into<String>) -> Self {
        Self {
            kind,
            is_transient,
            detail: detail.into(),
        }
    }

    /// Creates the failure of a request whose deadline has passed.
    pub(crate) fn deadline(detail: impl Into<String>) -> Self {
        Self::new("deadline", true, detail)
    }

    /// Creates the failure of a defect in the service.
    #[must_use]
    pub fn defect(detail: impl Into<String>) -> Self {
        Self::new("defect", false, detail)
    }

    /// The kind, for logs and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::defect(error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let problem = if self.is_transient {
            Problem::unavailable()
        } else {
            Problem::internal()
        };
        let mut response = problem.into_response();
        if let Some(outcome) = response.extensions_mut().get_mut::<Outcome>() {
            outcome.failure = Some(self);
        }
        response
    }
}
