//! Loads movies in bulk: what the API would take is written as the API would write it, 25 at a time.
//!
//! One thread reads and judges entries, the other keeps several batches on their way. Nothing is remembered between
//! runs: the same file gives the same items, so a run that was cut is simply run again.
//!
//! `sample.json`, beside this crate, is the project's own: facts of films, and every awkward shape a title can take. Its
//! few ratings are numbers of ours that show exact decimals; they judge no film.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod entries;
mod table;

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use indicatif::{ProgressBar, ProgressStyle};
use movies::domain::{Movie, MovieId};
use movies::json::{FieldError, MAX_BODY_BYTES, read_movie};
use movies::store::item::to_item;
use serde::de::IgnoredAny;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::entries::{Failure, Place};
use crate::table::{BATCH_ITEMS, Table};

const PLAIN_PROGRESS_EVERY: Duration = Duration::from_secs(5);

const EXPECTED: &str = "Expected: a JSON array of movies, one movie per line (NDJSON) or pages of GET /movies; UTF-8, plain or gzip.";
const CONTINUED: &str = "note: the last page in the file has a `next`: the list goes on in pages that are not in the file";

/// Loads movies into a table: a JSON array, NDJSON or pages of GET /movies, in UTF-8, plain or
/// gzip.
///
/// Each entry has to be a movie as POST /movies takes it. Entries that are not, and movies that the file has already
/// held, are reported with their place and left out; the others are written, replacing what the table held under their
/// year and title. The same file gives the same items, so a run that was cut can be run again.
///
/// Credentials and region are those of the AWS CLI (environment, profile, single sign-on).
/// Memory: the largest entry and 16 bytes for each movie.
///
/// Exit code: 0 all entries were written, 1 some were not, 2 wrong usage.
#[derive(Parser)]
struct Arguments {
    /// The table's name
    #[arg(long)]
    table: String,
    /// The movies
    file: PathBuf,
    /// Judge every entry, write nothing, ask AWS nothing
    #[arg(long)]
    dry_run: bool,
    /// Batches of 25 on their way at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    concurrency: u8,
    /// Invalid and duplicate entries to report; the others are only counted
    #[arg(long, default_value_t = 20)]
    max_messages: u64,
}

/// What the reading thread found.
enum Found {
    Movie(Place, Box<Movie>),
    Invalid(Place, String),
    /// The file is a page of the API's list, and not the last one.
    Continued,
    Failed(Failure),
}

