//! The log: lines on standard output. If the log cannot be written or its reader stalls, requests
//! continue. Lines are then lost and counted, and the next line that can be written is followed by
//! their number.

use crate::trace::SpanLayer;
use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    panic::PanicHookInfo,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    filter::{Targets, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt,
};

/// Maximum number of lines that wait for a stalled reader: about 4 MB.
const MAX_QUEUED: usize = 10_000;
/// Interval at which [`Log::flush`] checks whether the queue is empty.
const FLUSH_INTERVAL: Duration = Duration::from_millis(10);

/// A destination of log lines. As an [`io::Write`] it takes complete lines and never fails.
#[derive(Debug)]
pub struct Log {
    output: Arc<Output>,
    queue: Option<SyncSender<Vec<u8>>>,
}

struct Output {
    writer: Mutex<Box<dyn Write + Send>>,
    lost: AtomicU64,
    queued: AtomicUsize,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("lost", &self.lost)
            .field("queued", &self.queued)
            .finish_non_exhaustive()
    }
}

/// Standard output without a buffer, so that a line is one call to the system and no part of a
/// failed one is written later.
///
/// # Errors
/// The process has no file descriptor left.
pub fn standard_output() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

impl Log {
    /// Creates a log whose lines are written when [`Log::line`] returns. For Lambda, which freezes
    /// the process after a response.
    #[must_use]
    pub fn direct(writer: impl Write + Send + 'static) -> Self {
        let (lost, queued) = (AtomicU64::new(0), AtomicUsize::new(0));
        Self {
            output: Arc::new(Output {
                writer: Mutex::new(Box::new(writer)),
                lost,
                queued,
            }),
            queue: None,
        }
    }

    /// Creates a log whose lines are written by its own thread. For a server, whose requests must
    /// not wait for the log's reader.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn queued(writer: impl Write + Send + 'static) -> io::Result<Self> {
        Self::queued_up_to(MAX_QUEUED, writer)
    }

    fn queued_up_to(lines: usize, writer: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Vec<u8>>(lines);
        let log = Self {
            queue: Some(sender),
            ..Self::direct(writer)
        };
        let output = Arc::clone(&log.output);
        thread::Builder::new().name("log".into()).spawn(move || {
            for line in receiver {
                output.write(&line);
                output.queued.fetch_sub(1, Ordering::Release);
            }
        })?;
        Ok(log)
    }

    /// Writes a line, with its end, or counts it as lost.
    pub fn line(&self, line: &[u8]) {
        let Some(queue) = &self.queue else {
            return self.output.write(line);
        };
        self.output.queued.fetch_add(1, Ordering::Acquire);
        if queue.try_send(line.to_vec()).is_err() {
            self.output.queued.fetch_sub(1, Ordering::Release);
            self.output.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the queued lines are written, `within` this time.
    pub fn flush(&self, within: Duration) {
        let begin = Instant::now();
        while self.output.queued.load(Ordering::Acquire) > 0 && begin.elapsed() < within {
            thread::sleep(FLUSH_INTERVAL);
        }
    }
}

impl Output {
    fn write(&self, line: &[u8]) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.write_all(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let line = format!(
                "{{\"level\":\"WARN\",\"message\":\"log lines were lost\",\"lost\":{lost}}}\n"
            );
            if writer.write_all(line.as_bytes()).is_err() {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }
}

impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the subscriber that logs the events of the crates in `targets` as JSON lines. Other
/// crates log only warnings and errors, because their other lines contain request data: at `debug`
/// the AWS SDK logs requests, at `trace` the Lambda runtime logs events. `spans` records the spans
/// of sampled requests at every level.
pub fn subscriber<W>(
    targets: &[&str],
    level: Level,
    writer: W,
    spans: Option<SpanLayer>,
) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let targets = targets.iter().map(|target| (*target, level));
    let targets = Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target(env!("CARGO_PKG_NAME"), level)
        .with_targets(targets);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_ansi(false)
        // Otherwise it would print, and so panic, when both standard output and standard error
        // cannot be written.
        .log_internal_errors(false)
        .with_writer(writer);
    let (records_spans, most) = (spans.is_some(), level.max(Level::INFO));
    // One filter for both layers: with one for each, it would run again at each event of the SDK.
    let filter = filter_fn(move |metadata| match metadata.is_span() {
        true => records_spans && SpanLayer::records(metadata),
        false => targets.would_enable(metadata.target(), metadata.level()),
    });
    tracing_subscriber::registry()
        .with(lines)
        .with(spans)
        .with(filter.with_max_level_hint(most))
}

/// Logs the location of a panic. The message is omitted because it can contain request data:
/// slicing a string inside a character prints the string.
pub fn panic_hook(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "panicked");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: Level, work: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(&["movies"], level, move || writer.clone(), None);
        tracing::subscriber::with_default(subscriber, work);
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn line_of_a_panic_has_its_location_and_not_its_message() {
        std::panic::set_hook(Box::new(panic_hook));
        let lines = logged(Level::INFO, || {
            let title = "a canary, Amélie".to_owned();
            let _ = std::panic::catch_unwind(|| title[..13].to_owned());
        });
        assert!(
            lines.contains("src/log.rs:") && !lines.contains("canary"),
            "{lines}"
        );
        assert!(lines.contains(r#""level":"ERROR""#), "{lines}");
    }

    #[test]
    fn only_warnings_of_other_crates_are_logged() {
        let messages = |level| {
            let lines = logged(level, || {
                tracing::debug!("ours");
                tracing::debug!(target: "movies", "the service's");
                tracing::info!(target: "aws_smithy_runtime", "theirs");
                tracing::warn!(target: "aws_smithy_runtime", "their warning");
                tracing::error!(target: "lambda_runtime", "their error");
            });
            let message = |line: &str| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                line["message"].as_str().unwrap().to_owned()
            };
            lines.lines().map(message).collect::<Vec<_>>()
        };
        let warnings = ["their warning", "their error"];
        assert_eq!(
            messages(Level::TRACE),
            [&["ours", "the service's"][..], &warnings].concat()
        );
        assert_eq!(messages(Level::INFO), warnings);
        assert_eq!(messages(Level::ERROR), ["their error"]);
    }

    /// A writer that fails a number of times and then collects what is written.
    struct Unreliable {
        failures: usize,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Unreliable {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_in_the_log() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let log = Log::direct(Unreliable {
            failures: 3,
            written: Arc::clone(&written),
        });
        for line in ["1\n", "2\n", "3\n", "4\n", "5\n"] {
            log.line(line.as_bytes());
        }
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text,
            "4\n{\"level\":\"WARN\",\"message\":\"log lines were lost\",\"lost\":3}\n5\n"
        );
    }

    /// A writer that blocks until the sender of `go` is dropped.
    struct Stalls {
        go: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            self.written.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn queue_that_is_full_loses_lines_and_counts_them() {
        let (go, wait) = channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let log = Log::queued_up_to(
            5,
            Stalls {
                go: wait,
                written: Arc::clone(&written),
            },
        )
        .unwrap();
        let begin = Instant::now();
        for number in 0..100 {
            log.line(format!("{number}\n").as_bytes());
        }
        log.flush(Duration::from_millis(50));
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "a stalled reader stalls the writer"
        );
        drop(go);
        log.flush(Duration::from_secs(5));
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let lost: usize = text
            .split("\"lost\":")
            .nth(1)
            .unwrap()
            .split('}')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let lines = text
            .lines()
            .filter(|line| line.parse::<u8>().is_ok())
            .count();
        assert_eq!(lines + lost, 100, "{text}");
        assert!(lines <= 7, "{text}");
    }
}
