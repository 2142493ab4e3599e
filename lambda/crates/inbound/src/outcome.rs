use crate::Problem;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use std::convert::Infallible;

/// What the layers need of a response that its HTTP does not say: an extension of the response,
/// written here and nowhere else, and taken out by the access log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The rejection that becomes the body.
    pub(crate) problem: Option<Problem>,
    /// Why the service failed, if it did.
    pub(crate) failure: Option<Failure>,
    /// How many malformed items the response was made of.
    pub(crate) malformed_items: usize,
}

/// How many malformed items a response was made of, for the metrics: a part of a response.
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
    /// A response whose document is written by the layer that knows the request's id.
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

/// A failure of the service. It is logged once, by the layer that writes the response; the caller
/// gets 503 or 500 and nothing of the detail.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    kind: &'static str,
    is_transient: bool,
    detail: String,
}

impl Failure {
    /// A failure of a kind, which is a metric that is paid for: few and fixed. A retry helps where
    /// it `is_transient`.
    #[must_use]
    pub fn new(kind: &'static str, is_transient: bool, detail: impl Into<String>) -> Self {
        Self {
            kind,
            is_transient,
            detail: detail.into(),
        }
    }

    /// There was not enough time.
    pub(crate) fn deadline(detail: impl Into<String>) -> Self {
        Self::new("deadline", true, detail)
    }

    /// The service is wrong.
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
