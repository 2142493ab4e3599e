//! The table.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    PointInTimeRecoverySpecification, PointInTimeRecoveryStatus, SseSpecification, SseStatus,
    SseType, TableDescription,
};
use serde::Deserialize;

use crate::infrastructure::{Break, Check, Environment, or_none};

pub(super) const CHECKS: &[Check] = &[
    Check::new(
        "the table is encrypted with its own key",
        table_is_encrypted,
    )
    .breaks(&[Break {
        harm: |environment| set_key(environment, &environment.expected().logs.key_arn),
        repair: |environment| set_key(environment, &environment.expected().table.key_arn),
    }]),
    Check::new(
        "point-in-time recovery is configured",
        point_in_time_recovery_is_configured,
    )
    .breaks(&[
        Break {
            harm: |environment| set_recovery(environment, 0),
            repair: restore_recovery,
        },
        Break {
            harm: |environment| set_recovery(environment, 1),
            repair: restore_recovery,
        },
    ]),
    Check::new(
        "deletion protection is configured",
        deletion_protection_is_configured,
    )
    .breaks(&[Break {
        harm: |environment| {
            set_protection(
                environment,
                !environment.expected().table.deletion_protection,
            )
        },
        repair: |environment| {
            set_protection(
                environment,
                environment.expected().table.deletion_protection,
            )
        },
    }]),
];

/// The member `table` of the output `infrastructure`.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(super) key_arn: String,
    deletion_protection: bool,
    /// 0 means off.
    recovery_days: i32,
}

impl Environment {
    pub(super) fn table(&self) -> Result<TableDescription> {
        let client = Client::new(&self.aws.config);
        let response = self.aws.call(
            client
                .describe_table()
                .table_name(&self.deployed.table_name.value)
                .send(),
        )?;
        response.table.context("AWS describes no table")
    }
}

fn table_is_encrypted(environment: &Environment) -> Result<String> {
    let table = environment.table()?;
    let encryption = table
        .sse_description()
        .context("the table is encrypted with an AWS owned key, not with its own")?;
    ensure!(
        encryption.status() == Some(&SseStatus::Enabled),
        "the table's encryption is {}",
        or_none(encryption.status())
    );
    let (found, expected) = (
        encryption.kms_master_key_arn(),
        environment.expected().table.key_arn.as_str(),
    );
    ensure!(
        found == Some(expected),
        "the table's key is {}, not {expected}",
        or_none(found)
    );
    Ok(String::new())
}

fn point_in_time_recovery_is_configured(environment: &Environment) -> Result<String> {
    let client = Client::new(&environment.aws.config);
    let request = client
        .describe_continuous_backups()
        .table_name(&environment.deployed.table_name.value);
    let response = environment.aws.call(request.send())?;
    let recovery = response
        .continuous_backups_description()
        .and_then(|backups| backups.point_in_time_recovery_description());
    let recovery = recovery.context("AWS describes no point-in-time recovery")?;
    let on = recovery.point_in_time_recovery_status() == Some(&PointInTimeRecoveryStatus::Enabled);
    let days = if on {
        recovery.recovery_period_in_days().unwrap_or_default()
    } else {
        0
    };
    let expected = environment.expected().table.recovery_days;
    ensure!(
        days == expected,
        "recovery covers {days} days, not {expected} (0 means off)"
    );
    Ok(if on {
        format!("the last {days} days")
    } else {
        "off, as configured".to_owned()
    })
}

fn deletion_protection_is_configured(environment: &Environment) -> Result<String> {
    let found = environment.table()?.deletion_protection_enabled() == Some(true);
    let text = |on| if on { "on" } else { "off" };
    ensure!(
        found == environment.expected().table.deletion_protection,
        "deletion protection is {}, not {}",
        text(found),
        text(!found)
    );
    Ok(text(found).to_owned())
}

fn set_key(environment: &Environment, key_arn: &str) -> Result<()> {
    let encryption = SseSpecification::builder()
        .enabled(true)
        .sse_type(SseType::Kms)
        .kms_master_key_id(key_arn);
    let request = Client::new(&environment.aws.config)
        .update_table()
        .table_name(&environment.deployed.table_name.value)
        .sse_specification(encryption.build());
    environment.aws.call(request.send()).map(drop)
}

/// Sets the recovery period in days. 0 turns recovery off.
fn set_recovery(environment: &Environment, days: i32) -> Result<()> {
    let recovery = PointInTimeRecoverySpecification::builder()
        .point_in_time_recovery_enabled(days > 0)
        .set_recovery_period_in_days((days > 0).then_some(days))
        .build()?;
    let request = Client::new(&environment.aws.config)
        .update_continuous_backups()
        .table_name(&environment.deployed.table_name.value)
        .point_in_time_recovery_specification(recovery);
    environment.aws.call(request.send()).map(drop)
}

fn restore_recovery(environment: &Environment) -> Result<()> {
    set_recovery(environment, environment.expected().table.recovery_days)
}

fn set_protection(environment: &Environment, on: bool) -> Result<()> {
    let request = Client::new(&environment.aws.config)
        .update_table()
        .table_name(&environment.deployed.table_name.value)
        .deletion_protection_enabled(on);
    environment.aws.call(request.send()).map(drop)
}
