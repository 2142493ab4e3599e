//! The stage of API Gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result, ensure};
use aws_sdk_apigateway::Client;
use aws_sdk_apigateway::operation::get_stage::GetStageOutput;
use aws_sdk_apigateway::types::{Op, PatchOperation};
use serde::Deserialize;

use crate::infrastructure::{Break, Check, Environment, ensure_empty, or_none};

pub(super) const CHECKS: &[Check] = &[
    Check::new(
        "the stage has the configured throttles",
        throttles_are_configured,
    )
    .breaks(&[Break {
        harm: |environment| set_throttle(environment, 1.0),
        repair: |environment| {
            let throttle = environment.expected().stage.throttles.stage;
            set_throttle(environment, throttle.requests_per_second)
        },
    }]),
    Check::if_present(
        "the stage has a client certificate",
        "client_certificate",
        stage_has_a_client_certificate,
    ),
];

/// The member `stage` of the output `infrastructure`.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(super) arn: String,
    throttles: Throttles,
    client_certificate_id: Option<String>,
}

/// The throttle of all routes together, and those of single routes ("GET /movies").
#[derive(Deserialize)]
struct Throttles {
    stage: Throttle,
    routes: BTreeMap<String, Throttle>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
struct Throttle {
    requests_per_second: f64,
    burst_requests: i32,
}

impl fmt::Display for Throttle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests_per_second,
            burst_requests,
        } = self;
        write!(
            formatter,
            "{requests_per_second} requests/s, burst of {burst_requests}"
        )
    }
}

impl Environment {
    pub(super) fn stage(&self) -> Result<GetStageOutput> {
        let client = Client::new(&self.aws.config);
        let stage = client
            .get_stage()
            .rest_api_id(&self.deployed.rest_api_id.value)
            .stage_name(&self.deployed.stage_name.value);
        self.aws.call(stage.send())
    }
}

fn throttles_are_configured(environment: &Environment) -> Result<String> {
    let stage = environment.stage()?;
    let throttles = &environment.expected().stage.throttles;
    let mut expected: BTreeMap<_, _> = throttles
        .routes
        .iter()
        .map(|(route, throttle)| (route.clone(), *throttle))
        .collect();
    expected.insert("* /*".to_owned(), throttles.stage);
    let found = stage.method_settings().into_iter().flatten();
    let found: BTreeMap<_, _> = found
        .map(|(path, settings)| {
            let throttle = Throttle {
                requests_per_second: settings.throttling_rate_limit(),
                burst_requests: settings.throttling_burst_limit(),
            };
            (route(path), throttle)
        })
        .collect();
    let routes: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differ = routes
        .iter()
        .filter(|route| expected.get(**route) != found.get(**route));
    let wrong: Vec<_> = differ
        .map(|route| {
            format!(
                "{route} has {}, not {}",
                or_none(found.get(*route)),
                or_none(expected.get(*route))
            )
        })
        .collect();
    ensure_empty(&wrong)?;
    Ok(format!(
        "{}; {} routes with their own",
        throttles.stage,
        throttles.routes.len()
    ))
}

fn stage_has_a_client_certificate(environment: &Environment) -> Result<String> {
    let stage = environment.stage()?;
    let expected = environment
        .expected()
        .stage
        .client_certificate_id
        .as_deref()
        .context("the outputs name no client certificate")?;
    ensure!(
        stage.client_certificate_id() == Some(expected),
        "the stage's client certificate is {}, not {expected}",
        or_none(stage.client_certificate_id())
    );
    Ok(String::new())
}

fn set_throttle(environment: &Environment, requests_per_second: f64) -> Result<()> {
    let patch = PatchOperation::builder()
        .op(Op::Replace)
        .path("/*/*/throttling/rateLimit")
        .value(requests_per_second.to_string());
    let request = Client::new(&environment.aws.config)
        .update_stage()
        .rest_api_id(&environment.deployed.rest_api_id.value)
        .stage_name(&environment.deployed.stage_name.value)
        .patch_operations(patch.build());
    environment.aws.call(request.send()).map(drop)
}

/// Converts API Gateway's method path ("~1movies~1{year}~1{title+}/GET", "*/*") to the contract's
/// route ("GET /movies/{year}/{title}", "* /*").
fn route(method_path: &str) -> String {
    let (path, method) = method_path.rsplit_once('/').unwrap_or((method_path, ""));
    let path = path.replace("~1", "/").replace("+}", "}");
    format!(
        "{method} {}{path}",
        if path.starts_with('/') { "" } else { "/" }
    )
}

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn method_paths_are_converted_to_routes_of_the_contract() {
        assert_eq!(route("*/*"), "* /*");
        assert_eq!(route("~1movies/GET"), "GET /movies");
        assert_eq!(
            route("~1movies~1{year}~1{title+}/PUT"),
            "PUT /movies/{year}/{title}"
        );
    }
}
