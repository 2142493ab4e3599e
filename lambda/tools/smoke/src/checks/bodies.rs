//! Checks of request bodies that are rejected.

use crate::{
    api::{Rejection, movie_path},
    checks::{Check, Fixture, YEAR, writes},
};
use anyhow::{Context, Result};
use ureq::http::Method;

pub(super) const CHECKS: &[Check] = &[
    writes(
        "invalid fields are named in the response",
        invalid_fields_are_named,
    ),
    writes(
        "a body that does not match the path is rejected",
        body_has_to_match_the_path,
    ),
    writes(
        "a body of 64 KiB is accepted, a larger one rejected",
        body_limit_is_exact,
    ),
    writes(
        "other media types are rejected",
        other_media_types_are_rejected,
    ),
];

/// The largest body that the API accepts.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// Common mistakes of new clients. Nothing is written.
fn invalid_fields_are_named(fixture: &Fixture) -> Result<()> {
    let post = |body: &str| fixture.api.call(Method::POST, "/movies").json(body);
    for (body, field) in [
        (r#"{"title":"x"}"#, "year"),
        (r#"{"year":"2100","title":"x"}"#, "year"),
        (
            r#"{"year":2100,"title":"x","info":{"rating":11}}"#,
            "info.rating",
        ),
        (
            r#"{"year":2100,"title":"x","info":{"genre":["Drama"]}}"#,
            "info.genre",
        ),
        (
            r#"{"year":2100,"title":"x","info":{"release_date":"2100-02-28"}}"#,
            "info.release_date",
        ),
    ] {
        post(body)
            .expect_fields(&[field])
            .with_context(|| body.to_owned())?;
    }
    // The gateway's model rejects these two before the function can.
    for body in [r#"{"year":2100,"title":"x""#, "[]"] {
        let call = post(body);
        if let Some(Rejection { problem, .. }) = call.expect_rejection(400, "invalid_request")? {
            fixture
                .api
                .check_rejection(problem.fields() == ["body"], || {
                    format!(
                        "{call} with {body}: the named fields are {:?}",
                        problem.fields()
                    )
                });
        }
    }
    fixture
        .api
        .get("/movies?limit=500&colour=red")
        .expect_fields(&["colour", "limit"])?;
    // All errors of a body are reported at once.
    let body = r#"{"year":2100,"title":"a\u0007b","info":
        {"release_date":"2013-02-30T00:00:00Z","rating":11,"colour":"red"}}"#;
    post(body).expect_fields(&["info.colour", "info.rating", "info.release_date", "title"])?;
    let path = movie_path(YEAR, &fixture.title("mistakes"));
    let patch = r#"{"info":{"rating":11,"plot":null,"genre":null}}"#;
    let patch = fixture
        .api
        .call(Method::PATCH, path)
        .body("application/merge-patch+json", patch);
    patch.expect_fields(&["info.genre", "info.rating"])
}

fn body_has_to_match_the_path(fixture: &Fixture) -> Result<()> {
    let path = movie_path(YEAR, &fixture.title("contradicted"));
    for body in [r#"{"year":2099}"#, r#"{"title":"another"}"#] {
        fixture
            .api
            .call(Method::PUT, &path)
            .json(body)
            .expect_problem(400, "invalid_request")?;
    }
    fixture
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    Ok(())
}

fn body_limit_is_exact(fixture: &Fixture) -> Result<()> {
    let path = movie_path(YEAR, &fixture.title("large"));
    let movie = r#"{"info":{"rank":1}}"#;
    let body = |bytes: usize| format!("{movie}{}", " ".repeat(bytes - movie.len()));
    fixture
        .api
        .call(Method::PUT, &path)
        .json(body(BODY_LIMIT_BYTES))
        .expect(201)?;
    fixture
        .api
        .call(Method::PUT, &path)
        .json(body(BODY_LIMIT_BYTES + 1))
        .expect_rejection(413, "payload_too_large")?;
    Ok(())
}

fn other_media_types_are_rejected(fixture: &Fixture) -> Result<()> {
    let path = movie_path(YEAR, &fixture.title("text"));
    for media_type in ["text/plain", "application/xml"] {
        fixture
            .api
            .call(Method::PUT, &path)
            .body(media_type, "{}")
            .expect_rejection(415, "unsupported_media_type")?;
    }
    fixture
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    Ok(())
}
