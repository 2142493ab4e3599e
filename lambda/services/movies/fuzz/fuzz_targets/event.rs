//! Any event is a request or none; a request is within its limits, whatever the event said.

#![no_main]

use movies::{
    entry::lambda,
    http::{MAX_BODY_BYTES, path, route_template},
};

libfuzzer_sys::fuzz_target!(|event: &str| {
    let Some(request) = lambda::request(event, "invocation") else { return };
    assert!(!request.id.is_empty() && request.id.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(request.caller.may_read || !request.caller.may_write);
    // What was encoded is held to the limit as it is decoded; a plain body, when it is read.
    assert!(request.body.is_err() || event.len() > MAX_BODY_BYTES || request.body.is_ok_and(|body| body.len() <= event.len()));
    if route_template(&request.path) == "/movies/{year}/{title}" {
        let mut parts = request.path.splitn(4, '/').skip(2);
        let _ = path::movie_id(parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    }
});
