//! Checks a deployed environment, local or in AWS: the API through its public URL, and the
//! infrastructure through AWS's APIs. With `--version`, checks one published version of the
//! function before it receives traffic.
//!
//! Expected values come from Terraform's outputs. The checks write nothing but their own movies.

mod api;
mod aws;
mod catalogue;
mod checks;
mod contract;
mod deadline;
mod direct_invoke;
mod drill;
mod infrastructure;
mod movie;
mod outputs;
mod report;
mod runner;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::api::Api;
use crate::aws::Aws;
use crate::checks::{Check, Fixture, NOTHING_IS_LEFT};
use crate::deadline::Deadline;
use crate::direct_invoke::Version;
use crate::infrastructure::Environment;
use crate::outputs::{Deployed, Outputs};
use crate::report::{CheckResult, Report, RunResult};
use crate::runner::Runner;

/// Checks a deployed environment of the movies API: its behaviour, through its public URL, and its
/// AWS resources.
///
/// The checks create movies in the year 2100 whose titles begin with "smoke-" and a random number.
/// They delete them at the end, also at the deadline and after Ctrl-C (a second Ctrl-C stops at
/// once). They change nothing else.
///
/// The checks of AWS resources need credentials that can read them; --version needs credentials
/// that can invoke the function.
///
/// Exit code: 0 if every check passed, was skipped or has a warning; 1 if a check failed or was not
/// run; 2 for wrong usage; 3 if no check failed, but AWS WAF blocked requests, so that the state of
/// the deployment is unknown.
#[derive(Parser)]
#[command(after_help = "Example: terraform output -json | smoke --outputs - --junit smoke.xml")]
struct Arguments {
    /// The output of `terraform output -json` for the environment; `-` reads standard input
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    outputs: Option<String>,
    /// Print the names of the checks that the other options select, and exit
    #[arg(long, conflicts_with = "catalogue")]
    list: bool,
    /// Run only this part of the checks
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Run only checks that write nothing, with a token that cannot write
    #[arg(long)]
    read_only: bool,
    /// Invoke this published version of the function directly, and skip checks of the gateway
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "only"
    )]
    version: Option<u32>,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Instead of the checks, read every movie of this JSON array through the API and compare it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "version", "junit"])]
    catalogue: Option<String>,
    /// Instead of the checks, break the emulated environment and repair it, one resource after the
    /// other, and expect exactly one check of the infrastructure to fail each time
    #[arg(
        long,
        conflicts_with_all = ["only", "read_only", "version", "junit", "catalogue", "attempts"]
    )]
    drill: bool,
    /// Number of parallel requests (with --catalogue)
    #[arg(
        long,
        default_value_t = 8,
        value_parser = clap::value_parser!(u8).range(1..=64),
        requires = "catalogue"
    )]
    concurrency: u8,
    /// Attempts for each check (a new deployment takes a moment to reach every gateway)
    #[arg(
        long,
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=100)
    )]
    attempts: u32,
    /// Overall time limit in seconds; after it only cleanup runs
    #[arg(long, default_value_t = 180)]
    deadline_seconds: u64,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// The API's behaviour
    Api,
    /// The AWS resources of the environment
    Infrastructure,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(RunResult::Passed) => ExitCode::SUCCESS,
        Ok(RunResult::Failed) => ExitCode::FAILURE,
        Ok(RunResult::Unknown) => ExitCode::from(3),
        Err(error) => {
            eprintln!("smoke: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<RunResult> {
    if arguments.list {
        return list(arguments).map(|()| RunResult::Passed);
    }
    let outputs = Outputs::read(arguments.outputs.as_deref().unwrap_or("-"))?;
    if let Some(file) = &arguments.catalogue {
        let api = Api::connect(&outputs, true, Arc::new(Deadline::none()))?;
        return catalogue::compare(&api, file, usize::from(arguments.concurrency))
            .map(|()| RunResult::Passed);
    }
    let deadline = Arc::new(Deadline::start(Duration::from_secs(
        arguments.deadline_seconds,
    ))?);
    if arguments.drill {
        let environment = connect_to_aws(outputs.deployed()?, &deadline)?;
        return Ok(match drill::run(&environment)? {
            true => RunResult::Passed,
            false => RunResult::Failed,
        });
    }
    let names = checks::all()
        .map(|check| check.name)
        .chain(infrastructure::all().map(|check| check.name));
    let width = names
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();
    let mut runner = Runner {
        report: Report::new(width),
        deadline: &deadline,
        attempts: arguments.attempts,
    };
    if arguments.only != Some(Part::Infrastructure) {
        check_api(&mut runner, arguments, &outputs, &deadline)?;
    }
    if arguments.only != Some(Part::Api) && arguments.version.is_none() {
        check_infrastructure(&mut runner, outputs.deployed()?, &deadline)?;
    }
    runner.report.end(arguments.junit.as_deref())
}

const CONNECTS: &str = "consumers get access tokens";
const STARTS: &str = "the version starts and responds";

/// Returns why the arguments leave out a check of the API, or `None` if they do not.
fn skip_reason(arguments: &Arguments, check: &Check) -> Option<&'static str> {
    match check {
        Check {
            needs_gateway: true,
            ..
        } if arguments.version.is_some() => Some("checks the gateway"),
        Check { writes: true, .. } if arguments.read_only => Some("writes"),
        _ => None,
    }
}

