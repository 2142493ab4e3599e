//! Loads movies in bulk. Validates each entry like the API, and writes the same items, in batches
//! of 25.
//!
//! One thread reads and validates entries. The other one writes several batches at a time. No state
//! is stored between runs: the same file gives the same items, so an aborted run can be repeated.
//!
//! `sample.json`, beside this crate, holds facts about films and titles with unusual characters.
//! Its few ratings are made up to show exact decimals.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod entries;
mod load;
mod progress;
mod table;
mod validate;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::progress::Progress;
use crate::table::Table;

/// Loads movies into a table from a JSON array, NDJSON or pages of GET /movies, in UTF-8, plain or
/// gzip.
///
/// Each entry must be a movie that POST /movies accepts. Invalid entries, and movies that occur
/// earlier in the file, are reported with their position and skipped. All others are written and
/// replace items with the same year and title. The same file gives the same items, so an aborted
/// run can be repeated.
///
/// Credentials and region are those of the AWS CLI (environment, profile, single sign-on).
/// Memory: the largest entry and 16 bytes for each movie.
///
/// Exit code: 0 if all entries were written, 1 if some were not, 2 for wrong usage.
#[derive(Parser)]
struct Arguments {
    /// Name of the DynamoDB table
    #[arg(long)]
    table: String,
    /// File of movies
    file: PathBuf,
    /// Validate every entry, but write nothing and send no request to AWS
    #[arg(long)]
    dry_run: bool,
    /// Number of batches of 25 items that are written at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    concurrency: u8,
    /// Number of invalid and duplicate entries that are reported; the others are only counted
    #[arg(long, default_value_t = 20)]
    max_messages: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let path = arguments.file.display();
    let usage = |kind, message: String| -> ! { Arguments::command().error(kind, message).exit() };
    let (file, bytes) = match File::open(&arguments.file)
        .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
    {
        Ok((_, metadata)) if metadata.is_dir() => usage(
            ErrorKind::Io,
            format!("{path} is a folder. Name a file in it"),
        ),
        Ok((file, metadata)) => (file, metadata.len()),
        Err(error) => usage(ErrorKind::Io, format!("{path}: {error}")),
    };
    let table = if arguments.dry_run {
        None
    } else {
        match Table::open(arguments.table.clone()).await {
            Ok(table) => Some(table),
            Err(error) => usage(ErrorKind::MissingRequiredArgument, error.to_string()),
        }
    };
    let progress = Progress::new(bytes);
    let records = validate::records(progress.wrap(file));
    let start = Instant::now();
    let stats = load::load(&arguments, table, records, &progress).await;
    progress.finish();
    let summary = stats.summary(start.elapsed(), arguments.dry_run);
    // A closed standard output, as with `| head -1`, does not make the load fail.
    let _ = writeln!(io::stdout(), "{summary}");
    if stats.is_complete(arguments.dry_run) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
