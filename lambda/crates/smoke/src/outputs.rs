//! `terraform output -json`, as far as a caller of the API needs it.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Outputs {
    api_url: Output<String>,
    token_url: Output<String>,
    consumers: Output<BTreeMap<String, Consumer>>,
}

#[derive(Deserialize)]
struct Output<T> {
    value: T,
}

#[derive(Deserialize)]
pub(crate) struct Consumer {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    scopes: Vec<String>,
}

impl Outputs {
    pub(crate) fn read(file: &str) -> Result<Self> {
        let mut text = String::new();
        let read = match file {
            "-" => std::io::stdin().read_to_string(&mut text),
            _ => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
        };
        read.with_context(|| format!("cannot read {file}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .context("these are not the outputs of an environment; pass what `terraform output -json` prints after an apply")
    }

    pub(crate) fn api_url(&self) -> &str {
        self.api_url.value.trim_end_matches('/')
    }

    pub(crate) fn token_url(&self) -> &str {
        &self.token_url.value
    }

    /// A consumer that may ask for this scope, by preference one that may ask for no other.
    pub(crate) fn consumer(&self, scope: &str) -> Result<&Consumer> {
        self.consumers
            .value
            .values()
            .filter(|consumer| consumer.scopes.iter().any(|own| own == scope))
            .min_by_key(|consumer| consumer.scopes.len())
            .with_context(|| format!("no consumer of this environment has the scope {scope}; add one to its data and deploy"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUTS: &str = r#"{
        "api_url": {"sensitive": false, "type": "string", "value": "http://127.0.0.1:4566/v1/"},
        "token_url": {"value": "http://127.0.0.1:4566/oauth2/token"},
        "consumers": {"sensitive": true, "value": {
            "editor": {"client_id": "e", "client_secret": "s", "scopes": ["movies/read", "movies/write"]},
            "reader": {"client_id": "r", "client_secret": "s", "scopes": ["movies/read"]}}},
        "table_name": {"value": "mvdb-local-movies"}
    }"#;

    #[test]
    fn the_consumer_with_the_fewest_scopes_is_taken() {
        let outputs = Outputs::parse(OUTPUTS).unwrap();
        assert_eq!(outputs.consumer("movies/read").unwrap().client_id, "r");
        assert_eq!(outputs.consumer("movies/write").unwrap().client_id, "e");
        assert_eq!(outputs.api_url(), "http://127.0.0.1:4566/v1");
    }

    #[test]
    fn a_missing_scope_is_named() {
        let error = Outputs::parse(OUTPUTS).unwrap().consumer("movies/admin").err().unwrap();
        assert!(error.to_string().contains("movies/admin"), "{error}");
    }

    #[test]
    fn the_outputs_of_nothing_applied_say_what_to_pass() {
        let error = Outputs::parse("{}").err().unwrap();
        assert!(error.to_string().contains("after an apply"), "{error}");
    }
}
