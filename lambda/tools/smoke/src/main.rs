//! Checks a deployed environment, local or AWS: the API through its public URL, as its callers would, and the
//! infrastructure as AWS tells of it. Or one published version of the function, before it gets traffic.
//!
//! What is compared with comes from Terraform's outputs. Nothing but the checks' own movies is written.

mod api;
mod aws;
mod catalogue;
mod checks;
mod contract;
mod infrastructure;
mod movie;
mod outputs;
mod report;
mod runner;
mod version;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::api::Api;
use crate::aws::Aws;
use crate::checks::{CHECKS, Check, NOTHING_IS_LEFT, Scratch};
use crate::infrastructure::Environment;
use crate::outputs::{Deployed, Outputs};
use crate::report::{Outcome, Report, Seen};
use crate::runner::Runner;
use crate::version::Version;
use crate::watch::Watch;

/// Checks a deployed environment of the movies API: its behaviour, through its public URL, and its AWS resources.
///
/// The checks create movies in the year 2100 whose titles begin with "smoke-" and a random number, and delete them at the
/// end, also at the deadline and after Ctrl-C (a second Ctrl-C stops at once). They change nothing else.
///
/// The checks of AWS resources need credentials that can read them; --version needs credentials that can invoke the function.
///
/// Exit code: 0 if every check passed, was skipped or has a warning, 1 if one failed or was not run, 2 for wrong usage,
/// 3 if none failed, but AWS WAF blocked requests: nothing can be said about what is deployed.
#[derive(Parser)]
#[command(after_help = "Example: terraform output -json | smoke --outputs - --junit smoke.xml")]
struct Arguments {
    /// The output of `terraform output -json` for the environment; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    outputs: String,
    /// Run only this part of the checks
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Run only checks that write nothing, with a token that cannot write
    #[arg(long)]
    read_only: bool,
    /// Invoke this published version of the function directly, and skip checks of the gateway
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "only")]
    version: Option<u32>,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Instead of the checks, read every movie of this JSON array through the API and compare it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "version", "junit"])]
    catalogue: Option<String>,
    /// Number of parallel requests (with --catalogue)
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64), requires = "catalogue")]
    concurrency: u8,
    /// Attempts for each check: a new deployment takes a moment to reach every gateway
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
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
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Ok(Outcome::Unknown) => ExitCode::from(3),
        Err(error) => {
            eprintln!("smoke: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Outcome> {
    let outputs = Outputs::read(&arguments.outputs)?;
    if let Some(file) = &arguments.catalogue {
        let api = Api::connect(&outputs, true, Arc::new(Watch::never()))?;
        return catalogue::compare(&api, file, usize::from(arguments.concurrency))
            .map(|()| Outcome::Passed);
    }
    let watch = Arc::new(Watch::start(Duration::from_secs(
        arguments.deadline_seconds,
    ))?);
    let names = CHECKS
        .iter()
        .map(|check| check.name)
        .chain(infrastructure::CHECKS.iter().map(|check| check.name));
    let width = names
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();
    let mut runner = Runner {
        report: Report::new(width),
        watch: &watch,
        attempts: arguments.attempts,
    };
    if arguments.only != Some(Part::Infrastructure) {
        check_api(&mut runner, arguments, &outputs, &watch)?;
    }
    if arguments.only != Some(Part::Api) && arguments.version.is_none() {
        check_infrastructure(&mut runner, outputs.deployed()?, &watch)?;
    }
    runner.report.end(arguments.junit.as_deref())
}

fn check_api(
    runner: &mut Runner,
    arguments: &Arguments,
    outputs: &Outputs,
    watch: &Arc<Watch>,
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
            runner.check("the version starts and responds", |_| {
                api = Some(invoked(
                    outputs,
                    deployed,
                    *number,
                    arguments.read_only,
                    watch,
                )?);
                Ok(String::new())
            })?;
        }
        None => {
            runner
                .report
                .part("api", &format!("The API at {}", outputs.api_url()))?;
            runner.check("consumers get access tokens", |_| {
                api = Some(Api::connect(
                    outputs,
                    arguments.read_only,
                    Arc::clone(watch),
                )?);
                Ok(String::new())
            })?;
        }
    }

    let run = format!("smoke-{:016x}", fastrand::u64(..));
    let left_out = |check: &Check| match check {
        Check {
            of_gateway: true, ..
        } if arguments.version.is_some() => Some("checks the gateway"),
        Check { writes: true, .. } if arguments.read_only => Some("writes"),
        _ => None,
    };
    let mut wrote = false;
    for check in CHECKS {
        match (left_out(check), &api) {
            (Some(reason), _) => runner.without(check.name, &Seen::Skipped(reason.to_owned()))?,
            (None, None) => runner.without(
                check.name,
                &Seen::NotRun("no connection: see the first check".to_owned()),
            )?,
            (None, Some(api)) => {
                wrote |= check.writes && watch.over().is_none();
                // Each try has its own movies, and has deleted them before the next begins.
                runner.check(check.name, |attempt| {
                    let outcome = (check.run)(&Scratch::new(api, &run, attempt));
                    let wording = api.ensure_wording();
                    outcome.and(wording).map(|()| String::new())
                })?;
            }
        }
    }
    if let (true, Some(api)) = (wrote, &api) {
        let last = NOTHING_IS_LEFT;
        runner.check_even_late(last.name, |attempt| {
            (last.run)(&Scratch::new(api, &run, attempt)).map(|()| String::new())
        })?;
    }
    Ok(())
}

fn invoked(
    outputs: &Outputs,
    deployed: &Deployed,
    number: u32,
    read_only: bool,
    watch: &Arc<Watch>,
) -> Result<Api> {
    let aws = Aws::connect(&deployed.region.value, Arc::clone(watch))?;
    Api::of_version(
        Version::new(aws, outputs, deployed, number)?,
        outputs,
        read_only,
        Arc::clone(watch),
    )
}

fn check_infrastructure(runner: &mut Runner, deployed: Deployed, watch: &Arc<Watch>) -> Result<()> {
    let region = &deployed.region.value;
    runner
        .report
        .part("infrastructure", &format!("The AWS resources in {region}"))?;
    let aws =
        Aws::connect(region, Arc::clone(watch)).context("the AWS SDK cannot be configured")?;
    let environment = Environment { aws, deployed };
    for check in infrastructure::CHECKS {
        match check.absent(&environment.deployed) {
            Some(reason) => runner.without(check.name, &Seen::Skipped(reason))?,
            None => {
                runner.check(check.name, |_| (check.run)(&environment))?;
            }
        }
    }
    Ok(())
}