/// Prints the names of the selected checks, one on each line, in the order in which they run.
fn list(arguments: &Arguments) -> Result<()> {
    let mut names = Vec::new();
    if arguments.drill {
        let broken = infrastructure::all().filter(|check| !check.breaks.is_empty());
        names.extend(broken.map(|check| check.name));
    } else if arguments.only != Some(Part::Infrastructure) {
        names.push(match arguments.version {
            Some(_) => STARTS,
            None => CONNECTS,
        });
        let last = (!arguments.read_only).then_some(&NOTHING_IS_LEFT);
        let selected = checks::all().chain(last);
        let selected = selected.filter(|check| skip_reason(arguments, check).is_none());
        names.extend(selected.map(|check| check.name));
    }
    if arguments.only != Some(Part::Api) && arguments.version.is_none() && !arguments.drill {
        names.extend(infrastructure::all().map(|check| check.name));
    }
    writeln!(std::io::stdout().lock(), "{}", names.join("\n"))?;
    Ok(())
}

fn check_api(
    runner: &mut Runner,
    arguments: &Arguments,
    outputs: &Outputs,
    deadline: &Arc<Deadline>,
) -> Result<()> {
    let mut api = None;
    let deployed = arguments
        .version
        .map(|number| Ok::<_, anyhow::Error>((number, outputs.deployed()?)))
        .transpose()?;
    match &deployed {
        Some((number, deployed)) => {
            let function = &deployed.function_name.value;
            runner.report.part(
                "version",
                &format!("Version {number} of {function}, invoked directly"),
            )?;
            runner.check(STARTS, |_| {
                api = Some(invoked(
                    outputs,
                    deployed,
                    *number,
                    arguments.read_only,
                    deadline,
                )?);
                Ok(String::new())
            })?;
        }
        None => {
            runner
                .report
                .part("api", &format!("The API at {}", outputs.api_url()))?;
            runner.check(CONNECTS, |_| {
                api = Some(Api::connect(
                    outputs,
                    arguments.read_only,
                    Arc::clone(deadline),
                )?);
                Ok(String::new())
            })?;
        }
    }

    let run = format!("smoke-{:016x}", fastrand::u64(..));
    let mut has_written = false;
    for check in checks::all() {
        match (skip_reason(arguments, check), &api) {
            (Some(reason), _) => {
                runner.record(check.name, &CheckResult::Skipped(reason.to_owned()))?
            }
            (None, None) => runner.record(
                check.name,
                &CheckResult::NotRun("skipped: no connection, see the first check".to_owned()),
            )?,
            (None, Some(api)) => {
                has_written |= check.writes && deadline.expired().is_none();
                // Each attempt has its own movies and deletes them before the next one begins.
                runner.check(check.name, |attempt| {
                    let outcome = (check.run)(&Fixture::new(api, &run, attempt));
                    let mismatches = api.ensure_no_mismatch();
                    outcome.and(mismatches).map(|()| String::new())
                })?;
            }
        }
    }
    if let (true, Some(api)) = (has_written, &api) {
        let last = NOTHING_IS_LEFT;
        runner.check_after_deadline(last.name, |attempt| {
            (last.run)(&Fixture::new(api, &run, attempt)).map(|()| String::new())
        })?;
    }
    Ok(())
}

fn invoked(
    outputs: &Outputs,
    deployed: &Deployed,
    number: u32,
    read_only: bool,
    deadline: &Arc<Deadline>,
) -> Result<Api> {
    let aws = Aws::connect(&deployed.region.value, Arc::clone(deadline))?;
    Api::of_version(
        Version::new(aws, outputs, deployed, number)?,
        outputs,
        read_only,
        Arc::clone(deadline),
    )
}

fn connect_to_aws(deployed: Deployed, deadline: &Arc<Deadline>) -> Result<Environment> {
    let aws = Aws::connect(&deployed.region.value, Arc::clone(deadline))
        .context("the AWS SDK cannot be configured")?;
    Ok(Environment { aws, deployed })
}

fn check_infrastructure(
    runner: &mut Runner,
    deployed: Deployed,
    deadline: &Arc<Deadline>,
) -> Result<()> {
    let region = &deployed.region.value;
    runner
        .report
        .part("infrastructure", &format!("The AWS resources in {region}"))?;
    let environment = connect_to_aws(deployed, deadline)?;
    for check in infrastructure::all() {
        match check.absent(&environment.deployed) {
            Some(reason) => runner.record(check.name, &CheckResult::Skipped(reason))?,
            None => {
                runner.check(check.name, |_| (check.run)(&environment))?;
            }
        }
    }
    Ok(())
}
