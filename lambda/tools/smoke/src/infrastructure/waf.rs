//! The web ACL and the kill switch.

use anyhow::{Context, Result, ensure};
use aws_sdk_wafv2::Client;
use aws_sdk_wafv2::operation::get_regex_pattern_set::GetRegexPatternSetOutput;
use aws_sdk_wafv2::types::Scope;
use serde::Deserialize;

use crate::infrastructure::{Break, Check, Environment};

pub(super) const CHECKS: &[Check] = &[
    Check::new("the stage has its web ACL", stage_has_its_web_acl).breaks(&[Break {
        harm: disassociate_web_acl,
        repair: associate_web_acl,
    }]),
    Check::new("the kill switch is off", kill_switch_is_off).breaks(&[Break {
        harm: |environment| set_record(environment, "Frozen: writes."),
        repair: |environment| set_record(environment, "Nothing is frozen."),
    }]),
];

/// The output `switch`: the pattern set that lists what is frozen.
#[derive(Deserialize)]
pub(crate) struct KillSwitch {
    id: String,
    name: String,
}

fn stage_has_its_web_acl(environment: &Environment) -> Result<String> {
    let client = Client::new(&environment.aws.config);
    let response = environment.aws.call(
        client
            .get_web_acl_for_resource()
            .resource_arn(&environment.expected().stage.arn)
            .send(),
    )?;
    let found = response
        .web_acl()
        .context("no web ACL is associated with the stage")?;
    let (found, expected) = (found.arn(), environment.deployed.web_acl_arn.value.as_str());
    ensure!(
        found == expected,
        "the stage's web ACL is {found}, not {expected}"
    );
    Ok(String::new())
}

/// While writes or a client are frozen, the record of the kill switch begins with "Frozen"
/// (`scripts/switch.py`).
fn kill_switch_is_off(environment: &Environment) -> Result<String> {
    let response = pattern_set(environment)?;
    let record = response
        .regex_pattern_set()
        .and_then(|set| set.description())
        .context("the kill switch has no record")?;
    ensure!(!record.starts_with("Frozen"), "{record}");
    Ok(String::new())
}

fn pattern_set(environment: &Environment) -> Result<GetRegexPatternSetOutput> {
    let switch = &environment.deployed.switch.value;
    let request = Client::new(&environment.aws.config)
        .get_regex_pattern_set()
        .name(&switch.name)
        .id(&switch.id)
        .scope(Scope::Regional);
    environment.aws.call(request.send())
}

/// Changes the record, but not the patterns.
fn set_record(environment: &Environment, record: &str) -> Result<()> {
    let (switch, found) = (
        &environment.deployed.switch.value,
        pattern_set(environment)?,
    );
    let patterns = found
        .regex_pattern_set
        .and_then(|set| set.regular_expression_list);
    let request = Client::new(&environment.aws.config)
        .update_regex_pattern_set()
        .name(&switch.name)
        .id(&switch.id)
        .scope(Scope::Regional)
        .set_lock_token(found.lock_token)
        .set_regular_expression_list(Some(patterns.unwrap_or_default()))
        .description(record);
    environment.aws.call(request.send()).map(drop)
}

fn disassociate_web_acl(environment: &Environment) -> Result<()> {
    let request = Client::new(&environment.aws.config)
        .disassociate_web_acl()
        .resource_arn(&environment.expected().stage.arn);
    environment.aws.call(request.send()).map(drop)
}

fn associate_web_acl(environment: &Environment) -> Result<()> {
    let request = Client::new(&environment.aws.config)
        .associate_web_acl()
        .resource_arn(&environment.expected().stage.arn)
        .web_acl_arn(&environment.deployed.web_acl_arn.value);
    environment.aws.call(request.send()).map(drop)
}
