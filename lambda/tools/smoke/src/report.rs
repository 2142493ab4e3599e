//! What was seen: a row for each check as it ends and, on request, all of them as JUnit XML.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

pub(crate) enum Seen {
    /// With what is worth knowing, often nothing.
    Passed(String),
    Failed(String),
    /// What was wrong is no reason to take a release back.
    Warned(String),
    /// Nobody can say: the requests did not reach what was to be checked.
    Blocked(String),
    /// Left out on purpose, and why. It fails nothing, and shows nothing.
    Skipped(String),
    /// It should have been; the run fails.
    NotRun(String),
}

/// What a run comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// Nothing failed, and checks were blocked.
    Unknown,
}

pub(crate) struct Report {
    start: Instant,
    width: usize,
    suites: Vec<TestSuite>,
    counts: [usize; 6],
}

impl Report {
    /// `width`: the longest check's name, in characters.
    pub(crate) fn new(width: usize) -> Self {
        Self {
            start: Instant::now(),
            width,
            suites: Vec::new(),
            counts: [0; 6],
        }
    }

    /// The checks that follow are of this part.
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
    /// Nobody reads the table any more.
    pub(crate) fn row(&mut self, check: &str, seen: &Seen, time: Duration) -> Result<()> {
        let (index, result, note, mut status) = match seen {
            Seen::Passed(note) => (0, "passed", note, TestCaseStatus::success()),
            Seen::Failed(why) => (
                1,
                "FAILED",
                why,
                TestCaseStatus::non_success(NonSuccessKind::Failure),
            ),
            Seen::NotRun(why) => (
                2,
                "not run",
                why,
                TestCaseStatus::non_success(NonSuccessKind::Error),
            ),
            Seen::Skipped(why) => (3, "skipped", why, TestCaseStatus::skipped()),
            Seen::Warned(why) => (4, "WARNING", why, TestCaseStatus::success()),
            Seen::Blocked(why) => (
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
            if let (Seen::Passed(note) | Seen::Warned(note), false) = (seen, note.is_empty()) {
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

    /// The last line, and what the run comes to.
    pub(crate) fn end(self, junit: Option<&Path>) -> Result<Outcome> {
        let [passed, failed, not_run, skipped, warned, blocked] = self.counts;
        let time = self.start.elapsed();
        writeln!(
            std::io::stdout().lock(),
            "{passed} passed, {failed} failed, {not_run} not run, {skipped} skipped, {warned} with a warning, {blocked} blocked in {:.1} s",
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
            (0, 0) => Outcome::Passed,
            (0, _) => Outcome::Unknown,
            _ => Outcome::Failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_xml_says_what_the_table_says() {
        let mut report = Report::new(10);
        report.part("api", "API").unwrap();
        for (check, seen) in [
            ("good", Seen::Passed("35 days".to_owned())),
            (
                "bad",
                Seen::Failed("answered 500, not 200: <html> & \u{1b}[31mred".to_owned()),
            ),
            ("late", Seen::NotRun("the deadline had passed".to_owned())),
            (
                "left out",
                Seen::Skipped("the emulator knows no code signing".to_owned()),
            ),
        ] {
            report.row(check, &seen, Duration::from_millis(12)).unwrap();
        }
        let path = std::env::temp_dir().join(format!("smoke-junit-{:016x}.xml", fastrand::u64(..)));
        assert_eq!(report.end(Some(&path)).unwrap(), Outcome::Failed);
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
            message(&cases[1]).starts_with("answered 500, not 200: <html> &"),
            "{text}"
        );
        assert_eq!(message(&cases[2]), "the deadline had passed");
        assert_eq!(message(&cases[3]), "the emulator knows no code signing");
        assert!(matches!(&cases[3].status, TestCaseStatus::Skipped { .. }));
    }

    #[test]
    fn skipped_checks_alone_fail_no_run() {
        let mut report = Report::new(10);
        report.part("api", "API").unwrap();
        report
            .row("left out", &Seen::Skipped("why".to_owned()), Duration::ZERO)
            .unwrap();
        assert_eq!(report.end(None).unwrap(), Outcome::Passed);
    }
}
