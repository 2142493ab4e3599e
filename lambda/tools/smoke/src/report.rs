//! Results: one line for each check as it ends and, on request, JUnit XML.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

pub(crate) enum CheckResult {
    /// With a note, which may be empty.
    Passed(String),
    Failed(String),
    /// A deviation that does not justify a rollback.
    Warned(String),
    /// The result is unknown: the requests did not reach the deployment.
    Blocked(String),
    /// Left out on purpose, with the reason. Does not fail the run.
    Skipped(String),
    /// Not run although it was selected. Fails the run.
    NotRun(String),
}

/// The result of a run.
#[derive(Debug, PartialEq)]
pub(crate) enum RunResult {
    Passed,
    Failed,
    /// No check failed, but some were blocked.
    Unknown,
}

pub(crate) struct Report {
    start: Instant,
    width: usize,
    suites: Vec<TestSuite>,
    counts: [usize; 6],
}

impl Report {
    /// `width` is the length of the longest name of a check, in characters.
    pub(crate) fn new(width: usize) -> Self {
        Self {
            start: Instant::now(),
            width,
            suites: Vec::new(),
            counts: [0; 6],
        }
    }

    /// Begins a part of the report.
    pub(crate) fn part(&mut self, name: &str, what: &str) -> Result<()> {
        self.suites.push(TestSuite::new(name));
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{what}\n{:width$}  {:7}  {:>8}  NOTE",
            "CHECK",
            "RESULT",
            "SECONDS",
            width = self.width
        )?;
        Ok(())
    }

    /// # Errors
    /// Standard output is closed.
    pub(crate) fn record(&mut self, check: &str, seen: &CheckResult, time: Duration) -> Result<()> {
        let (index, result, note, mut status) = match seen {
            CheckResult::Passed(note) => (0, "passed", note, TestCaseStatus::success()),
            CheckResult::Failed(why) => (
                1,
                "FAILED",
                why,
                TestCaseStatus::non_success(NonSuccessKind::Failure),
            ),
            CheckResult::NotRun(why) => (
                2,
                "not run",
                why,
                TestCaseStatus::non_success(NonSuccessKind::Error),
            ),
            CheckResult::Skipped(why) => (3, "skipped", why, TestCaseStatus::skipped()),
            CheckResult::Warned(why) => (4, "WARNING", why, TestCaseStatus::success()),
            CheckResult::Blocked(why) => (
                5,
                "BLOCKED",
                why,
                TestCaseStatus::non_success(NonSuccessKind::Error),
            ),
        };
        self.counts[index] += 1;
        status.set_message(note.as_str());
        let mut case = TestCase::new(check, status);
        case.set_time(time);
        if let Some(suite) = self.suites.last_mut() {
            case.set_classname(format!("smoke.{}", suite.name.as_str()));
            if let (CheckResult::Passed(note) | CheckResult::Warned(note), false) =
                (seen, note.is_empty())
            {
                case.set_system_out(note.as_str());
            }
            suite.add_test_case(case);
        }
        let row = format!(
            "{check:width$}  {result:7}  {:8.3}  {}",
            time.as_secs_f64(),
            note.replace('\n', " "),
            width = self.width
        );
        writeln!(std::io::stdout().lock(), "{}", row.trim_end())?;
        Ok(())
    }

    /// Prints the summary, writes the XML and returns the result of the run.
    pub(crate) fn end(self, junit: Option<&Path>) -> Result<RunResult> {
        let [passed, failed, not_run, skipped, warned, blocked] = self.counts;
        let time = self.start.elapsed();
        writeln!(
            std::io::stdout().lock(),
            "{passed} passed, {failed} failed, {not_run} not run, {skipped} skipped, \
             {warned} with a warning, {blocked} blocked in {:.1} s",
            time.as_secs_f64()
        )?;
        if let Some(path) = junit {
            let mut report = quick_junit::Report::new("smoke");
            report.set_time(time).add_test_suites(self.suites);
            let file =
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            report
                .serialize(file)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(match (failed + not_run, blocked) {
            (0, 0) => RunResult::Passed,
            (0, _) => RunResult::Unknown,
            _ => RunResult::Failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_xml_has_the_results_of_the_table() {
        let mut report = Report::new(10);
        report.part("api", "API").unwrap();
        for (check, seen) in [
            ("good", CheckResult::Passed("35 days".to_owned())),
            (
                "bad",
                CheckResult::Failed("returned 500, not 200: <html> & \u{1b}[31mred".to_owned()),
            ),
            (
                "late",
                CheckResult::NotRun("the deadline had passed".to_owned()),
            ),
            (
                "left out",
                CheckResult::Skipped("the emulator has no code signing".to_owned()),
            ),
        ] {
            report
                .record(check, &seen, Duration::from_millis(12))
                .unwrap();
        }
        let path = std::env::temp_dir().join(format!("smoke-junit-{:016x}.xml", fastrand::u64(..)));
        assert_eq!(report.end(Some(&path)).unwrap(), RunResult::Failed);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let read = quick_junit::Report::deserialize_from_str(&text).unwrap();
        assert_eq!((read.tests, read.failures, read.errors), (4, 1, 1));
        let cases = &read.test_suites[0].test_cases;
        assert!(matches!(&cases[0].status, TestCaseStatus::Success { .. }));
        let message = |case: &TestCase| match &case.status {
            TestCaseStatus::NonSuccess { message, .. }
            | TestCaseStatus::Skipped { message, .. } => message.as_ref().unwrap().to_string(),
            TestCaseStatus::Success { .. } => String::new(),
        };
        assert!(
            message(&cases[1]).starts_with("returned 500, not 200: <html> &"),
            "{text}"
        );
        assert_eq!(message(&cases[2]), "the deadline had passed");
        assert_eq!(message(&cases[3]), "the emulator has no code signing");
        assert!(matches!(&cases[3].status, TestCaseStatus::Skipped { .. }));
    }

    #[test]
    fn skipped_checks_do_not_fail_a_run() {
        let mut report = Report::new(10);
        report.part("api", "API").unwrap();
        report
            .record(
                "left out",
                &CheckResult::Skipped("why".to_owned()),
                Duration::ZERO,
            )
            .unwrap();
        assert_eq!(report.end(None).unwrap(), RunResult::Passed);
    }
}
