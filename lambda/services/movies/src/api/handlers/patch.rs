use crate::{
    api::{
        Api,
        error::Result,
        problem::{edit_conflict, movie_not_found},
        response::movie,
        target::Target,
    },
    json::read_patch,
    store::{Consistency, retry::WRITE_ATTEMPTS},
};
use axum::extract::State;
use http::{Method, StatusCode};
use inbound::{
    Problem,
    body::MergePatchBody,
    precondition::{Current, Decision, Preconditions},
};

/// Changes the named fields of a movie. An invalid patch is rejected whether the movie exists or
/// not.
pub(crate) async fn patch(
    State(api): State<Api>,
    preconditions: Preconditions,
    Target(id): Target,
    MergePatchBody(text): MergePatchBody,
) -> Result {
    let patch = read_patch(&text, &id).map_err(Problem::invalid)?;
    for _ in 0..WRITE_ATTEMPTS {
        let found = api
            .store
            .get(&id, Consistency::Strong)
            .await?
            .ok_or_else(movie_not_found)?;
        let current = Current::Tagged(found.etag.as_str());
        if preconditions.evaluate(&Method::PATCH, current) != Decision::Perform {
            // The client may repeat a write whose response was lost.
            if preconditions.allow_repetition() && found.has(&patch)? {
                return movie(StatusCode::OK, &found.movie, &found.etag);
            }
            return Err(Problem::precondition_failed().into());
        }
        // The write succeeds only if the item is still the one that was read.
        if let Some(patched) = api.store.patch(&found, &patch).await? {
            return movie(StatusCode::OK, &patched.movie, &patched.etag);
        }
    }
    Err(edit_conflict().into())
}
