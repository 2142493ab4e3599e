//! Checks a deployed environment, local or AWS, through its public URL, as its callers would.
//!
//! Nothing here knows Terraform, Lambda or DynamoDB: what passes here is what a consumer gets.

mod api;
mod catalogue;
mod checks;
mod contract;
mod movie;
mod outputs;

use std::io::Write;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;

use crate::api::Api;
use crate::checks::{CHECKS, Check, Scratch};
use crate::outputs::Outputs;

/// Checks a deployed environment of the movies API through its public URL.
///
/// The checks make movies in the year 2100 whose titles begin with "smoke-" and a random number, and delete them again;
/// nothing else is touched. A run that is killed may leave some of them behind.
///
/// Exit code: 0 all passed, 1 a check failed or was not run, 2 wrong usage.
#[derive(Parser)]
#[command(after_help = "Example: terraform output -json | smoke --outputs -")]
struct Arguments {
    /// What `terraform output -json` printed for the environment; `-` reads it from the standard input
    #[arg(long, value_name = "FILE")]
    outputs: String,
    /// Only the checks that write nothing, with a token that can write nothing
    #[arg(long)]
    read_only: bool,
    /// Instead of the checks: read every movie of this JSON array through the API and compare it whole
    #[arg(long, value_name = "FILE")]
    catalogue: Option<String>,
    /// Requests at the same time (with --catalogue)
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64), requires = "catalogue")]
    concurrency: u8,
    /// Tries of each check: a fresh deployment takes a moment to reach every gateway
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    attempts: u32,
    /// Checks that would begin later than this are not run
    #[arg(long, default_value_t = 180)]
    deadline_seconds: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("smoke: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let outputs = Outputs::read(&arguments.outputs)?;
    let api = Api::connect(&outputs, arguments.read_only || arguments.catalogue.is_some())?;
    match &arguments.catalogue {
        Some(file) => catalogue::compare(&api, file, usize::from(arguments.concurrency)).map(|()| true),
        None => run_checks(&api, arguments),
    }
}

fn run_checks(api: &Api, arguments: &Arguments) -> Result<bool> {
    let start = Instant::now();
    let deadline = start + Duration::from_secs(arguments.deadline_seconds);
    let run = format!("smoke-{:016x}", fastrand::u64(..));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let width = CHECKS.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:width$}  {:7}  {:>8}  NOTE", "CHECK", "RESULT", "SECONDS")?;
    for check in CHECKS.iter().filter(|check| !(arguments.read_only && check.writes)) {
        let began = Instant::now();
        let (result, note) = if began >= deadline {
            skipped += 1;
            ("not run", "the deadline had passed; --deadline-seconds sets it".to_owned())
        } else {
            match attempt(check, api, &run, arguments.attempts, deadline) {
                (tries, Ok(())) => {
                    passed += 1;
                    ("passed", if tries > 1 { format!("at try {tries}") } else { String::new() })
                }
                (tries, Err(error)) => {
                    failed += 1;
                    let after = if tries > 1 { format!(" (each of {tries} tries)") } else { String::new() };
                    ("FAILED", format!("{error:#}{after}").replace('\n', " "))
                }
            }
        };
        let row = format!("{:width$}  {result:7}  {:8.3}  {note}", check.name, began.elapsed().as_secs_f64());
        writeln!(out, "{}", row.trim_end())?;
    }
    let seconds = start.elapsed().as_secs_f64();
    writeln!(out, "{passed} passed, {failed} failed, {skipped} not run in {seconds:.1} s")?;
    Ok(failed == 0 && skipped == 0)
}

fn attempt(check: &Check, api: &Api, run: &str, attempts: u32, deadline: Instant) -> (u32, Result<()>) {
    let mut tries = 0;
    loop {
        tries += 1;
        // Each try has its own movies, and has deleted them before the next begins.
        let result = (check.run)(&Scratch::new(api, run, tries));
        if result.is_ok() || tries == attempts || Instant::now() >= deadline {
            return (tries, result);
        }
        sleep(Duration::from_secs(1));
    }
}
