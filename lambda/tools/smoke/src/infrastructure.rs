//! What AWS has to say of a deployed environment, compared with what its data asks for. Nothing is changed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use aws_sdk_apigateway::operation::get_stage::GetStageOutput;
use aws_sdk_cloudwatch::types::AlarmType;
use aws_sdk_cloudwatchlogs::types::LogGroup;
use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, SseStatus, TableDescription};
use serde_json::Value;

use crate::aws::Aws;
use crate::outputs::{Deployed, Infrastructure, Throttle};

/// CloudWatch takes no more names in one call.
const ALARM_NAMES: usize = 100;

pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// What of the environment it looks at, where an environment may be without it.
    part: Option<&'static str>,
    pub(crate) run: fn(&Environment) -> Result<String>,
}

const fn check(name: &'static str, run: fn(&Environment) -> Result<String>) -> Check {
    Check {
        name,
        part: None,
        run,
    }
}

const fn check_if_held(
    name: &'static str,
    part: &'static str,
    run: fn(&Environment) -> Result<String>,
) -> Check {
    Check {
        name,
        part: Some(part),
        run,
    }
}

pub(crate) const CHECKS: &[Check] = &[
    check("the stage has its web ACL", waf_stands_before_the_stage),
    check("the kill switch is off", nothing_is_frozen),
    check(
        "the stage has the configured throttles",
        throttles_are_the_agreed_ones,
    ),
    check_if_held(
        "the stage has a client certificate",
        "client_certificate",
        the_stage_shows_its_certificate,
    ),
    check(
        "the alias points to the published version",
        the_alias_leads_to_the_published_version,
    ),
    check_if_held(
        "Lambda accepts only signed packages",
        "code_signing",
        lambda_takes_signed_packages_only,
    ),
    check_if_held(
        "the published version has its layers",
        "layers",
        the_version_carries_its_layers,
    ),
    check(
        "the table is encrypted with its own key",
        the_table_is_encrypted,
    ),
    check(
        "point-in-time recovery is configured",
        the_table_can_be_recovered,
    ),
    check(
        "deletion protection is configured",
        deletion_protection_is_as_agreed,
    ),
    check(
        "every alarm exists with actions enabled",
        every_alarm_may_act,
    ),
    check("every alarm has an action", every_alarm_tells_somebody),
    check(
        "every log group has the configured retention",
        every_log_is_kept,
    ),
    check(
        "every log group is encrypted with its own key",
        every_log_is_encrypted,
    ),
    check_if_held(
        "sensitive log data is masked",
        "log_masking",
        logs_are_masked,
    ),
    check(
        "resources have the environment's tags",
        resources_bear_the_tags,
    ),
];

impl Check {
    /// Why this environment cannot be asked, if so.
    pub(crate) fn absent(&self, deployed: &Deployed) -> Option<String> {
        deployed
            .infrastructure
            .value
            .absent
            .get(self.part?)
            .cloned()
    }
}

pub(crate) struct Environment {
    pub(crate) aws: Aws,
    pub(crate) deployed: Deployed,
}

struct Alarm {
    arn: String,
    may_act: bool,
    rings: Vec<String>,
    clears: Vec<String>,
    rule: String,
}

impl Environment {
    fn plan(&self) -> &Infrastructure {
        &self.deployed.infrastructure.value
    }

    fn stage(&self) -> Result<GetStageOutput> {
        let client = aws_sdk_apigateway::Client::new(&self.aws.config);
        let stage = client
            .get_stage()
            .rest_api_id(&self.deployed.rest_api_id.value)
            .stage_name(&self.deployed.stage_name.value);
        self.aws.ask(stage.send())
    }

    fn table(&self) -> Result<TableDescription> {
        let client = aws_sdk_dynamodb::Client::new(&self.aws.config);
        let answer = self.aws.ask(
            client
                .describe_table()
                .table_name(&self.deployed.table_name.value)
                .send(),
        )?;
        answer.table.context("AWS describes no table")
    }

