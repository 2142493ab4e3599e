//! `terraform output -json`: what a caller of the API needs of it, and what AWS is compared with.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The contract's scopes.
pub(crate) const READ: &str = "movies/read";
pub(crate) const WRITE: &str = "movies/write";

/// The client of our own tools, a name that no consumer can have (`infra/modules/identity`).
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

/// What was deployed, as Terraform knows it.
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
    pub(crate) switch: Output<Switch>,
    pub(crate) topics: Output<BTreeMap<String, String>>,
    pub(crate) alarms: Output<BTreeMap<String, AlarmPlan>>,
    pub(crate) infrastructure: Output<Infrastructure>,
}

/// The kill switch: the set of what is frozen.
#[derive(Deserialize)]
pub(crate) struct Switch {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Deserialize)]
pub(crate) struct AlarmPlan {
    pub(crate) severity: String,
    /// `direct`, by its all-clear (`ok`), or the composite that it feeds.
    pub(crate) tells: String,
}

/// What the environment's data asks of AWS.
#[derive(Deserialize)]
pub(crate) struct Infrastructure {
    pub(crate) stage: StagePlan,
    pub(crate) table: TablePlan,
    pub(crate) logs: LogsPlan,
    pub(crate) code_signing_config_arn: Option<String>,
    pub(crate) layer_arns: Vec<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// What this environment does not hold, and why.
    pub(crate) absent: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(crate) struct StagePlan {
    pub(crate) arn: String,
    /// For all routes together, and for single ones ("GET /movies").
    pub(crate) throttles: Throttles,
    pub(crate) client_certificate_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Throttles {
    pub(crate) stage: Throttle,
    pub(crate) routes: BTreeMap<String, Throttle>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub(crate) struct Throttle {
    pub(crate) requests_per_second: f64,
    pub(crate) burst_requests: i32,
}

impl std::fmt::Display for Throttle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} requests/s, {} at once",
            self.requests_per_second, self.burst_requests
        )
    }
}

#[derive(Deserialize)]
pub(crate) struct TablePlan {
    pub(crate) key_arn: String,
    pub(crate) deletion_protection: bool,
    /// 0 is off.
    pub(crate) recovery_days: i32,
}

#[derive(Deserialize)]
pub(crate) struct LogsPlan {
    pub(crate) groups: Vec<String>,
    pub(crate) masked_groups: Vec<String>,
    pub(crate) retention_days: i32,
    pub(crate) key_arn: String,
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
        let caller = serde_json::from_str(text)
            .context("these are not the outputs of an environment; pass what `terraform output -json` prints after an apply")?;
        Ok(Self {
            caller,
            text: text.to_owned(),
        })
    }

    /// # Errors
    /// The environment was applied by an older Terraform code than this binary knows.
    pub(crate) fn deployed(&self) -> Result<Deployed> {
        serde_json::from_str(&self.text).context(
            "the outputs lack what AWS is compared with; apply this version of the stack first",
        )
    }

    pub(crate) fn api_url(&self) -> &str {
        self.caller.api_url.value.trim_end_matches('/')
    }

    pub(crate) fn token_url(&self) -> &str {
        &self.caller.token_url.value
    }

    /// The client of our own tools, if it may ask for this scope. A customer's client is never taken: its
    /// requests would count as the customer's, and fail while it is frozen.
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
    fn our_own_client_is_taken_whoever_else_has_the_scope() {
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
    fn the_outputs_of_nothing_applied_say_what_to_pass() {
        let error = Outputs::parse("{}").err().unwrap();
        assert!(error.to_string().contains("after an apply"), "{error}");
    }
}
