//! What the OpenAPI file promises, as far as any answer can be held against it without knowing the question.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Statuses by method and path template.
pub(crate) struct Contract(BTreeMap<String, PathItem>);

#[derive(Deserialize)]
struct PathItem {
    get: Option<Operation>,
    head: Option<Operation>,
    post: Option<Operation>,
    put: Option<Operation>,
    patch: Option<Operation>,
    delete: Option<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    responses: BTreeMap<String, IgnoredAny>,
}

impl Contract {
    pub(crate) fn embedded() -> Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            paths: BTreeMap<String, PathItem>,
        }
        let document: Document =
            serde_saphyr::from_str(include_str!("../../../services/movies/openapi.yaml"))
                .context("the contract that this binary was built with does not parse")?;
        Ok(Self(document.paths))
    }

    /// Paths and methods that the contract does not know are not its business.
    pub(crate) fn check(&self, method: &str, path: &str, status: u16) -> Result<()> {
        let path = path.split('?').next().unwrap_or_default();
        let template = match path.strip_prefix("/movies/") {
            Some(key) if key.contains('/') => "/movies/{year}/{title}",
            _ => path,
        };
        let Some(item) = self.0.get(template) else {
            return Ok(());
        };
        let operation = match method {
            "GET" => &item.get,
            "HEAD" => &item.head,
            "POST" => &item.post,
            "PUT" => &item.put,
            "PATCH" => &item.patch,
            "DELETE" => &item.delete,
            _ => &None,
        };
        if let Some(operation) = operation {
            ensure!(
                operation.responses.contains_key(&status.to_string()),
                "{method} {template} answered {status}, a status that the contract does not declare"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_status_passes_and_an_undeclared_one_is_named() {
        let contract = Contract::embedded().unwrap();
        contract.check("GET", "/movies?year=2013", 200).unwrap();
        contract
            .check("DELETE", "/movies/2013/Face/Off", 204)
            .unwrap();
        let error = contract.check("GET", "/movies/2013/Rush", 418).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("GET /movies/{year}/{title} answered 418"),
            "{error}"
        );
    }

    #[test]
    fn statuses_that_come_through_a_yaml_alias_count() {
        Contract::embedded()
            .unwrap()
            .check("HEAD", "/movies/2013/Rush", 304)
            .unwrap();
    }

    #[test]
    fn what_the_contract_does_not_know_is_not_judged() {
        let contract = Contract::embedded().unwrap();
        contract.check("GET", "/no-such-route", 404).unwrap();
        contract.check("DELETE", "/health", 405).unwrap();
    }
}
