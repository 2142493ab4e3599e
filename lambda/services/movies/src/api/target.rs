use super::{path, query};
use crate::domain::MovieId;
use axum::extract::FromRequestParts;
use http::request::Parts;
use inbound::{NoQuery, Problem, Query};

/// The movie that a request addresses: by its path, `/movies/2013/Rush`, or by the query form,
/// `/movies?year=2013&title=Rush`.
#[derive(Clone, Debug)]
pub(super) struct Target(pub(super) MovieId);

impl<S: Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // axum's extractor would decode leniently: the path is decoded once, and strictly.
        let path = parts
            .uri
            .path()
            .strip_prefix("/movies/")
            .and_then(|rest| rest.split_once('/'));
        let Some((year, title)) = path.map(|(year, title)| (year.to_owned(), title.to_owned()))
        else {
            let Query(query) = Query::from_request_parts(parts, state).await?;
            return query::movie_id(&query).map(Self);
        };
        NoQuery::from_request_parts(parts, state).await?;
        path::movie_id(&year, &title).map(Self)
    }
}