/// The entries of a file, read by a thread.
struct Entries {
    found: mpsc::Receiver<Found>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Tally {
    valid: u64,
    written: u64,
    invalid: u64,
    duplicates: u64,
    units: f64,
    /// The file or the table could not be worked on to the end.
    cut: bool,
    /// Entries that were invalid or duplicates and are not reported one by one.
    unreported: u64,
    /// Why batches were not written.
    failures: HashSet<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let path = arguments.file.display();
    let (file, bytes) = match File::open(&arguments.file)
        .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
    {
        Ok((_, metadata)) if metadata.is_dir() => Arguments::command()
            .error(
                ErrorKind::Io,
                format!("{path} is a folder; name a file in it"),
            )
            .exit(),
        Ok((file, metadata)) => (file, metadata.len()),
        Err(error) => Arguments::command()
            .error(ErrorKind::Io, format!("{path}: {error}"))
            .exit(),
    };
    let table = match Table::open(arguments.table.clone()).await {
        _ if arguments.dry_run => None,
        Ok(table) => Some(table),
        Err(error) => Arguments::command()
            .error(ErrorKind::MissingRequiredArgument, error)
            .exit(),
    };
    let progress = Progress::new(bytes);
    let entries = judge(progress.bar.wrap_read(file));
    let start = Instant::now();
    let tally = load(&arguments, table, entries, &progress).await;
    progress.bar.finish_and_clear();
    // The reader of a pipe may have ended. The load has succeeded all the same.
    let _ = writeln!(
        io::stdout(),
        "{}",
        tally.summary(start.elapsed(), arguments.dry_run)
    );
    let whole = !tally.cut
        && tally.invalid == 0
        && tally.duplicates == 0
        && (arguments.dry_run || tally.written == tally.valid);
    if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Reads and judges entries on a thread of its own, a few batches ahead of the writing.
fn judge(file: impl Read + Send + 'static) -> Entries {
    let (sender, found) = mpsc::channel(8 * BATCH_ITEMS);
    let reader = std::thread::spawn(move || {
        let end = entries::read(file, |place, text| {
            let found = match movie(text) {
                Ok(movie) => Found::Movie(place, Box::new(movie)),
                Err(reasons) => Found::Invalid(place, reasons),
            };
            // Fails when the writing side has given up.
            sender.blocking_send(found).is_ok()
        });
        let last = match end {
            Ok(false) => return,
            Ok(true) => Found::Continued,
            Err(failure) => Found::Failed(failure),
        };
        let _ = sender.blocking_send(last);
    });
    Entries { found, reader }
}

/// The API's own judgement of an entry, every reason named.
fn movie(text: &[u8]) -> Result<Movie, String> {
    if text.len() > MAX_BODY_BYTES {
        return Err(format!("is longer than {MAX_BODY_BYTES} bytes"));
    }
    let text = str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
    read_movie(text).map_err(|errors| {
        if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
            let (line, column) = (error.line(), error.column());
            let message = error.to_string();
            let message = message.trim_end_matches(&format!(" at line {line} column {column}"));
            return format!("is not JSON: {message} at column {column}");
        }
        let reason = |error: &FieldError| match error.field.as_str() {
            // An entry is the body of no request.
            "body" => error.message.to_string(),
            field => format!("{field} {}", error.message),
        };
        errors.iter().map(reason).collect::<Vec<_>>().join("; ")
    })
}

async fn load(
    arguments: &Arguments,
    table: Option<Table>,
    mut entries: Entries,
    progress: &Progress,
) -> Tally {
    let mut tally = Tally::default();
    let complain = |tally: &mut Tally, line: String| {
        if tally.invalid + tally.duplicates <= arguments.max_messages {
            progress.print(&line);
        } else {
            tally.unreported += 1;
        }
    };
    let mut seen = HashSet::new();
    let mut batch = Vec::with_capacity(BATCH_ITEMS);
    let mut batches = JoinSet::new();

    while let Some(found) = entries.found.recv().await {
        match found {
            Found::Movie(place, movie) if !seen.insert(fingerprint(movie.id())) => {
                tally.duplicates += 1;
                let (year, title) = (movie.id().year.get(), movie.id().title.as_str());
                complain(
                    &mut tally,
                    format!(
                        "duplicate: {place}: {year} {title:?} is in the file already; the first is kept"
                    ),
                );
            }
            Found::Movie(place, movie) => match to_item(&movie) {
                Ok(item) => {
                    tally.valid += 1;
                    batch.push(item);
                }
                Err(error) => {
                    tally.invalid += 1;
                    complain(&mut tally, format!("invalid: {place}: {error}"));
                }
            },
            Found::Invalid(place, reasons) => {
                tally.invalid += 1;
                complain(&mut tally, format!("invalid: {place}: {reasons}"));
            }
            Found::Continued => progress.print(CONTINUED),
            Found::Failed(Failure::Format(reason)) => {
                tally.cut = true;
                progress.print(&format!(
                    "error: {} {reason}\n{EXPECTED}",
                    arguments.file.display()
                ));
            }
            Found::Failed(Failure::Broken(reason)) => {
                tally.cut = true;
                progress.print(&format!(
                    "broken: {reason}; the rest of the file was not read"
                ));
            }
        }
        if batch.len() == BATCH_ITEMS {
            if batches.len() == usize::from(arguments.concurrency) {
                tally.count(batches.join_next().await, progress);
            }
            if tally.cut {
                batch.clear();
                break;
            }
            send(&table, &mut batches, &mut batch);
        }
        progress.show(&tally);
    }
    send(&table, &mut batches, &mut batch);
    while let Some(done) = batches.join_next().await {
        tally.count(Some(done), progress);
    }
    if !tally.failures.is_empty() {
        progress.print("What was written stays. Run the same command again when this is fixed.");
    }
    if tally.unreported > 0 {
        progress.print(&format!(
            "{} more invalid or duplicate entries; --max-messages N reports more",
            tally.unreported
        ));
    }
    // The channel closes when the thread has read everything, and also when it panics.
    if entries.found.is_closed() && entries.reader.join().is_err() {
        tally.cut = true;
        progress.print("broken: the file could not be read to its end because of an error in the loader; see the message above");
    }
    tally
}

type Batches = JoinSet<(u64, Result<f64>)>;

fn send(table: &Option<Table>, batches: &mut Batches, batch: &mut Vec<movies::store::item::Item>) {
    let items = std::mem::take(batch);
    if let (Some(table), false) = (table.clone(), items.is_empty()) {
        batches.spawn(async move { (items.len() as u64, table.put(items).await) });
    }
}

/// 128 bits of a movie's key: enough that two never meet by accident, in a fraction of the key's size.
fn fingerprint(id: &MovieId) -> (u64, u64) {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, id).hash(&mut hasher);
        hasher.finish()
    };
    (half(0), half(1))
}

