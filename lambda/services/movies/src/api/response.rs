use super::error::Result;
use crate::{domain::ETag, json::MovieBody, store::VersionedMovie};
use axum::response::{IntoResponse, Response};
use headers::{HeaderMap, HeaderMapExt};
use http::{HeaderValue, StatusCode, header};
use inbound::{MalformedItems, documents::json};

/// A response with a movie.
pub(super) fn movie<'a>(
    status: StatusCode,
    movie: impl Into<MovieBody<'a>>,
    etag: &ETag,
) -> Result {
    let mut response = json(&movie.into())?;
    *response.status_mut() = status;
    tag(response.headers_mut(), etag);
    Ok(response)
}

/// Adds what a client may cache of a movie, and when, and the metric of a malformed item.
pub(super) fn cacheable(response: Response, found: &VersionedMovie) -> Response {
    let mut response =
        (MalformedItems(usize::from(!found.is_well_formed)), response).into_response();
    tag(response.headers_mut(), &found.etag);
    // A copy may be stored, but must be validated each time.
    let validated = HeaderValue::from_static("private, no-cache");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, validated);
    response
}

fn tag(headers: &mut HeaderMap, etag: &ETag) {
    if let Ok(etag) = format!("\"{etag}\"").parse::<headers::ETag>() {
        headers.typed_insert(etag);
    }
}
