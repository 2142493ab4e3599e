//! Runs checks: each until it passes, some times at most, while the watch lets it.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::api::{Blocked, Wording};
use crate::report::{Report, Seen};
use crate::watch::Watch;

pub(crate) struct Runner<'a> {
    pub(crate) report: Report,
    pub(crate) watch: &'a Watch,
    pub(crate) attempts: u32,
}

impl Runner<'_> {
    /// Whether it passed. `check` is given the number of the try, from 1, and gives what is worth knowing.
    pub(crate) fn check(
        &mut self,
        name: &str,
        check: impl FnMut(u32) -> Result<String>,
    ) -> Result<bool> {
        match self.watch.over() {
            Some(reason) => self
                .report
                .row(name, &Seen::NotRun(reason.to_owned()), Duration::ZERO)
                .map(|()| false),
            None => self.check_even_late(name, check),
        }
    }

    /// What has to be looked at when all else has been stopped, too.
    pub(crate) fn check_even_late(
        &mut self,
        name: &str,
        mut check: impl FnMut(u32) -> Result<String>,
    ) -> Result<bool> {
        let began = Instant::now();
        let mut tries = 0;
        let seen = loop {
            tries += 1;
            match check(tries) {
                Ok(note) if tries == 1 => break Seen::Passed(note),
                Ok(note) => {
                    break Seen::Passed(format!("at try {tries} {note}").trim_end().to_owned());
                }
                Err(error) if tries == self.attempts || self.watch.over().is_some() => {
                    let after = if tries > 1 {
                        format!(" (each of {tries} tries)")
                    } else {
                        String::new()
                    };
                    let why = format!("{error:#}{after}");
                    break if error.is::<Blocked>() {
                        Seen::Blocked(why)
                    } else if error.is::<Wording>() {
                        Seen::Warned(why)
                    } else {
                        Seen::Failed(why)
                    };
                }
                Err(_) => self.watch.pause(Duration::from_secs(1)),
            }
        };
        self.report.row(name, &seen, began.elapsed())?;
        Ok(matches!(seen, Seen::Passed(_)))
    }

    pub(crate) fn without(&mut self, name: &str, seen: &Seen) -> Result<()> {
        self.report.row(name, seen, Duration::ZERO)
    }
}
