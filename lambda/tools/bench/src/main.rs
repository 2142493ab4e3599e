//! What a request and a cold start cost: mvdb as it ships beside others that answer the same request, in one run on one machine.
//!
//! [`runtime_api`] plays Lambda and a canned DynamoDB behind HTTPS. Every contestant is a process of its own with Lambda's variables;
//! rounds are interleaved and rotated, so that what else the machine does falls on all alike; harness and contestants share one CPU.
//! CPU time is the contestant's own, from its process clock. `scripts/bench` builds all of it and starts this.

mod compare;
mod contestant;
mod figures;
mod gate;
mod list;
mod load;
mod machine;
mod plot;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(about = "What a request and a cold start cost (started by scripts/bench)")]
struct Arguments {
    /// The folder that holds CONTESTANT/bootstrap and CONTESTANT/bootstrap.zip
    #[arg(long)]
    folder: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure the contestants beside each other, and hold mvdb to what it must reach
    Compare(compare::Options),
    /// Compare instruction counts, CPU ratios and sizes with the committed budgets
    Gate(gate::Options),
    /// Measure a page of 100 movies
    List(list::Options),
    /// Measure the loading of a catalogue, beside boto3
    Load(load::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let held = match arguments.command {
        Command::Compare(options) => compare::run(&arguments.folder, &options).await?,
        Command::Gate(options) => gate::run(&arguments.folder, &options).await?,
        Command::List(options) => list::run(&arguments.folder, &options).await?,
        Command::Load(options) => load::run(&arguments.folder, &options).await?,
    };
    Ok(if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
