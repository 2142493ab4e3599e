//! The problems that only this service has.

use http::StatusCode;
use inbound::Problem;

/// 404
pub(super) fn movie_not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "movie_not_found",
        "No movie with this year and title.",
    )
}

/// 409
pub(super) fn movie_exists() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "movie_exists",
        "A movie with this year and title exists. Use PUT to replace it.",
    )
}

/// 409
pub(super) fn edit_conflict() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "edit_conflict",
        "The movie was modified concurrently. Retry the request.",
    )
}

/// 422
pub(super) fn idempotency_key_used() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_used",
        "This Idempotency-Key was used for another movie. Use a new one.",
    )
}
