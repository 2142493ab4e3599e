use crate::app::{Shared, allowed_methods};
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::sync::Arc;

/// The layer: lets pages of the configured origins read responses. Without origins no response has
/// CORS headers. (`tower_http::cors` responds to preflight requests of any path with one list of
/// methods. This layer returns the router's list for the path, and 404 for an unknown path.)
pub(crate) async fn layer(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let origins = &shared.settings.cors_origins;
    if origins.is_empty() {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_options = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    if is_options && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        preflight(&mut response);
    }
    allow(origins, origin, response.headers_mut());
    response
}

/// Responds to a preflight request. It carries no token, so the response needs none.
fn preflight(response: &mut Response) {
    let methods = allowed_methods(response.headers());
    *response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Some(methods) = methods {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Authorization, Cache-Control, Content-Type, Idempotency-Key, If-Match, If-None-Match",
        ),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("600"),
    );
}

fn allow(origins: &[String], origin: Option<HeaderValue>, headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let is_allowed = |origin: &HeaderValue| origins.iter().any(|allowed| allowed == origin);
    if let Some(origin) = origin.filter(is_allowed) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "Allow, ETag, Link, Location, Retry-After, WWW-Authenticate, X-Request-Id",
            ),
        );
    }
}
