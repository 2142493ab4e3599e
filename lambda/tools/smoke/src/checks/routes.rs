//! Checks of operational routes, unknown paths and unknown methods.

use crate::api::Rejection;
use crate::checks::{Check, Fixture, reads, writes};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use ureq::http::Method;

pub(super) const CHECKS: &[Check] = &[
    reads("health and version respond", health_and_version_respond),
    reads("the root links to the contract", root_links_to_the_contract),
    reads(
        "unknown paths get 404, with and without a token",
        unknown_paths_get_404,
    ),
    writes(
        "unknown methods get 405, with and without a token",
        unknown_methods_get_405,
    ),
];

fn health_and_version_respond(fixture: &Fixture) -> Result<()> {
    let health: Value = fixture.api.get("/health").expect(200)?.json()?;
    ensure!(health == json!({"status": "ok"}), "health is {health}");
    let version: Value = fixture.api.get("/version").expect(200)?.json()?;
    for member in ["revision", "build"] {
        let text = version[member].as_str().unwrap_or_default();
        ensure!(!text.is_empty(), "version lacks {member}: {version}");
    }
    Ok(())
}

fn root_links_to_the_contract(fixture: &Fixture) -> Result<()> {
    let root: Value = fixture.api.get("/").expect(200)?.json()?;
    let documentation = root["documentation"].as_str().unwrap_or_default();
    ensure!(
        documentation.starts_with("https://"),
        "the root has no link to the documentation: {root}"
    );
    let contract = root["contract"]
        .as_str()
        .context("the root has no link to the contract")?;
    let contract: Value = fixture.api.get(contract).expect(200)?.json()?;
    ensure!(
        contract["info"]["title"] == root["title"],
        "the contract is of {}",
        contract["info"]
    );
    let token_url = &contract["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
        ["tokenUrl"];
    ensure!(
        token_url == fixture.api.token_url(),
        "the contract's tokenUrl is {token_url}"
    );
    Ok(())
}

fn unknown_paths_get_404(fixture: &Fixture) -> Result<()> {
    for path in ["/no-such-route", "/health/more", "/movies/2013"] {
        for token in tokens(fixture) {
            let Some(Rejection { problem, .. }) = fixture
                .api
                .get(path)
                .token(token)
                .expect_rejection(404, "route_not_found")?
            else {
                continue;
            };
            let detail = problem.detail;
            fixture
                .api
                .check_rejection(detail == "No such route. See the API reference.", || {
                    format!("{path}: {detail}")
                });
        }
    }
    Ok(())
}

fn unknown_methods_get_405(fixture: &Fixture) -> Result<()> {
    for (method, path) in [
        (Method::DELETE, "/health"),
        (Method::POST, "/"),
        (Method::POST, "/movies/2013/Rush"),
    ] {
        for token in tokens(fixture) {
            let call = fixture.api.call(method.clone(), path).token(token);
            if let Some(rejection) = call.expect_rejection(405, "method_not_allowed")? {
                let allow = rejection.response.header("Allow").unwrap_or_default();
                fixture
                    .api
                    .check_rejection(allow.starts_with("GET, HEAD"), || {
                        format!("{call}: Allow is {allow:?}")
                    });
            }
        }
    }
    Ok(())
}

/// No token, an invalid one and a valid one.
fn tokens<'a>(fixture: &'a Fixture<'_>) -> [Option<&'a str>; 3] {
    [None, Some("garbage"), Some(fixture.api.reader())]
}
