//! Messages and progress on standard error: a bar on a terminal, otherwise a line every few
//! seconds.

use std::cell::Cell;
use std::io::{self, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Interval of progress lines if standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    last_line: Cell<Instant>,
}

impl Progress {
    /// `bytes` is the size of the file.
    pub(crate) fn new(bytes: u64) -> Self {
        let bar = ProgressBar::new(bytes);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {msg} {eta}") {
            bar.set_style(style);
        }
        Self {
            bar,
            is_terminal: io::stderr().is_terminal(),
            last_line: Cell::new(Instant::now()),
        }
    }

    /// Makes the bar follow the reading of the file.
    pub(crate) fn wrap(&self, file: impl Read + Send + 'static) -> impl Read + Send + 'static {
        self.bar.wrap_read(file)
    }

    pub(crate) fn show(&self, read: u64, written: u64) {
        if self.is_terminal {
            self.bar
                .set_message(format!("{read} read, {written} written"));
        } else if self.last_line.get().elapsed() > LINE_INTERVAL {
            self.last_line.set(Instant::now());
            self.print(&format!("{read} read, {written} written"));
        }
    }

    /// Prints a line. A closed standard error must not end the load, so errors are ignored.
    pub(crate) fn print(&self, line: &str) {
        self.bar.suspend(|| _ = writeln!(io::stderr(), "{line}"));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
