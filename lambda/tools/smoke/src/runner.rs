//! Runs checks. Each check is repeated until it passes, up to a number of attempts and a deadline.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::api::{Blocked, RejectionMismatch};
use crate::deadline::Deadline;
use crate::report::{CheckResult, Report};

pub(crate) struct Runner<'a> {
    pub(crate) report: Report,
    pub(crate) deadline: &'a Deadline,
    pub(crate) attempts: u32,
}

impl Runner<'_> {
    /// Runs a check and returns whether it passed. `check` gets the number of the attempt, from 1,
    /// and returns a note for the report.
    pub(crate) fn check(
        &mut self,
        name: &str,
        check: impl FnMut(u32) -> Result<String>,
    ) -> Result<bool> {
        match self.deadline.expired() {
            Some(reason) => self
                .report
                .record(
                    name,
                    &CheckResult::NotRun(reason.to_owned()),
                    Duration::ZERO,
                )
                .map(|()| false),
            None => self.check_after_deadline(name, check),
        }
    }

    /// Runs a check even if the deadline has passed or the run was interrupted.
    pub(crate) fn check_after_deadline(
        &mut self,
        name: &str,
        mut check: impl FnMut(u32) -> Result<String>,
    ) -> Result<bool> {
        let began = Instant::now();
        let mut attempts_made = 0;
        let seen = loop {
            attempts_made += 1;
            match check(attempts_made) {
                Ok(note) if attempts_made == 1 => break CheckResult::Passed(note),
                Ok(note) => {
                    break CheckResult::Passed(
                        format!("at attempt {attempts_made} {note}")
                            .trim_end()
                            .to_owned(),
                    );
                }
                Err(error)
                    if attempts_made == self.attempts || self.deadline.expired().is_some() =>
                {
                    let after = if attempts_made > 1 {
                        format!(" ({attempts_made} attempts)")
                    } else {
                        String::new()
                    };
                    let why = format!("{error:#}{after}");
                    break if error.is::<Blocked>() {
                        CheckResult::Blocked(why)
                    } else if error.is::<RejectionMismatch>() {
                        CheckResult::Warned(why)
                    } else {
                        CheckResult::Failed(why)
                    };
                }
                Err(_) => self.deadline.sleep(Duration::from_secs(1)),
            }
        };
        self.report.record(name, &seen, began.elapsed())?;
        Ok(matches!(seen, CheckResult::Passed(_)))
    }

    pub(crate) fn record(&mut self, name: &str, seen: &CheckResult) -> Result<()> {
        self.report.record(name, seen, Duration::ZERO)
    }
}
