//! The function, its alias and its layers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use aws_sdk_lambda::Client;
use serde::Deserialize;

use crate::infrastructure::{Break, Check, Environment, or_none};

pub(super) const CHECKS: &[Check] = &[
    Check::new(
        "the alias points to the published version",
        alias_points_to_the_published_version,
    )
    .breaks(&[Break {
        harm: |environment| set_alias(environment, "$LATEST"),
        repair: |environment| set_alias(environment, &environment.deployed.function_version.value),
    }]),
    Check::if_present(
        "Lambda accepts only signed packages",
        "code_signing",
        only_signed_packages_are_accepted,
    ),
    Check::if_present(
        "the published version has its layers",
        "layers",
        version_has_its_layers,
    ),
];

/// The members of the output `infrastructure` that concern the function.
#[derive(Deserialize)]
pub(crate) struct Expected {
    code_signing_config_arn: Option<String>,
    layer_arns: Vec<String>,
}

fn set_alias(environment: &Environment, version: &str) -> Result<()> {
    let request = Client::new(&environment.aws.config)
        .update_alias()
        .function_name(&environment.deployed.function_name.value)
        .name(&environment.deployed.alias_name.value)
        .function_version(version);
    environment.aws.call(request.send()).map(drop)
}

fn alias_points_to_the_published_version(environment: &Environment) -> Result<String> {
    let client = Client::new(&environment.aws.config);
    let deployed = &environment.deployed;
    let (alias, published) = (&deployed.alias_name.value, &deployed.function_version.value);
    let live = environment.aws.call(
        client
            .get_alias()
            .function_name(&deployed.function_name.value)
            .name(alias)
            .send(),
    )?;
    let main = live.function_version().unwrap_or_default();
    let weights = live
        .routing_config()
        .and_then(|config| config.additional_version_weights());
    let shares: BTreeMap<_, _> = weights
        .into_iter()
        .flatten()
        .filter(|(_, weight)| **weight > 0.0)
        .collect();
    let shift = || {
        shares
            .iter()
            .map(|(version, weight)| format!("{:.0} % on version {version}", **weight * 100.0))
            .collect::<Vec<_>>()
    };
    if shares.is_empty() {
        ensure!(
            main == published,
            "{alias} points to version {main}, but Terraform published {published}. Run: make release"
        );
        return Ok(format!("version {published}"));
    }
    // A canary between the previous and the published version, in either direction.
    ensure!(
        main == published || shares.contains_key(published),
        "{alias} shifts traffic between versions other than {published}: version {main}, {}",
        shift().join(", ")
    );
    Ok(format!("version {main}, {}", shift().join(", ")))
}

fn only_signed_packages_are_accepted(environment: &Environment) -> Result<String> {
    let client = Client::new(&environment.aws.config);
    let expected = environment
        .expected()
        .function
        .code_signing_config_arn
        .as_deref()
        .context("the outputs name no code signing config")?;
    let request = client
        .get_function_code_signing_config()
        .function_name(&environment.deployed.function_name.value);
    let response = environment.aws.call(request.send())?;
    let found = response.code_signing_config_arn();
    ensure!(
        found == expected,
        "the function's code signing config is {}, not {expected}",
        or_none(Some(found).filter(|arn| !arn.is_empty()))
    );
    Ok(String::new())
}

fn version_has_its_layers(environment: &Environment) -> Result<String> {
    let client = Client::new(&environment.aws.config);
    let deployed = &environment.deployed;
    let request = client
        .get_function_configuration()
        .function_name(&deployed.function_name.value);
    let response = environment
        .aws
        .call(request.qualifier(&deployed.function_version.value).send())?;
    let found: Vec<_> = response
        .layers()
        .iter()
        .filter_map(|layer| layer.arn())
        .collect();
    let expected = &environment.expected().function.layer_arns;
    ensure!(!expected.is_empty(), "the outputs name no layer");
    ensure!(
        found == *expected,
        "version {} has {}, not {}",
        deployed.function_version.value,
        or_none(Some(found.join(", ")).filter(|arns| !arns.is_empty())),
        expected.join(", ")
    );
    Ok(String::new())
}
