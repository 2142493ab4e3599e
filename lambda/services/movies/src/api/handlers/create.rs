use crate::{
    api::{
        Api,
        error::Result,
        path,
        problem::{idempotency_key_used, movie_exists},
        response::movie,
    },
    json::read_movie,
    store::{self, CreateOutcome},
};
use axum::extract::State;
use http::{HeaderValue, Method, StatusCode, header};
use inbound::{
    NoQuery, Problem, RequestContext,
    body::JsonBody,
    precondition::{Current, Decision, IdempotencyKey, Preconditions},
};

/// Creates a movie, once for each `Idempotency-Key`.
pub(crate) async fn create(
    State(api): State<Api>,
    _: NoQuery,
    preconditions: Preconditions,
    IdempotencyKey(key): IdempotencyKey,
    context: RequestContext,
    JsonBody(text): JsonBody,
) -> Result {
    if preconditions.evaluate(&Method::POST, Current::Untagged) != Decision::Perform {
        return Err(Problem::precondition_failed().into());
    }
    let key = key.as_deref().map(|key| store::IdempotencyKey {
        caller: context.client_id().unwrap_or("-"),
        key,
        now: context.time(),
    });
    let given = read_movie(&text).map_err(Problem::invalid)?;
    match api.store.create(&given, key).await? {
        CreateOutcome::Exists => Err(movie_exists().into()),
        CreateOutcome::IdempotencyConflict => Err(idempotency_key_used().into()),
        // The response follows from the request, so that a repetition needs no stored response.
        CreateOutcome::Created(etag) => {
            let mut response = movie(StatusCode::CREATED, &given, &etag)?;
            if let Ok(location) = HeaderValue::try_from(path::location(given.id())) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
    }
}
