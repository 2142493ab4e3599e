//! Converts events. Each is a request or not, and handlers can read its path and query.

#![no_main]

use axum::extract::FromRequestParts;
use inbound::{Query, RequestContext, lambda};
use movies::api::path;
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

libfuzzer_sys::fuzz_target!(|event: &str| {
    let Some(request) = lambda::request(event, "invocation", None) else {
        return;
    };
    let (mut parts, _) = request.into_parts();
    let context: &RequestContext = parts.extensions.get().expect("every request has a context");
    assert!(!context.id().is_empty() && context.id().bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(context.principal().is_some());
    assert_eq!(parts.uri.query(), None);
    if let Some((year, title)) = parts
        .uri
        .path()
        .strip_prefix("/movies/")
        .and_then(|rest| rest.split_once('/'))
    {
        let _ = path::movie_id(year, title);
    }
    // The parameters are decoded already: reading them waits for nothing and rejects nothing.
    let query = pin!(Query::from_request_parts(&mut parts, &()));
    assert!(matches!(
        query.poll(&mut Context::from_waker(Waker::noop())),
        Poll::Ready(Ok(_))
    ));
});
