use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// Lets a page of a named origin read the answer. Without named origins no answer says anything of CORS.
pub(super) fn allow(origins: &[String], origin: Option<HeaderValue>, headers: &mut HeaderMap) {
    if origins.is_empty() {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin.filter(|origin| {
        origins
            .iter()
            .any(|named| named.as_bytes() == origin.as_bytes())
    }) else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "Allow, ETag, Link, Location, Retry-After, WWW-Authenticate, X-Request-Id",
        ),
    );
}

/// Answers a browser's question before its request. It carries no token, so it is answered to everybody.
pub(super) fn preflight(methods: &'static str) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(methods),
    );
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
    response
}
