use axum::response::{IntoResponse, Response};
use inbound::{Failure, Problem};

/// The result of a handler.
pub(super) type Result<T = Response> = std::result::Result<T, Error>;

/// The error of a handler.
#[derive(Debug)]
pub(super) enum Error {
    /// The request is rejected.
    Problem(Problem),
    /// The service failed.
    Failure(Failure),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<outbound::Error> for Error {
    fn from(error: outbound::Error) -> Self {
        let kind = error.kind;
        Self::Failure(Failure::new(
            kind.as_str(),
            kind.is_transient(),
            error.report(),
        ))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Failure(failure) => failure.into_response(),
        }
    }
}
