use super::overtaken;
use crate::{
    api::{Api, error::Result, response::movie, target::Target},
    json::read_movie_at,
    store::{Consistency, Put, retry::WRITE_ATTEMPTS},
};
use axum::extract::State;
use http::{Method, StatusCode};
use inbound::{
    Problem,
    body::JsonBody,
    precondition::{Current, Decision, Preconditions},
};

/// Creates or replaces a movie.
pub(crate) async fn put(
    State(api): State<Api>,
    preconditions: Preconditions,
    Target(id): Target,
    JsonBody(text): JsonBody,
) -> Result {
    let given = read_movie_at(&text, id).map_err(Problem::invalid)?;
    if preconditions.is_empty() {
        return match api.store.put(&given).await? {
            Put::Created(etag) => movie(StatusCode::CREATED, &given, &etag),
            Put::Replaced(etag) => movie(StatusCode::OK, &given, &etag),
        };
    }
    for _ in 0..WRITE_ATTEMPTS {
        let found = api.store.get(given.id(), Consistency::Strong).await?;
        let current = found.as_ref().map_or(Current::Absent, |found| {
            Current::Tagged(found.etag.as_str())
        });
        if preconditions.evaluate(&Method::PUT, current) != Decision::Perform {
            // The client may repeat a write whose response was lost.
            return match found {
                Some(found)
                    if preconditions.allow_repetition() && found.is_stored_as(&given)? =>
                {
                    movie(StatusCode::OK, &given, &found.etag)
                }
                _ => Err(Problem::precondition_failed().into()),
            };
        }
        if let Some(etag) = api.store.replace(found.as_ref(), &given).await? {
            let status = if found.is_some() {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            return movie(status, &given, &etag);
        }
    }
    Err(overtaken())
}