    fn alarms(&self) -> Result<BTreeMap<String, Alarm>> {
        let client = aws_sdk_cloudwatch::Client::new(&self.aws.config);
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
            while let Some(page) = self.aws.ask(async { pages.try_next().await })? {
                for alarm in page.metric_alarms() {
                    let seen = Alarm {
                        arn: alarm.alarm_arn().unwrap_or_default().to_owned(),
                        may_act: alarm.actions_enabled() == Some(true),
                        rings: alarm.alarm_actions().to_vec(),
                        clears: alarm.ok_actions().to_vec(),
                        rule: String::new(),
                    };
                    alarms.insert(alarm.alarm_name().unwrap_or_default().to_owned(), seen);
                }
                for alarm in page.composite_alarms() {
                    let seen = Alarm {
                        arn: alarm.alarm_arn().unwrap_or_default().to_owned(),
                        may_act: alarm.actions_enabled() == Some(true),
                        rings: alarm.alarm_actions().to_vec(),
                        clears: alarm.ok_actions().to_vec(),
                        rule: alarm.alarm_rule().unwrap_or_default().to_owned(),
                    };
                    alarms.insert(alarm.alarm_name().unwrap_or_default().to_owned(), seen);
                }
            }
        }
        Ok(alarms)
    }

    fn log_groups(&self) -> Result<Vec<(&str, Option<LogGroup>)>> {
        let client = aws_sdk_cloudwatchlogs::Client::new(&self.aws.config);
        let plan = &self.plan().logs;
        ensure!(!plan.groups.is_empty(), "the environment has no log groups");
        let mut groups = Vec::new();
        for name in &plan.groups {
            let mut pages = client
                .describe_log_groups()
                .log_group_name_prefix(name)
                .into_paginator()
                .items()
                .send();
            let mut found = None;
            while let Some(group) = self.aws.ask(async { pages.try_next().await })? {
                if group.log_group_name() == Some(name) {
                    found = Some(group);
                }
            }
            groups.push((name.as_str(), found));
        }
        Ok(groups)
    }
}

