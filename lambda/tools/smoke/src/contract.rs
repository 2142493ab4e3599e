//! The contract's response statuses, which every response is checked against.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Response statuses by path template and method.
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
                .context("the contract that this binary was built with is not valid")?;
        Ok(Self(document.paths))
    }

    /// Fails if the contract declares the operation, but not the status. Other paths and methods
    /// are not checked.
    pub(crate) fn check(&self, method: &str, path: &str, status: u16) -> Result<()> {
        let path = path.split('?').next().unwrap_or_default();
        // Literal segments precede parameters.
        let exact = self.0.get_key_value(path);
        let matching = || self.0.iter().find(|(template, _)| matches(template, path));
        let Some((template, item)) = exact.or_else(matching) else {
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
                "{method} {template} returned {status}, which the contract does not declare"
            );
        }
        Ok(())
    }
}

/// Returns whether a path matches a template. A parameter at the end takes the rest of the path,
/// slashes included, as on API Gateway.
fn matches(template: &str, path: &str) -> bool {
    let mut path = Some(path);
    let mut segments = template.split('/').peekable();
    while let Some(segment) = segments.next() {
        let Some(rest) = path else { return false };
        let is_parameter = segment.starts_with('{');
        if is_parameter && segments.peek().is_none() {
            return !rest.is_empty();
        }
        let (found, rest) = match rest.split_once('/') {
            Some((found, rest)) => (found, Some(rest)),
            None => (rest, None),
        };
        if !is_parameter && found != segment {
            return false;
        }
        path = rest;
    }
    path.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undeclared_status_is_reported_with_its_operation() {
        let contract = Contract::embedded().unwrap();
        contract.check("GET", "/movies?year=2013", 200).unwrap();
        contract
            .check("DELETE", "/movies/2013/Face/Off", 204)
            .unwrap();
        let error = contract.check("GET", "/movies/2013/Rush", 418).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("GET /movies/{year}/{title} returned 418"),
            "{error}"
        );
    }

    #[test]
    fn statuses_behind_a_yaml_alias_are_declared() {
        Contract::embedded()
            .unwrap()
            .check("HEAD", "/movies/2013/Rush", 304)
            .unwrap();
    }

    #[test]
    fn unknown_operations_are_not_checked() {
        let contract = Contract::embedded().unwrap();
        contract.check("GET", "/no-such-route", 404).unwrap();
        contract.check("DELETE", "/health", 405).unwrap();
    }

    #[test]
    fn a_parameter_at_the_end_takes_the_rest_of_the_path() {
        let template = "/movies/{year}/{title}";
        assert!(matches(template, "/movies/2013/Rush"));
        assert!(matches(template, "/movies/1997/Face/Off"));
        for path in [
            "/movies",
            "/movies/2013",
            "/movies/2013/",
            "/films/2013/Rush",
        ] {
            assert!(!matches(template, path), "{path}");
        }
        assert!(!matches("/movies/{year}/cast", "/movies/2013/cast/more"));
    }
}
