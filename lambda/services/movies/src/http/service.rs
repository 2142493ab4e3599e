//! The service's name, its contract and links to its documentation.

use serde::Serialize;

/// The contract in JSON, from `openapi.yaml` (see `build.rs`).
const CONTRACT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The token URL of the file, which the environment's replaces.
const TOKEN_URL: &str = r#""tokenUrl":"/oauth2/token""#;

/// URLs of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Where clients request access tokens; the served contract names it.
    pub token_url: Option<String>,
    /// Where the API reference is.
    pub documentation_url: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ServiceBody<'a> {
    title: &'static str,
    version: &'static str,
    contract: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<&'a str>,
}

impl<'a> ServiceBody<'a> {
    pub(super) fn new(links: &'a Links) -> Self {
        Self {
            title: env!("CONTRACT_TITLE"),
            version: env!("CONTRACT_VERSION"),
            contract: "/openapi.json",
            documentation: links.documentation_url.as_deref(),
        }
    }
}

/// Returns the contract in JSON, with the environment's token URL.
pub(super) fn contract(links: &Links) -> String {
    match &links.token_url {
        Some(url) => {
            let url = serde_json::Value::from(url.as_str());
            CONTRACT.replacen(TOKEN_URL, &format!(r#""tokenUrl":{url}"#), 1)
        }
        None => CONTRACT.to_owned(),
    }
}
