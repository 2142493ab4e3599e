use crate::{
    api::{
        Api, cursor,
        error::Result,
        query::{self, List},
        response::cacheable,
    },
    domain::{ListQuery, MovieId},
    json::PageBody,
    store::Consistency,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use inbound::{
    MalformedItems, Problem, Query,
    documents::json,
    precondition::{Current, Decision, NoCache, Preconditions},
};

/// Reads a page of movies, or the one movie that `year` and `title` name.
pub(crate) async fn list(
    State(api): State<Api>,
    preconditions: Preconditions,
    Query(query): Query,
    no_cache: NoCache,
) -> Result {
    match query::read(&query)? {
        List::One(id) => one(&api, &preconditions, &id, no_cache.into()).await,
        List::Page(requested) => {
            page(&api, &preconditions, &query, &requested, no_cache.into()).await
        }
    }
}

async fn one(
    api: &Api,
    preconditions: &Preconditions,
    id: &MovieId,
    consistency: Consistency,
) -> Result {
    let found = api.store.get(id, consistency).await?;
    let current = found.as_ref().map_or(Current::Absent, |found| {
        Current::Tagged(found.etag.as_str())
    });
    let response = match unmodified(preconditions, current)? {
        Some(response) => response,
        None => {
            let movies: Vec<_> = found.iter().map(|found| &found.movie).collect();
            json(&PageBody::new(&movies, None))?
        }
    };
    Ok(match &found {
        Some(found) => cacheable(response, found),
        None => response,
    })
}

/// A page has no ETag.
async fn page(
    api: &Api,
    preconditions: &Preconditions,
    query: &[(String, String)],
    requested: &ListQuery,
    consistency: Consistency,
) -> Result {
    if let Some(response) = unmodified(preconditions, Current::Untagged)? {
        return Ok(response);
    }
    let page = api.store.list(requested, consistency).await?;
    let next = page
        .last
        .map(|last| cursor::encode(&requested.listing, &last));
    let link = next
        .as_ref()
        .map(|next| format!("<{}>; rel=\"next\"", query::next_page(query, next)))
        .and_then(|link| HeaderValue::try_from(link).ok());
    let movies: Vec<_> = page.movies.iter().collect();
    let mut response = json(&PageBody::new(&movies, next))?;
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok((MalformedItems(page.malformed), response).into_response())
}

/// Returns the response if the client's copy is current, otherwise `None`.
fn unmodified(preconditions: &Preconditions, current: Current<'_>) -> Result<Option<Response>> {
    match preconditions.evaluate(&Method::GET, current) {
        Decision::Failed => Err(Problem::precondition_failed().into()),
        Decision::NotModified => Ok(Some(StatusCode::NOT_MODIFIED.into_response())),
        Decision::Perform => Ok(None),
    }
}