impl Tally {
    fn count(
        &mut self,
        done: Option<Result<(u64, Result<f64>), tokio::task::JoinError>>,
        progress: &Progress,
    ) {
        let outcome = match done {
            None => return,
            Some(Ok((items, Ok(units)))) => Ok((items, units)),
            Some(Ok((_, Err(error)))) => Err(format!("{error:#}")),
            Some(Err(error)) => Err(error.to_string()),
        };
        match outcome {
            Ok((items, units)) => {
                self.written += items;
                self.units += units;
            }
            Err(error) => {
                self.cut = true;
                // Batches in flight usually fail for the same reason.
                if self.failures.insert(error.clone()) {
                    progress.print(&format!("not written: {error}"));
                }
            }
        }
    }

    fn summary(&self, time: Duration, dry_run: bool) -> String {
        let Self {
            valid,
            written,
            invalid,
            duplicates,
            units,
            ..
        } = self;
        let seconds = time.as_secs_f64();
        if dry_run {
            return format!(
                "{valid} valid, {invalid} invalid, {duplicates} duplicate in {seconds:.1} s; nothing was written"
            );
        }
        let rate = *written as f64 / seconds;
        format!(
            "{written} written, {invalid} invalid, {duplicates} duplicate in {seconds:.1} s ({rate:.0} items/s, {units} write capacity units)"
        )
    }
}

/// A bar on a terminal, a line now and then elsewhere; both on the standard error.
struct Progress {
    bar: ProgressBar,
    plain: bool,
    told: std::cell::Cell<Instant>,
}

impl Progress {
    fn new(bytes: u64) -> Self {
        let bar = ProgressBar::new(bytes);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {msg} {eta}") {
            bar.set_style(style);
        }
        Self {
            bar,
            plain: !std::io::stderr().is_terminal(),
            told: std::cell::Cell::new(Instant::now()),
        }
    }

    fn show(&self, tally: &Tally) {
        if !self.plain {
            self.bar
                .set_message(format!("{} read, {} written", tally.valid, tally.written));
        } else if self.told.get().elapsed() > PLAIN_PROGRESS_EVERY {
            self.told.set(Instant::now());
            self.print(&format!("{} read, {} written", tally.valid, tally.written));
        }
    }

    /// Prints a line. One that cannot be printed, because the reader of a pipe has ended, must not
    /// end the loading.
    fn print(&self, line: &str) {
        self.bar.suspend(|| _ = writeln!(io::stderr(), "{line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movie_is_refused_with_every_reason() {
        let reasons = movie(br#"{"year": 1, "title": "", "info": {"rating": 11}}"#).unwrap_err();
        for field in ["year ", "title ", "info.rating "] {
            assert!(reasons.contains(field), "{field} in {reasons}");
        }
        assert_eq!(
            movie(b"{\"year\": 1931, \"title\" \"M\"}").unwrap_err(),
            "is not JSON: expected `:` at column 24"
        );
        assert_eq!(
            movie(b"[1931, \"M\"]").unwrap_err(),
            "must be a JSON object"
        );
        assert!(
            movie(b"{\"title\": \"\xff\"}")
                .unwrap_err()
                .contains("UTF-8")
        );
        assert!(
            movie(&vec![b' '; MAX_BODY_BYTES + 1])
                .unwrap_err()
                .contains("65536")
        );
    }

    #[test]
    fn every_film_of_the_sample_is_valid() {
        let mut films = 0;
        entries::read(
            include_bytes!("../sample.json").as_slice(),
            |place, text| {
                films += 1;
                movie(text)
                    .map_err(|reasons| format!("{place}: {reasons}"))
                    .unwrap();
                true
            },
        )
        .unwrap();
        assert!(films >= 100, "{films}");
    }

    /// A file whose reader panics once it has returned a movie.
    struct Panics(bool);

    impl Read for Panics {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(
                !std::mem::replace(&mut self.0, true),
                "a defect of the reader"
            );
            (&br#"[{"year":1931,"title":"M"},"#[..]).read(buffer)
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_reading_thread_is_a_failed_run() {
        let arguments = Arguments::parse_from(["loader", "--dry-run", "--table", "t", "f"]);
        let tally = load(&arguments, None, judge(Panics(false)), &Progress::new(0)).await;
        assert!(tally.cut, "the run would exit with 0");
    }

    #[test]
    fn fingerprints_tell_year_and_title_apart() {
        let id = |text: &str| movie(text.as_bytes()).unwrap().id().clone();
        let prints: HashSet<_> = [
            r#"{"year":2013,"title":"Rush"}"#,
            r#"{"year":2012,"title":"Rush"}"#,
            r#"{"year":2013,"title":"rush"}"#,
        ]
        .map(|text| fingerprint(&id(text)))
        .into();
        assert_eq!(prints.len(), 3);
    }
}
