//! Loads movies in bulk: what the API would take is written as the API would write it, 25 at a time.
//!
//! One thread reads and judges entries, the other keeps several batches on their way. Nothing is remembered between
//! runs: the same file gives the same items, so a run that was cut is simply run again.
//!
//! `sample.json`, beside this crate, is the project's own: facts of films, and every awkward shape a title can take. Its
//! few ratings are numbers of ours that show exact decimals; they judge no film.

mod entries;
mod table;

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use indicatif::{ProgressBar, ProgressStyle};
use movies::domain::{Movie, MovieId};
use movies::http::{MAX_BODY_BYTES, body::read_movie};
use movies::store::item::to_item;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::entries::Place;
use crate::table::{BATCH_ITEMS, Table};

const PLAIN_PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Loads movies into a table: a JSON array or NDJSON, plain or gzip.
///
/// Each entry has to be a movie as POST /movies takes it. Entries that are not, and movies that the file has already
/// held, are reported with their place and left out; the others are written, replacing what the table held under their
/// year and title. The same file gives the same items, so a run that was cut can be run again.
///
/// Credentials and region are those of the AWS CLI (environment, profile, single sign-on); without a region, eu-west-1.
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
}

/// What the reading thread found.
enum Found {
    Movie(Place, Box<Movie>),
    Invalid(Place, String),
    Broken(String),
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
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (file, bytes) = match File::open(&arguments.file).and_then(|file| file.metadata().map(|metadata| (file, metadata.len()))) {
        Ok(opened) => opened,
        Err(error) => Arguments::command().error(ErrorKind::Io, format!("{}: {error}", arguments.file.display())).exit(),
    };
    let progress = Progress::new(bytes);
    let found = judge(progress.bar.wrap_read(file));
    let start = Instant::now();
    let tally = load(&arguments, found, &progress).await;
    progress.bar.finish_and_clear();
    println!("{}", tally.summary(start.elapsed(), arguments.dry_run));
    let whole = !tally.cut && tally.invalid == 0 && tally.duplicates == 0 && (arguments.dry_run || tally.written == tally.valid);
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reads and judges entries on a thread of its own, a few batches ahead of the writing.
fn judge(file: impl Read + Send + 'static) -> mpsc::Receiver<Found> {
    let (sender, receiver) = mpsc::channel(8 * BATCH_ITEMS);
    std::thread::spawn(move || {
        let end = entries::read(file, |place, text| {
            let found = match movie(text) {
                Ok(movie) => Found::Movie(place, Box::new(movie)),
                Err(reasons) => Found::Invalid(place, reasons),
            };
            // Fails when the writing has given up.
            sender.blocking_send(found).is_ok()
        });
        if let Err(error) = end {
            let _ = sender.blocking_send(Found::Broken(error.to_string()));
        }
    });
    receiver
}

/// The API's own judgement of a body, every reason named.
fn movie(text: &[u8]) -> Result<Movie, String> {
    if text.len() > MAX_BODY_BYTES {
        return Err(format!("is longer than {MAX_BODY_BYTES} bytes"));
    }
    let text = str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
    read_movie(text)
        .map_err(|errors| errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect::<Vec<_>>().join("; "))
}

async fn load(arguments: &Arguments, mut found: mpsc::Receiver<Found>, progress: &Progress) -> Tally {
    let mut tally = Tally::default();
    let mut seen = HashSet::new();
    let mut batch = Vec::with_capacity(BATCH_ITEMS);
    let table = if arguments.dry_run { None } else { Some(Table::open(arguments.table.clone()).await) };
    let mut batches = JoinSet::new();

    while let Some(found) = found.recv().await {
        match found {
            Found::Movie(place, movie) if !seen.insert(fingerprint(movie.id())) => {
                tally.duplicates += 1;
                let id = movie.id();
                progress.tell(&format!(
                    "duplicate: {place}: {} {:?} is in the file already; the first is kept",
                    id.year.get(),
                    id.title.as_str()
                ));
            }
            Found::Movie(place, movie) => match to_item(&movie) {
                Ok(item) => {
                    tally.valid += 1;
                    batch.push(item);
                }
                Err(error) => tally.refuse(progress, place, &error.to_string()),
            },
            Found::Invalid(place, reasons) => tally.refuse(progress, place, &reasons),
            Found::Broken(reason) => {
                tally.cut = true;
                progress.tell(&format!("broken: {reason}; nothing behind this was read"));
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
    fn refuse(&mut self, progress: &Progress, place: Place, reasons: &str) {
        self.invalid += 1;
        progress.tell(&format!("invalid: {place}: {reasons}"));
    }

    fn count(&mut self, done: Option<Result<(u64, Result<f64>), tokio::task::JoinError>>, progress: &Progress) {
        let outcome = match done {
            None => return,
            Some(Ok((items, Ok(units)))) => Ok((items, units)),
            Some(Ok((_, Err(error)))) => Err(error.to_string()),
            Some(Err(error)) => Err(error.to_string()),
        };
        match outcome {
            Ok((items, units)) => {
                self.written += items;
                self.units += units;
            }
            Err(error) => {
                self.cut = true;
                progress.tell(&format!("not written: {error}\nwhat was written stays; run it again when this is mended"));
            }
        }
    }

    fn summary(&self, time: Duration, dry_run: bool) -> String {
        let Self { valid, written, invalid, duplicates, units, .. } = self;
        let seconds = time.as_secs_f64();
        if dry_run {
            return format!("{valid} valid, {invalid} invalid, {duplicates} duplicate in {seconds:.1} s; nothing was written");
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
        Self { bar, plain: !std::io::stderr().is_terminal(), told: std::cell::Cell::new(Instant::now()) }
    }

    fn show(&self, tally: &Tally) {
        if !self.plain {
            self.bar.set_message(format!("{} read, {} written", tally.valid, tally.written));
        } else if self.told.get().elapsed() > PLAIN_PROGRESS_EVERY {
            self.told.set(Instant::now());
            eprintln!("{} read, {} written", tally.valid, tally.written);
        }
    }

    fn tell(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
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
        assert!(movie(b"{\"title\": \"\xff\"}").unwrap_err().contains("UTF-8"));
        assert!(movie(&vec![b' '; MAX_BODY_BYTES + 1]).unwrap_err().contains("65536"));
    }

    #[test]
    fn every_film_of_the_sample_is_valid() {
        let mut films = 0;
        entries::read(include_bytes!("../sample.json").as_slice(), |place, text| {
            films += 1;
            movie(text).map_err(|reasons| format!("{place}: {reasons}")).unwrap();
            true
        })
        .unwrap();
        assert!(films >= 100, "{films}");
    }

    #[test]
    fn fingerprints_tell_year_and_title_apart() {
        let id = |text: &str| movie(text.as_bytes()).unwrap().id().clone();
        let prints: HashSet<_> = [r#"{"year":2013,"title":"Rush"}"#, r#"{"year":2012,"title":"Rush"}"#, r#"{"year":2013,"title":"rush"}"#]
            .map(|text| fingerprint(&id(text)))
            .into();
        assert_eq!(prints.len(), 3);
    }
}
