//! The tags of all resources.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use aws_sdk_cloudwatchlogs::types::LogGroup;

use crate::infrastructure::{Break, Check, Environment, ensure_empty};

pub(super) const CHECKS: &[Check] = &[Check::new(
    "resources have the environment's tags",
    resources_have_the_tags,
)
.breaks(&[Break {
    harm: untag_table,
    repair: tag_table,
}])];

fn resources_have_the_tags(environment: &Environment) -> Result<String> {
    let (aws, deployed) = (&environment.aws, &environment.deployed);
    let expected = &environment.expected().tags;
    ensure!(!expected.is_empty(), "the outputs name no tags");
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();

    let stage = environment.stage()?;
    found.push((
        "the stage".to_owned(),
        stage.tags().cloned().into_iter().flatten().collect(),
    ));

    let waf = aws_sdk_wafv2::Client::new(&aws.config);
    let response = aws.call(
        waf.list_tags_for_resource()
            .resource_arn(&deployed.web_acl_arn.value)
            .send(),
    )?;
    let tags = response
        .tag_info_for_resource()
        .map(|info| info.tag_list())
        .unwrap_or_default();
    found.push((
        "the web ACL".to_owned(),
        tags.iter()
            .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
            .collect(),
    ));

    let functions = aws_sdk_lambda::Client::new(&aws.config);
    let response = aws.call(
        functions
            .get_function()
            .function_name(&deployed.function_name.value)
            .send(),
    )?;
    found.push((
        "the function".to_owned(),
        response.tags().cloned().into_iter().flatten().collect(),
    ));

    let tables = aws_sdk_dynamodb::Client::new(&aws.config);
    let table = environment.table()?;
    let response = aws.call(
        tables
            .list_tags_of_resource()
            .resource_arn(table.table_arn().unwrap_or_default())
            .send(),
    )?;
    found.push((
        "the table".to_owned(),
        response
            .tags()
            .iter()
            .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
            .collect(),
    ));

    let logs = aws_sdk_cloudwatchlogs::Client::new(&aws.config);
    for (name, group) in environment.log_groups()? {
        let arn = group
            .as_ref()
            .and_then(LogGroup::arn)
            .with_context(|| format!("{name} is missing"))?;
        let response = aws.call(
            logs.list_tags_for_resource()
                .resource_arn(arn.trim_end_matches(":*"))
                .send(),
        )?;
        found.push((
            format!("log {name}"),
            response.tags().cloned().into_iter().flatten().collect(),
        ));
    }

    let alarms = aws_sdk_cloudwatch::Client::new(&aws.config);
    for (name, alarm) in environment.alarms()? {
        let response = aws.call(
            alarms
                .list_tags_for_resource()
                .resource_arn(alarm.arn)
                .send(),
        )?;
        let tags = response
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
        found.push((format!("alarm {name}"), tags.collect()));
    }

    let mut wrong = Vec::new();
    for (resource, tags) in &found {
        let lacking: Vec<_> = expected
            .iter()
            .filter(|(key, value)| tags.get(*key) != Some(*value))
            .map(|(key, _)| key.as_str())
            .collect();
        if !lacking.is_empty() {
            wrong.push(format!(
                "{resource} lacks or has other values for {}",
                lacking.join(", ")
            ));
        }
    }
    ensure_empty(&wrong)?;
    Ok(format!(
        "{} tags on {} resources",
        expected.len(),
        found.len()
    ))
}

/// Returns one of the expected tags.
fn first_tag(environment: &Environment) -> Result<(&str, &str)> {
    let (key, value) = environment
        .expected()
        .tags
        .first_key_value()
        .context("the outputs name no tags")?;
    Ok((key, value))
}

fn untag_table(environment: &Environment) -> Result<()> {
    let request = aws_sdk_dynamodb::Client::new(&environment.aws.config)
        .untag_resource()
        .resource_arn(environment.table()?.table_arn().unwrap_or_default())
        .tag_keys(first_tag(environment)?.0);
    environment.aws.call(request.send()).map(drop)
}

fn tag_table(environment: &Environment) -> Result<()> {
    let (key, value) = first_tag(environment)?;
    let request = aws_sdk_dynamodb::Client::new(&environment.aws.config)
        .tag_resource()
        .resource_arn(environment.table()?.table_arn().unwrap_or_default())
        .tags(
            aws_sdk_dynamodb::types::Tag::builder()
                .key(key)
                .value(value)
                .build()?,
        );
    environment.aws.call(request.send()).map(drop)
}
