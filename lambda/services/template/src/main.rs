//! The template service: `GET /greeting`, behind both entry points.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod config;

use axum::{Router, response::Response, routing::get};
use inbound::{Failure, NoQuery, Service, StartError, documents};
use serde_json::json;
use std::process::ExitCode;

const SERVICE: Service = inbound::service!("");

#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    inbound::run(SERVICE, config::variable, start).await
}

/// The router, and the check whether the service is ready.
async fn start(
    documents: documents::Documents,
) -> Result<(Router, impl AsyncFn() -> Result<(), String>), StartError> {
    let router = Router::new().route("/greeting", get(greeting));
    Ok((router.merge(documents.router()), async || Ok(())))
}

async fn greeting(_: NoQuery) -> Result<Response, Failure> {
    documents::json(&json!({ "greeting": "Hello from template" }))
}
