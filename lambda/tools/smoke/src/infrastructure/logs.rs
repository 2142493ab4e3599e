//! The log groups.

use anyhow::{Context, Result, ensure};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::LogGroup;
use serde::Deserialize;
use serde_json::Value;

use crate::infrastructure::{Break, Check, Environment, ensure_empty, or_none};

pub(super) const CHECKS: &[Check] = &[
    Check::new(
        "every log group has the configured retention",
        log_groups_have_the_configured_retention,
    )
    .breaks(&[Break {
        harm: delete_retention,
        repair: restore_retention,
    }]),
    Check::new(
        "every log group is encrypted with its own key",
        log_groups_are_encrypted,
    )
    .breaks(&[Break {
        harm: |environment| replace_group(environment, &environment.expected().table.key_arn),
        repair: |environment| replace_group(environment, &environment.expected().logs.key_arn),
    }]),
    Check::if_present(
        "sensitive log data is masked",
        "log_masking",
        sensitive_data_is_masked,
    ),
];

/// The member `logs` of the output `infrastructure`.
#[derive(Deserialize)]
pub(crate) struct Expected {
    groups: Vec<String>,
    masked_groups: Vec<String>,
    retention_days: i32,
    pub(super) key_arn: String,
}

impl Environment {
    pub(super) fn log_groups(&self) -> Result<Vec<(&str, Option<LogGroup>)>> {
        let client = Client::new(&self.aws.config);
        let expected = &self.expected().logs;
        ensure!(
            !expected.groups.is_empty(),
            "the environment has no log groups"
        );
        let mut groups = Vec::new();
        for name in &expected.groups {
            let mut pages = client
                .describe_log_groups()
                .log_group_name_prefix(name)
                .into_paginator()
                .items()
                .send();
            let mut found = None;
            while let Some(group) = self.aws.call(async { pages.try_next().await })? {
                if group.log_group_name() == Some(name) {
                    found = Some(group);
                }
            }
            groups.push((name.as_str(), found));
        }
        Ok(groups)
    }
}

fn log_groups_have_the_configured_retention(environment: &Environment) -> Result<String> {
    let expected = environment.expected().logs.retention_days;
    let found = environment.log_groups()?;
    let wrong = found.iter().filter_map(|(name, group)| {
        match group.as_ref().map(LogGroup::retention_in_days) {
            None => Some(format!("{name} is missing")),
            Some(Some(days)) if days == expected => None,
            Some(days) => Some(format!(
                "{name} has a retention of {}, not {expected} days",
                days.map_or("no limit".to_owned(), |days| format!("{days} days"))
            )),
        }
    });
    ensure_empty(&wrong.collect::<Vec<_>>())?;
    Ok(format!("{} log groups, {expected} days", found.len()))
}

fn log_groups_are_encrypted(environment: &Environment) -> Result<String> {
    let expected = environment.expected().logs.key_arn.as_str();
    let found = environment.log_groups()?;
    let wrong =
        found.iter().filter_map(
            |(name, group)| match group.as_ref().map(LogGroup::kms_key_id) {
                None => Some(format!("{name} is missing")),
                Some(Some(key)) if key == expected => None,
                Some(key) => Some(format!(
                    "{name} has the key {}, not {expected}",
                    or_none(key)
                )),
            },
        );
    ensure_empty(&wrong.collect::<Vec<_>>())?;
    Ok(format!("{} log groups", found.len()))
}

fn sensitive_data_is_masked(environment: &Environment) -> Result<String> {
    let client = Client::new(&environment.aws.config);
    let groups = &environment.expected().logs.masked_groups;
    ensure!(!groups.is_empty(), "the outputs name no masked log group");
    let mut wrong = Vec::new();
    for name in groups {
        let response = environment.aws.call(
            client
                .get_data_protection_policy()
                .log_group_identifier(name)
                .send(),
        )?;
        let policy: Value = serde_json::from_str(response.policy_document().unwrap_or("null"))?;
        let statements = policy["Statement"].as_array();
        if !statements.is_some_and(|statements| {
            statements
                .iter()
                .any(|statement| statement["Operation"]["Deidentify"].is_object())
        }) {
            wrong.push(format!("{name} has no masking policy"));
        }
    }
    ensure_empty(&wrong)?;
    Ok(format!("{} log groups", groups.len()))
}

fn first_group(environment: &Environment) -> Result<&str> {
    let first = environment.expected().logs.groups.first();
    first
        .map(String::as_str)
        .context("the environment has no log groups")
}

fn delete_retention(environment: &Environment) -> Result<()> {
    let request = Client::new(&environment.aws.config)
        .delete_retention_policy()
        .log_group_name(first_group(environment)?);
    environment.aws.call(request.send()).map(drop)
}

fn restore_retention(environment: &Environment) -> Result<()> {
    let request = Client::new(&environment.aws.config)
        .put_retention_policy()
        .log_group_name(first_group(environment)?)
        .retention_in_days(environment.expected().logs.retention_days);
    environment.aws.call(request.send()).map(drop)
}

/// Deletes a log group and creates it with another key, because the emulator cannot change the key.
fn replace_group(environment: &Environment, key_arn: &str) -> Result<()> {
    let (client, name) = (
        Client::new(&environment.aws.config),
        first_group(environment)?,
    );
    environment
        .aws
        .call(client.delete_log_group().log_group_name(name).send())?;
    let tags = environment.expected().tags.clone().into_iter().collect();
    let request = client
        .create_log_group()
        .log_group_name(name)
        .kms_key_id(key_arn)
        .set_tags(Some(tags));
    environment.aws.call(request.send())?;
    restore_retention(environment)
}
