use crate::{
    api::{Api, error::Result, problem::movie_not_found, response::cacheable, target::Target},
    json::MovieBody,
};
use axum::{extract::State, response::IntoResponse};
use http::{Method, StatusCode};
use inbound::{
    Problem,
    documents::json,
    precondition::{Current, Decision, NoCache, Preconditions},
};

/// Reads a movie.
pub(crate) async fn get(
    State(api): State<Api>,
    preconditions: Preconditions,
    Target(id): Target,
    no_cache: NoCache,
) -> Result {
    let found = api
        .store
        .get(&id, no_cache.into())
        .await?
        .ok_or_else(movie_not_found)?;
    let current = Current::Tagged(found.etag.as_str());
    let response = match preconditions.evaluate(&Method::GET, current) {
        Decision::Failed => return Err(Problem::precondition_failed().into()),
        Decision::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Decision::Perform => json(&MovieBody::from(&found.movie))?,
    };
    Ok(cacheable(response, &found))
}
