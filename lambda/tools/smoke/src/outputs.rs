//! The outputs of Terraform (`terraform output -json`). The values that an infrastructure check
//! compares AWS with are defined beside the check.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::infrastructure::{Expected, alarms, waf};

/// The contract's scopes.
pub(crate) const READ: &str = "movies/read";
pub(crate) const WRITE: &str = "movies/write";

/// The client of our own tools. No consumer can have this name (`infra/modules/identity`).
const OPERATIONS: &str = "operations";

pub(crate) struct Outputs {
    caller: Caller,
    text: String,
}

#[derive(Deserialize)]
struct Caller {
    api_url: Output<String>,
    token_url: Output<String>,
    consumers: Output<BTreeMap<String, Consumer>>,
}

#[derive(Deserialize)]
pub(crate) struct Output<T> {
    pub(crate) value: T,
}

/// The deployed resources.
#[derive(Deserialize)]
pub(crate) struct Deployed {
    pub(crate) region: Output<String>,
    pub(crate) function_name: Output<String>,
    pub(crate) function_version: Output<String>,
    pub(crate) alias_name: Output<String>,
    pub(crate) table_name: Output<String>,
    pub(crate) rest_api_id: Output<String>,
    pub(crate) stage_name: Output<String>,
    pub(crate) web_acl_arn: Output<String>,
    pub(crate) switch: Output<waf::KillSwitch>,
    pub(crate) topics: Output<BTreeMap<String, String>>,
    pub(crate) alarms: Output<BTreeMap<String, alarms::Expected>>,
    pub(crate) infrastructure: Output<Expected>,
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
        let caller = serde_json::from_str(text).context(
            "these are not the outputs of an environment; pass what `terraform output -json` \
                 prints after an apply",
        )?;
        Ok(Self {
            caller,
            text: text.to_owned(),
        })
    }

    /// # Errors
    /// The environment was deployed by an older version of the stack.
    pub(crate) fn deployed(&self) -> Result<Deployed> {
        serde_json::from_str(&self.text).context(
            "the outputs lack values to compare AWS with; deploy this version of the stack first",
        )
    }

    pub(crate) fn api_url(&self) -> &str {
        self.caller.api_url.value.trim_end_matches('/')
    }

    pub(crate) fn token_url(&self) -> &str {
        &self.caller.token_url.value
    }

    /// Returns the client of our own tools, if it has this scope. A customer's client is never
    /// used: the requests would count as the customer's, and fail while the customer is frozen.
    pub(crate) fn operations(&self, scope: &str) -> Result<&Consumer> {
        let client = self.caller.consumers.value.get(OPERATIONS);
        let client = client.with_context(|| {
            format!(
                "the environment has no client {OPERATIONS}; deploy this version of the stack first"
            )
        })?;
        ensure!(
            client.scopes.iter().any(|own| own == scope),
            "the client {OPERATIONS} does not have the scope {scope}"
        );
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUTS: &str = r#"{
        "api_url": {"sensitive": false, "type": "string", "value": "http://127.0.0.1:4566/v1/"},
        "token_url": {"value": "http://127.0.0.1:4566/oauth2/token"},
        "consumers": {"sensitive": true, "value": {
            "auditor": {"client_id": "a", "client_secret": "s", "scopes": ["movies/read"]},
            "operations": {"client_id": "o", "client_secret": "s", "scopes": ["movies/read", "movies/write"]},
            "reader": {"client_id": "r", "client_secret": "s", "scopes": ["movies/read"]}}},
        "table_name": {"value": "mvdb-local-movies"}
    }"#;

    #[test]
    fn the_operations_client_is_used_for_every_scope() {
        let outputs = Outputs::parse(OUTPUTS).unwrap();
        assert_eq!(outputs.operations("movies/read").unwrap().client_id, "o");
        assert_eq!(outputs.operations("movies/write").unwrap().client_id, "o");
        assert_eq!(outputs.api_url(), "http://127.0.0.1:4566/v1");
    }

    #[test]
    fn a_missing_scope_is_named() {
        let error = Outputs::parse(OUTPUTS)
            .unwrap()
            .operations("movies/admin")
            .err()
            .unwrap();
        assert!(error.to_string().contains("movies/admin"), "{error}");
    }

    #[test]
    fn empty_outputs_are_rejected_with_advice() {
        let error = Outputs::parse("{}").err().unwrap();
        assert!(error.to_string().contains("after an apply"), "{error}");
    }
}