/// All that is wrong at once, not the first of it.
fn none(wrong: &[String]) -> Result<()> {
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// A value of AWS for a message.
fn or_none(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn waf_stands_before_the_stage(environment: &Environment) -> Result<String> {
    let client = aws_sdk_wafv2::Client::new(&environment.aws.config);
    let answer = environment.aws.ask(
        client
            .get_web_acl_for_resource()
            .resource_arn(&environment.plan().stage.arn)
            .send(),
    )?;
    let found = answer
        .web_acl()
        .context("no web ACL is associated with the stage")?;
    let (found, wanted) = (found.arn(), environment.deployed.web_acl_arn.value.as_str());
    ensure!(
        found == wanted,
        "the stage's web ACL is {found}, not {wanted}"
    );
    Ok(String::new())
}

/// Who freezes leaves a record of it, which begins so (scripts/switch.py).
fn nothing_is_frozen(environment: &Environment) -> Result<String> {
    let client = aws_sdk_wafv2::Client::new(&environment.aws.config);
    let switch = &environment.deployed.switch.value;
    let request = client
        .get_regex_pattern_set()
        .name(&switch.name)
        .id(&switch.id)
        .scope(aws_sdk_wafv2::types::Scope::Regional);
    let answer = environment.aws.ask(request.send())?;
    let record = answer
        .regex_pattern_set()
        .and_then(|set| set.description())
        .context("the switch has no record")?;
    ensure!(!record.starts_with("Frozen"), "{record}");
    Ok(String::new())
}

fn throttles_are_the_agreed_ones(environment: &Environment) -> Result<String> {
    let stage = environment.stage()?;
    let plan = &environment.plan().stage.throttles;
    let mut wanted: BTreeMap<_, _> = plan
        .routes
        .iter()
        .map(|(route, throttle)| (route.clone(), *throttle))
        .collect();
    wanted.insert("* /*".to_owned(), plan.stage);
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
    let routes: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
    let differ = routes
        .iter()
        .filter(|route| wanted.get(**route) != found.get(**route));
    let wrong: Vec<_> = differ
        .map(|route| {
            format!(
                "{route} has {}, not {}",
                or_none(found.get(*route)),
                or_none(wanted.get(*route))
            )
        })
        .collect();
    none(&wrong)?;
    Ok(format!(
        "{} requests/s, burst of {}; {} routes with their own",
        plan.stage.requests_per_second,
        plan.stage.burst_requests,
        plan.routes.len()
    ))
}

/// The contract's name of what API Gateway calls "~1movies~1{year}~1{title+}/GET" and "*/*".
fn route(method_path: &str) -> String {
    let (path, method) = method_path.rsplit_once('/').unwrap_or((method_path, ""));
    let path = path.replace("~1", "/").replace("+}", "}");
    format!(
        "{method} {}{path}",
        if path.starts_with('/') { "" } else { "/" }
    )
}

fn the_stage_shows_its_certificate(environment: &Environment) -> Result<String> {
    let stage = environment.stage()?;
    let wanted = environment
        .plan()
        .stage
        .client_certificate_id
        .as_deref()
        .context("the outputs name no certificate")?;
    ensure!(
        stage.client_certificate_id() == Some(wanted),
        "it is {}, not {wanted}",
        or_none(stage.client_certificate_id())
    );
    Ok(String::new())
}

fn the_alias_leads_to_the_published_version(environment: &Environment) -> Result<String> {
    let client = aws_sdk_lambda::Client::new(&environment.aws.config);
    let deployed = &environment.deployed;
    let (alias, published) = (&deployed.alias_name.value, &deployed.function_version.value);
    let live = environment.aws.ask(
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
            "{alias} is at version {main}; Terraform published {published}: make release"
        );
        return Ok(format!("version {published}"));
    }
    // A canary: on its way from the predecessor to what was published, or back.
    ensure!(
        main == published || shares.contains_key(published),
        "{alias} shifts between versions, none of which is {published}: version {main}, {}",
        shift().join(", ")
    );
    Ok(format!("version {main}, {}", shift().join(", ")))
}

fn lambda_takes_signed_packages_only(environment: &Environment) -> Result<String> {
    let client = aws_sdk_lambda::Client::new(&environment.aws.config);
    let wanted = environment
        .plan()
        .code_signing_config_arn
        .as_deref()
        .context("the outputs name no code signing config")?;
    let request = client
        .get_function_code_signing_config()
        .function_name(&environment.deployed.function_name.value);
    let answer = environment.aws.ask(request.send())?;
    let found = answer.code_signing_config_arn();
    ensure!(
        found == wanted,
        "the function's code signing config is {}, not {wanted}",
        or_none(Some(found).filter(|arn| !arn.is_empty()))
    );
    Ok(String::new())
}

fn the_version_carries_its_layers(environment: &Environment) -> Result<String> {
    let client = aws_sdk_lambda::Client::new(&environment.aws.config);
    let deployed = &environment.deployed;
    let request = client
        .get_function_configuration()
        .function_name(&deployed.function_name.value);
    let answer = environment
        .aws
        .ask(request.qualifier(&deployed.function_version.value).send())?;
    let found: Vec<_> = answer
        .layers()
        .iter()
        .filter_map(|layer| layer.arn())
        .collect();
    let wanted = &environment.plan().layer_arns;
    ensure!(!wanted.is_empty(), "the outputs name no layer");
    ensure!(
        found == *wanted,
        "version {} has {}, not {}",
        deployed.function_version.value,
        or_none(Some(found.join(", ")).filter(|arns| !arns.is_empty())),
        wanted.join(", ")
    );
    Ok(String::new())
}

fn the_table_is_encrypted(environment: &Environment) -> Result<String> {
    let table = environment.table()?;
    let encryption = table
        .sse_description()
        .context("the table is encrypted with a key of AWS's, not with its own")?;
    ensure!(
        encryption.status() == Some(&SseStatus::Enabled),
        "its encryption is {}",
        or_none(encryption.status())
    );
    let (found, wanted) = (
        encryption.kms_master_key_arn(),
        environment.plan().table.key_arn.as_str(),
    );
    ensure!(
        found == Some(wanted),
        "the table's key is {}, not {wanted}",
        or_none(found)
    );
    Ok(String::new())
}

fn the_table_can_be_recovered(environment: &Environment) -> Result<String> {
    let client = aws_sdk_dynamodb::Client::new(&environment.aws.config);
    let request = client
        .describe_continuous_backups()
        .table_name(&environment.deployed.table_name.value);
    let answer = environment.aws.ask(request.send())?;
    let recovery = answer
        .continuous_backups_description()
        .and_then(|backups| backups.point_in_time_recovery_description());
    let recovery = recovery.context("AWS describes no point-in-time recovery")?;
    let on = recovery.point_in_time_recovery_status() == Some(&PointInTimeRecoveryStatus::Enabled);
    let days = if on {
        recovery.recovery_period_in_days().unwrap_or_default()
    } else {
        0
    };
    let wanted = environment.plan().table.recovery_days;
    ensure!(days == wanted, "for {days} days, not {wanted} (0 is off)");
    Ok(if on {
        format!("the last {days} days")
    } else {
        "off, as configured".to_owned()
    })
}

fn deletion_protection_is_as_agreed(environment: &Environment) -> Result<String> {
    let found = environment.table()?.deletion_protection_enabled() == Some(true);
    let text = |on| if on { "on" } else { "off" };
    ensure!(
        found == environment.plan().table.deletion_protection,
        "it is {}, not {}",
        text(found),
        text(!found)
    );
    Ok(text(found).to_owned())
}

fn every_alarm_may_act(environment: &Environment) -> Result<String> {
    let found = environment.alarms()?;
    let mut wrong = Vec::new();
    for name in environment.deployed.alarms.value.keys() {
        match found.get(name) {
            None => wrong.push(format!("{name} is missing")),
            Some(alarm) if !alarm.may_act => {
                wrong.push(format!("the actions of {name} are disabled"))
            }
            Some(_) => {}
        }
    }
    none(&wrong)?;
    Ok(format!("{} alarms", found.len()))
}

fn every_alarm_tells_somebody(environment: &Environment) -> Result<String> {
    let found = environment.alarms()?;
    let mut wrong = Vec::new();
    for (name, plan) in &environment.deployed.alarms.value {
        let Some(alarm) = found.get(name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        let topic = environment.deployed.topics.value.get(&plan.severity);
        let told = |actions: &[String]| topic.is_some_and(|topic| actions.contains(topic));
        let tells = match plan.tells.as_str() {
            "direct" => told(&alarm.rings),
            "ok" => told(&alarm.clears),
            composite => found
                .get(composite)
                .is_some_and(|composite| composite.rule.contains(&format!("\"{name}\""))),
        };
        if !tells {
            let how = match plan.tells.as_str() {
                "direct" | "ok" => format!("does not tell the topic {}", plan.severity),
                composite => format!("does not feed {composite}"),
            };
            wrong.push(format!("{name} {how}"));
        }
    }
    none(&wrong)?;
    Ok(format!(
        "{} topics",
        environment.deployed.topics.value.len()
    ))
}

fn every_log_is_kept(environment: &Environment) -> Result<String> {
    let wanted = environment.plan().logs.retention_days;
    let found = environment.log_groups()?;
    let wrong = found.iter().filter_map(|(name, group)| {
        match group.as_ref().map(LogGroup::retention_in_days) {
            None => Some(format!("{name} is missing")),
            Some(Some(days)) if days == wanted => None,
            Some(days) => Some(format!(
                "{name} is kept for {}, not {wanted}",
                days.map_or("ever".to_owned(), |days| format!("{days} days"))
            )),
        }
    });
    none(&wrong.collect::<Vec<_>>())?;
    Ok(format!("{} logs, {wanted} days", found.len()))
}

fn every_log_is_encrypted(environment: &Environment) -> Result<String> {
    let wanted = environment.plan().logs.key_arn.as_str();
    let found = environment.log_groups()?;
    let wrong =
        found.iter().filter_map(
            |(name, group)| match group.as_ref().map(LogGroup::kms_key_id) {
                None => Some(format!("{name} is missing")),
                Some(Some(key)) if key == wanted => None,
                Some(key) => Some(format!("{name} has the key {}, not {wanted}", or_none(key))),
            },
        );
    none(&wrong.collect::<Vec<_>>())?;
    Ok(format!("{} logs", found.len()))
}

fn logs_are_masked(environment: &Environment) -> Result<String> {
    let client = aws_sdk_cloudwatchlogs::Client::new(&environment.aws.config);
    let groups = &environment.plan().logs.masked_groups;
    ensure!(!groups.is_empty(), "the outputs name no masked log group");
    let mut wrong = Vec::new();
    for name in groups {
        let answer = environment.aws.ask(
            client
                .get_data_protection_policy()
                .log_group_identifier(name)
                .send(),
        )?;
        let policy: Value = serde_json::from_str(answer.policy_document().unwrap_or("null"))?;
        let statements = policy["Statement"].as_array();
        if !statements.is_some_and(|statements| {
            statements
                .iter()
                .any(|statement| statement["Operation"]["Deidentify"].is_object())
        }) {
            wrong.push(format!("nothing is masked in {name}"));
        }
    }
    none(&wrong)?;
    Ok(format!("{} logs", groups.len()))
}

fn resources_bear_the_tags(environment: &Environment) -> Result<String> {
    let (aws, deployed) = (&environment.aws, &environment.deployed);
    let wanted = &environment.plan().tags;
    ensure!(!wanted.is_empty(), "the environment asks for no tags");
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();

    let stage = environment.stage()?;
    found.push((
        "the stage".to_owned(),
        stage.tags().cloned().into_iter().flatten().collect(),
    ));

    let waf = aws_sdk_wafv2::Client::new(&aws.config);
    let answer = aws.ask(
        waf.list_tags_for_resource()
            .resource_arn(&deployed.web_acl_arn.value)
            .send(),
    )?;
    let tags = answer
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
    let answer = aws.ask(
        functions
            .get_function()
            .function_name(&deployed.function_name.value)
            .send(),
    )?;
    found.push((
        "the function".to_owned(),
        answer.tags().cloned().into_iter().flatten().collect(),
    ));

    let tables = aws_sdk_dynamodb::Client::new(&aws.config);
    let table = environment.table()?;
    let answer = aws.ask(
        tables
            .list_tags_of_resource()
            .resource_arn(table.table_arn().unwrap_or_default())
            .send(),
    )?;
    found.push((
        "the table".to_owned(),
        answer
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
        let answer = aws.ask(
            logs.list_tags_for_resource()
                .resource_arn(arn.trim_end_matches(":*"))
                .send(),
        )?;
        found.push((
            format!("log {name}"),
            answer.tags().cloned().into_iter().flatten().collect(),
        ));
    }

    let watch = aws_sdk_cloudwatch::Client::new(&aws.config);
    for (name, alarm) in environment.alarms()? {
        let answer = aws.ask(
            watch
                .list_tags_for_resource()
                .resource_arn(alarm.arn)
                .send(),
        )?;
        let tags = answer
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
        found.push((format!("alarm {name}"), tags.collect()));
    }

    let mut wrong = Vec::new();
    for (resource, tags) in &found {
        let lacking: Vec<_> = wanted
            .iter()
            .filter(|(key, value)| tags.get(*key) != Some(*value))
            .map(|(key, _)| key.as_str())
            .collect();
        if !lacking.is_empty() {
            wrong.push(format!(
                "{resource} lacks {}, or has another",
                lacking.join(", ")
            ));
        }
    }
    none(&wrong)?;
    Ok(format!(
        "{} tags on {} resources",
        wanted.len(),
        found.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn a_method_path_is_a_route_of_the_contract() {
        assert_eq!(route("*/*"), "* /*");
        assert_eq!(route("~1movies/GET"), "GET /movies");
        assert_eq!(
            route("~1movies~1{year}~1{title+}/PUT"),
            "PUT /movies/{year}/{title}"
        );
    }
}
