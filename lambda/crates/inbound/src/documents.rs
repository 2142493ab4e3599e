//! Documents about the service itself: `GET /`, `/openapi.json`, `/health` and `/version`.

use crate::{
    Failure, NoQuery, Problem,
    precondition::{Current, Decision, Preconditions},
};
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use headers::{ContentType, HeaderMapExt};
use http::{Method, StatusCode};
use serde::Serialize;
use std::sync::Arc;

/// The path of the token URL in the contract, which the environment's URL replaces.
const TOKEN_URL: &str = r#""tokenUrl":"/oauth2/token""#;

/// URLs of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The URL for access tokens in the served contract.
    pub token_url: Option<String>,
    /// The URL of the API reference.
    pub documentation_url: Option<String>,
}

/// The build of a service.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The title of the contract.
    pub title: &'static str,
    /// The version of the contract.
    pub version: &'static str,
    /// The contract in JSON.
    pub contract: &'static str,
    /// The revision of the source.
    pub revision: &'static str,
    /// The version and profile of the build.
    pub build: &'static str,
}

/// The documents of a service. Clones share them.
#[derive(Clone, Debug)]
pub struct Documents(Arc<(Build, Links)>);

#[derive(Serialize)]
struct ServiceBody<'a> {
    title: &'static str,
    version: &'static str,
    contract: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<&'a str>,
}

#[derive(Serialize)]
struct HealthBody {
    status: &'static str,
}

#[derive(Serialize)]
struct VersionBody {
    revision: &'static str,
    build: &'static str,
}

impl Documents {
    /// Creates the documents of a build in an environment.
    #[must_use]
    pub fn new(build: Build, links: Links) -> Self {
        Self(Arc::new((build, links)))
    }

    /// Returns the routes `/`, `/openapi.json`, `/health` and `/version`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(service))
            .route("/openapi.json", get(contract))
            .route("/health", get(health))
            .route("/version", get(version))
            .with_state(self)
    }
}

/// `GET /`
async fn service(
    State(documents): State<Documents>,
    _: NoQuery,
    preconditions: Preconditions,
) -> Response {
    let (build, links) = &*documents.0;
    document(&preconditions, || {
        json(&ServiceBody {
            title: build.title,
            version: build.version,
            contract: "/openapi.json",
            documentation: links.documentation_url.as_deref(),
        })
    })
}

/// `GET /openapi.json`
async fn contract(
    State(documents): State<Documents>,
    _: NoQuery,
    preconditions: Preconditions,
) -> Response {
    let (build, links) = &*documents.0;
    document(&preconditions, || {
        Ok(json_text(match &links.token_url {
            Some(url) => {
                let url = format!(r#""tokenUrl":{}"#, serde_json::to_string(url)?);
                build.contract.replacen(TOKEN_URL, &url, 1)
            }
            None => build.contract.to_owned(),
        }))
    })
}

/// `GET /health`
async fn health(_: NoQuery, preconditions: Preconditions) -> Response {
    document(&preconditions, || json(&HealthBody { status: "ok" }))
}

/// `GET /version`
async fn version(
    State(documents): State<Documents>,
    _: NoQuery,
    preconditions: Preconditions,
) -> Response {
    let Build {
        revision, build, ..
    } = documents.0.0;
    document(&preconditions, || json(&VersionBody { revision, build }))
}

/// A document without an ETag.
fn document(
    preconditions: &Preconditions,
    write: impl FnOnce() -> Result<Response, Failure>,
) -> Response {
    match preconditions.evaluate(&Method::GET, Current::Untagged) {
        Decision::Failed => Problem::precondition_failed().into_response(),
        Decision::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Decision::Perform => write().unwrap_or_else(IntoResponse::into_response),
    }
}

/// A response with a JSON body.
///
/// # Errors
/// The body cannot be serialized: a defect of the service.
pub fn json(body: &impl Serialize) -> Result<Response, Failure> {
    Ok(json_text(serde_json::to_string(body)?))
}

fn json_text(text: String) -> Response {
    let mut response = Response::new(text.into());
    response.headers_mut().typed_insert(ContentType::json());
    response
}
