//! The alarms.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, MetricAlarm};
use serde::Deserialize;

use crate::infrastructure::{Break, Check, Environment, ensure_empty};

pub(super) const CHECKS: &[Check] = &[
    Check::new(
        "every alarm exists with actions enabled",
        alarms_have_actions_enabled,
    )
    .breaks(&[Break {
        harm: disable_actions,
        repair: enable_actions,
    }]),
    Check::new("every alarm has an action", alarms_have_an_action).breaks(&[Break {
        harm: remove_action,
        repair: restore_action,
    }]),
];

/// Maximum number of names in one request to CloudWatch.
const ALARM_NAMES: usize = 100;

/// The output `alarms`, for each alarm.
#[derive(Deserialize)]
pub(crate) struct Expected {
    severity: String,
    /// `direct` (its alarm actions), `ok` (its OK actions), or the composite alarm that it feeds.
    #[serde(rename = "tells")]
    notifies: String,
}

pub(super) struct Alarm {
    pub(super) arn: String,
    actions_enabled: bool,
    alarm_actions: Vec<String>,
    ok_actions: Vec<String>,
    rule: String,
}

impl Environment {
    pub(super) fn alarms(&self) -> Result<BTreeMap<String, Alarm>> {
        let client = Client::new(&self.aws.config);
        let names: Vec<_> = self.deployed.alarms.value.keys().cloned().collect();
        ensure!(!names.is_empty(), "the environment has no alarms");
        let mut alarms = BTreeMap::new();
        for names in names.chunks(ALARM_NAMES) {
            let request = client
                .describe_alarms()
                .set_alarm_names(Some(names.to_vec()));
            let mut pages = request
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm)
                .into_paginator()
                .send();
            while let Some(page) = self.aws.call(async { pages.try_next().await })? {
                for alarm in page.metric_alarms() {
                    let seen = Alarm {
                        arn: alarm.alarm_arn().unwrap_or_default().to_owned(),
                        actions_enabled: alarm.actions_enabled() == Some(true),
                        alarm_actions: alarm.alarm_actions().to_vec(),
                        ok_actions: alarm.ok_actions().to_vec(),
                        rule: String::new(),
                    };
                    alarms.insert(alarm.alarm_name().unwrap_or_default().to_owned(), seen);
                }
                for alarm in page.composite_alarms() {
                    let seen = Alarm {
                        arn: alarm.alarm_arn().unwrap_or_default().to_owned(),
                        actions_enabled: alarm.actions_enabled() == Some(true),
                        alarm_actions: alarm.alarm_actions().to_vec(),
                        ok_actions: alarm.ok_actions().to_vec(),
                        rule: alarm.alarm_rule().unwrap_or_default().to_owned(),
                    };
                    alarms.insert(alarm.alarm_name().unwrap_or_default().to_owned(), seen);
                }
            }
        }
        Ok(alarms)
    }
}

fn alarms_have_actions_enabled(environment: &Environment) -> Result<String> {
    let found = environment.alarms()?;
    let mut wrong = Vec::new();
    for name in environment.deployed.alarms.value.keys() {
        match found.get(name) {
            None => wrong.push(format!("{name} is missing")),
            Some(alarm) if !alarm.actions_enabled => {
                wrong.push(format!("the actions of {name} are disabled"))
            }
            Some(_) => {}
        }
    }
    ensure_empty(&wrong)?;
    Ok(format!("{} alarms", found.len()))
}

fn alarms_have_an_action(environment: &Environment) -> Result<String> {
    let found = environment.alarms()?;
    let mut wrong = Vec::new();
    for (name, expected) in &environment.deployed.alarms.value {
        let Some(alarm) = found.get(name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        let topic = environment.deployed.topics.value.get(&expected.severity);
        let notifies_topic =
            |actions: &[String]| topic.is_some_and(|topic| actions.contains(topic));
        let notifies = match expected.notifies.as_str() {
            "direct" => notifies_topic(&alarm.alarm_actions),
            "ok" => notifies_topic(&alarm.ok_actions),
            composite => found
                .get(composite)
                .is_some_and(|composite| composite.rule.contains(&format!("\"{name}\""))),
        };
        if !notifies {
            let how = match expected.notifies.as_str() {
                "direct" | "ok" => format!("does not notify the topic {}", expected.severity),
                composite => format!("does not feed {composite}"),
            };
            wrong.push(format!("{name} {how}"));
        }
    }
    ensure_empty(&wrong)?;
    Ok(format!(
        "{} topics",
        environment.deployed.topics.value.len()
    ))
}

/// Returns the first metric alarm that notifies a topic directly.
fn direct_alarm(environment: &Environment) -> Result<MetricAlarm> {
    let expected = environment.deployed.alarms.value.iter();
    let direct = expected.filter(|(_, expected)| expected.notifies == "direct");
    let request = Client::new(&environment.aws.config)
        .describe_alarms()
        .set_alarm_names(Some(
            direct
                .map(|(name, _)| name.clone())
                .take(ALARM_NAMES)
                .collect(),
        ))
        .alarm_types(AlarmType::MetricAlarm);
    let alarms = environment
        .aws
        .call(request.send())?
        .metric_alarms
        .unwrap_or_default();
    let first = alarms
        .into_iter()
        .min_by(|a, b| a.alarm_name().cmp(&b.alarm_name()));
    first.context("the environment has no metric alarm that notifies a topic directly")
}

fn disable_actions(environment: &Environment) -> Result<()> {
    let alarm = direct_alarm(environment)?;
    let request = Client::new(&environment.aws.config)
        .disable_alarm_actions()
        .set_alarm_names(Some(alarm.alarm_name.into_iter().collect()));
    environment.aws.call(request.send()).map(drop)
}

fn enable_actions(environment: &Environment) -> Result<()> {
    let alarm = direct_alarm(environment)?;
    let request = Client::new(&environment.aws.config)
        .enable_alarm_actions()
        .set_alarm_names(Some(alarm.alarm_name.into_iter().collect()));
    environment.aws.call(request.send()).map(drop)
}

fn remove_action(environment: &Environment) -> Result<()> {
    put_actions(environment, direct_alarm(environment)?, Vec::new())
}

fn restore_action(environment: &Environment) -> Result<()> {
    let (alarm, deployed) = (direct_alarm(environment)?, &environment.deployed);
    let expected = deployed
        .alarms
        .value
        .get(alarm.alarm_name().unwrap_or_default());
    let topic = expected.and_then(|expected| deployed.topics.value.get(&expected.severity));
    let topic = topic.context("the alarm's severity has no topic")?.clone();
    put_actions(environment, alarm, vec![topic])
}

/// Replaces the alarm by itself with other actions.
fn put_actions(environment: &Environment, alarm: MetricAlarm, actions: Vec<String>) -> Result<()> {
    let request = Client::new(&environment.aws.config)
        .put_metric_alarm()
        .set_alarm_name(alarm.alarm_name)
        .set_alarm_description(alarm.alarm_description)
        .set_actions_enabled(alarm.actions_enabled)
        .set_ok_actions(alarm.ok_actions)
        .set_metrics(alarm.metrics)
        .set_evaluation_periods(alarm.evaluation_periods)
        .set_datapoints_to_alarm(alarm.datapoints_to_alarm)
        .set_threshold(alarm.threshold)
        .set_threshold_metric_id(alarm.threshold_metric_id)
        .set_comparison_operator(alarm.comparison_operator)
        .set_treat_missing_data(alarm.treat_missing_data)
        .set_alarm_actions(Some(actions));
    environment.aws.call(request.send()).map(drop)
}
