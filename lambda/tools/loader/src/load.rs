//! Writes the valid movies of a file in batches, and counts the others.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use movies::domain::MovieId;
use movies::store::item::{Item, to_item};
use tokio::task::{JoinError, JoinSet};

use crate::Arguments;
use crate::entries::ReadError;
use crate::progress::Progress;
use crate::table::{BATCH_ITEMS, Table, WriteError};
use crate::validate::{Record, Records};

const EXPECTED: &str = "Expected: a JSON array of movies, one movie per line (NDJSON) or pages of \
                        GET /movies; UTF-8, plain or gzip.";
const CONTINUED: &str = "note: the last page in the file has a `next`: the list continues in pages \
                         that are not in the file";
const PANICKED: &str = "broken: the file could not be read to its end because of an error in the \
                        loader; see the message above";

/// The counts of a run.
#[derive(Default)]
pub(crate) struct Stats {
    valid: u64,
    written: u64,
    invalid: u64,
    duplicates: u64,
    capacity_units: f64,
    /// The file could not be read to its end, or a batch could not be written.
    aborted: bool,
    /// Invalid and duplicate entries beyond `--max-messages`.
    unreported: u64,
    /// The distinct reasons why batches were not written.
    failures: HashSet<String>,
}

/// The number of items of a batch, and the write capacity units that it consumed.
type BatchResult = (u64, Result<f64, WriteError>);

/// The batches that are being written.
type Batches = JoinSet<BatchResult>;

/// Writes all records to the table. Without a table it only counts.
pub(crate) async fn load(
    arguments: &Arguments,
    table: Option<Table>,
    mut records: Records,
    progress: &Progress,
) -> Stats {
    let mut stats = Stats::default();
    let report = |stats: &mut Stats, line: String| {
        if stats.invalid + stats.duplicates <= arguments.max_messages {
            progress.print(&line);
        } else {
            stats.unreported += 1;
        }
    };
    let mut seen = HashSet::new();
    let mut batch = Vec::with_capacity(BATCH_ITEMS);
    let mut batches = JoinSet::new();

    while let Some(record) = records.receiver.recv().await {
        match record {
            Record::Movie(position, movie) if !seen.insert(fingerprint(movie.id())) => {
                stats.duplicates += 1;
                let (year, title) = (movie.id().year.get(), movie.id().title.as_str());
                let line = format!(
                    "duplicate: {position}: {year} {title:?} occurs earlier in the file; the first \
                     one is written"
                );
                report(&mut stats, line);
            }
            Record::Movie(position, movie) => match to_item(&movie) {
                Ok(item) => {
                    stats.valid += 1;
                    batch.push(item);
                }
                Err(error) => {
                    stats.invalid += 1;
                    report(&mut stats, format!("invalid: {position}: {error}"));
                }
            },
            Record::Invalid(position, error) => {
                stats.invalid += 1;
                report(&mut stats, format!("invalid: {position}: {error}"));
            }
            Record::Continued => progress.print(CONTINUED),
            Record::Failed(error @ ReadError::Format(_)) => {
                stats.aborted = true;
                let file = arguments.file.display();
                progress.print(&format!("error: {file} {error}\n{EXPECTED}"));
            }
            Record::Failed(error @ ReadError::Broken(_)) => {
                stats.aborted = true;
                progress.print(&format!(
                    "broken: {error}; the rest of the file was not read"
                ));
            }
        }
        if batch.len() == BATCH_ITEMS {
            if batches.len() == usize::from(arguments.concurrency) {
                stats.count(batches.join_next().await, progress);
            }
            if stats.aborted {
                batch.clear();
                break;
            }
            write(&table, &mut batches, &mut batch);
        }
        progress.show(stats.valid, stats.written);
    }
    write(&table, &mut batches, &mut batch);
    while let Some(done) = batches.join_next().await {
        stats.count(Some(done), progress);
    }
    if !stats.failures.is_empty() {
        progress.print("Written items are kept. Run the same command again when this is fixed.");
    }
    if stats.unreported > 0 {
        progress.print(&format!(
            "{} more invalid or duplicate entries; --max-messages N reports more",
            stats.unreported
        ));
    }
    // The channel closes when the thread has read everything, and also when it panics.
    if records.receiver.is_closed() && records.reader.join().is_err() {
        stats.aborted = true;
        progress.print(PANICKED);
    }
    stats
}

fn write(table: &Option<Table>, batches: &mut Batches, batch: &mut Vec<Item>) {
    let items = std::mem::take(batch);
    if let (Some(table), false) = (table.clone(), items.is_empty()) {
        batches.spawn(async move { (items.len() as u64, table.put(items).await) });
    }
}

/// Returns 128 bits of a movie's key. Collisions are practically impossible, and the keys of a
/// large file fit into memory.
fn fingerprint(id: &MovieId) -> (u64, u64) {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, id).hash(&mut hasher);
        hasher.finish()
    };
    (half(0), half(1))
}

impl Stats {
    /// Returns whether every entry of the file was written, or is valid in a dry run.
    pub(crate) fn is_complete(&self, dry_run: bool) -> bool {
        !self.aborted
            && self.invalid == 0
            && self.duplicates == 0
            && (dry_run || self.written == self.valid)
    }

    fn count(&mut self, done: Option<Result<BatchResult, JoinError>>, progress: &Progress) {
        let failure = match done {
            None => return,
            Some(Ok((items, Ok(capacity_units)))) => {
                self.written += items;
                self.capacity_units += capacity_units;
                return;
            }
            Some(Ok((_, Err(error)))) => error.to_string(),
            Some(Err(error)) => error.to_string(),
        };
        self.aborted = true;
        // Batches in flight usually fail for the same reason.
        if self.failures.insert(failure.clone()) {
            progress.print(&format!("not written: {failure}"));
        }
    }

    pub(crate) fn summary(&self, time: Duration, dry_run: bool) -> String {
        let Self {
            valid,
            written,
            invalid,
            duplicates,
            capacity_units,
            ..
        } = self;
        let seconds = time.as_secs_f64();
        if dry_run {
            return format!(
                "{valid} valid, {invalid} invalid, {duplicates} duplicate in {seconds:.1} s; \
                 nothing was written"
            );
        }
        let rate = *written as f64 / seconds;
        format!(
            "{written} written, {invalid} invalid, {duplicates} duplicate in {seconds:.1} s \
             ({rate:.0} items/s, {capacity_units} write capacity units)"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use clap::Parser;

    use super::*;
    use crate::validate;

    /// A file whose reader panics after it has returned a movie.
    struct PanickingFile(bool);

    impl Read for PanickingFile {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(
                !std::mem::replace(&mut self.0, true),
                "a defect of the reader"
            );
            (&br#"[{"year":1931,"title":"M"},"#[..]).read(buffer)
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_reading_thread_fails_the_run() {
        let arguments = Arguments::parse_from(["loader", "--dry-run", "--table", "t", "f"]);
        let records = validate::records(PanickingFile(false));
        let stats = load(&arguments, None, records, &Progress::new(0)).await;
        assert!(!stats.is_complete(true), "the exit code would be 0");
    }

    #[test]
    fn fingerprints_depend_on_year_and_title() {
        let id = |text: &str| validate::movie(text.as_bytes()).unwrap().id().clone();
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
