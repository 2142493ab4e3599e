//! Checks of access tokens and scopes.

use crate::{
    api::{Rejection, movie_path},
    checks::{Check, Fixture, YEAR, gateway, writes},
};
use anyhow::{Result, bail, ensure};
use serde_json::json;
use ureq::http::Method;

pub(super) const CHECKS: &[Check] = &[
    gateway("requests without a token get 401", no_token_gets_401),
    gateway("forged tokens are rejected", forged_tokens_are_rejected),
    gateway(
        "a 401 names the scopes and links to the documentation",
        unauthorized_names_the_scopes,
    ),
    writes(
        "clients without the write scope cannot write",
        writing_needs_the_write_scope,
    ),
];

fn no_token_gets_401(fixture: &Fixture) -> Result<()> {
    for path in ["/movies", "/movies/2013/Rush", "/health", "/version"] {
        fixture
            .api
            .get(path)
            .token(None)
            .expect_rejection(401, "unauthorized")?;
    }
    Ok(())
}

fn forged_tokens_are_rejected(fixture: &Fixture) -> Result<()> {
    // A valid header and valid claims with a wrong signature.
    let forged = match fixture.api.reader().rsplit_once('.') {
        Some((signed, signature)) => {
            format!("{signed}.{}", signature.chars().rev().collect::<String>())
        }
        None => bail!("the token endpoint returned a token that is not a JWT"),
    };
    for token in ["garbage", forged.as_str()] {
        fixture
            .api
            .get("/health")
            .token(Some(token))
            .expect_unauthorized()?;
    }
    Ok(())
}

fn unauthorized_names_the_scopes(fixture: &Fixture) -> Result<()> {
    let body = json!({"year": YEAR, "title": "x"}).to_string();
    let post = fixture.api.call(Method::POST, "/movies").json(body);
    for call in [
        fixture.api.get("/health").token(None),
        post.token(Some(fixture.api.reader())),
    ] {
        let Some(Rejection { response, problem }) = call.expect_rejection(401, "unauthorized")?
        else {
            continue;
        };
        for scope in [
            "GET and HEAD need the scope movies/read",
            "all other methods movies/write",
        ] {
            fixture
                .api
                .check_rejection(problem.detail.contains(scope), || {
                    format!("{call}: detail is {:?}", problem.detail)
                });
        }
        let documentation = problem.documentation.unwrap_or_default();
        let links = documentation.starts_with("https://");
        fixture.api.check_rejection(links, || {
            format!("{call}: documentation is {documentation:?}")
        });
        let challenge = response.header("WWW-Authenticate").unwrap_or_default();
        let names_realm = challenge.starts_with("Bearer realm=");
        fixture.api.check_rejection(names_realm, || {
            format!("{call}: WWW-Authenticate is {challenge:?}")
        });
    }
    Ok(())
}

fn writing_needs_the_write_scope(fixture: &Fixture) -> Result<()> {
    let title = fixture.title("read only");
    let path = movie_path(YEAR, &title);
    let body = json!({"year": YEAR, "title": title}).to_string();
    for token in [None, Some(fixture.api.reader())] {
        fixture
            .api
            .call(Method::POST, "/movies")
            .token(token)
            .json(&body)
            .expect_unauthorized()?;
        fixture
            .api
            .call(Method::PUT, &path)
            .token(token)
            .json(&body)
            .expect_unauthorized()?;
    }
    fixture
        .api
        .get(&path)
        .expect_problem(404, "movie_not_found")?;
    let created = fixture.create(&title, json!({}))?;
    for token in [None, Some(fixture.api.reader())] {
        fixture
            .api
            .call(Method::PATCH, &path)
            .token(token)
            .json(r#"{"info":{"rank":1}}"#)
            .expect_unauthorized()?;
        fixture
            .api
            .call(Method::DELETE, &path)
            .token(token)
            .expect_unauthorized()?;
    }
    let kept = fixture.api.get(&path).expect(200)?;
    ensure!(
        kept.header("ETag")? == created.header("ETag")?,
        "a rejected write changed the movie"
    );
    Ok(())
}
