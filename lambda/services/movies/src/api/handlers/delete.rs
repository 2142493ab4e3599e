use super::overtaken;
use crate::{
    api::{Api, error::Result, problem::movie_not_found, target::Target},
    store::{Consistency, retry::WRITE_ATTEMPTS},
};
use axum::{extract::State, response::IntoResponse};
use http::{Method, StatusCode};
use inbound::{
    Problem,
    precondition::{Current, Decision, Preconditions},
};

/// Deletes a movie.
pub(crate) async fn delete(
    State(api): State<Api>,
    preconditions: Preconditions,
    Target(id): Target,
) -> Result {
    if preconditions.is_empty() {
        return match api.store.delete(&id).await? {
            true => Ok(StatusCode::NO_CONTENT.into_response()),
            false => Err(movie_not_found().into()),
        };
    }
    for _ in 0..WRITE_ATTEMPTS {
        let found = api
            .store
            .get(&id, Consistency::Strong)
            .await?
            .ok_or_else(movie_not_found)?;
        let current = Current::Tagged(found.etag.as_str());
        if preconditions.evaluate(&Method::DELETE, current) != Decision::Perform {
            return Err(Problem::precondition_failed().into());
        }
        if api.store.delete_as_read(&found).await? {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    Err(overtaken())
}
