//! Checks of the AWS resources of a deployed environment. They compare what AWS reports with
//! Terraform's outputs, and change nothing.
//!
//! Each module holds the checks of one resource, the outputs that they need, and for each check a
//! break and its repair, with which `scripts/smoke-drill` shows that the check can fail.
//!
//! To add a check:
//! 1. Write a function in the module of its resource, and add it to that module's `CHECKS`.
//! 2. If it needs a value to compare with, add the value to the module's `Expected`, to the output
//!    `infrastructure` in `infra/stacks/movies/outputs.tf`, and to `DEPLOYED` in
//!    `tests/wrong_servers.rs`.
//! 3. Add a [`Break`] to the check. If the emulator does not have the resource, add a correct and a
//!    wrong response to `AWS_ONLY` in `tests/wrong_servers.rs` instead.
//!
//! A function that is in no list is dead code, which `make lint` rejects. A test compares the
//! outputs and the breaks with the checks.

pub(crate) mod alarms;
mod function;
mod logs;
mod stage;
mod table;
mod tags;
pub(crate) mod waf;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::aws::Aws;
use crate::outputs::Deployed;

pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// The part of the environment that the check needs, if an environment may lack it.
    part: Option<&'static str>,
    pub(crate) run: fn(&Environment) -> Result<String>,
    pub(crate) breaks: &'static [Break],
}

/// A change of the environment that makes exactly one check fail, and its repair.
pub(crate) struct Break {
    pub(crate) harm: fn(&Environment) -> Result<()>,
    pub(crate) repair: fn(&Environment) -> Result<()>,
}

impl Check {
    const fn new(name: &'static str, run: fn(&Environment) -> Result<String>) -> Self {
        Self {
            name,
            part: None,
            run,
            breaks: &[],
        }
    }

    const fn if_present(
        name: &'static str,
        part: &'static str,
        run: fn(&Environment) -> Result<String>,
    ) -> Self {
        Self {
            part: Some(part),
            ..Self::new(name, run)
        }
    }

    const fn breaks(self, breaks: &'static [Break]) -> Self {
        Self { breaks, ..self }
    }

    /// Returns why this environment lacks what the check needs, or `None` if the check can run.
    pub(crate) fn absent(&self, deployed: &Deployed) -> Option<String> {
        deployed
            .infrastructure
            .value
            .absent
            .get(self.part?)
            .cloned()
    }
}

/// Returns all checks in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [
        waf::CHECKS,
        stage::CHECKS,
        function::CHECKS,
        table::CHECKS,
        alarms::CHECKS,
        logs::CHECKS,
        tags::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// The output `infrastructure`: the values that AWS is compared with.
#[derive(Deserialize)]
pub(crate) struct Expected {
    stage: stage::Expected,
    table: table::Expected,
    logs: logs::Expected,
    #[serde(flatten)]
    function: function::Expected,
    tags: BTreeMap<String, String>,
    /// The parts that this environment lacks, with the reason.
    absent: BTreeMap<String, String>,
}

/// The AWS APIs and the outputs of one environment.
pub(crate) struct Environment {
    pub(crate) aws: Aws,
    pub(crate) deployed: Deployed,
}

impl Environment {
    fn expected(&self) -> &Expected {
        &self.deployed.infrastructure.value
    }
}

/// Fails with all findings at once.
fn ensure_empty(wrong: &[String]) -> Result<()> {
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// Formats an optional value for a message.
fn or_none(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}
