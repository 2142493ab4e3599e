//! The end of a run: its time limit, or a signal (Ctrl-C, SIGTERM). Cleanup runs in either case.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Time that cleanup may take after the deadline.
const GRACE: Duration = Duration::from_secs(30);

pub(crate) struct Deadline {
    deadline: Option<Instant>,
    interrupted: Arc<AtomicBool>,
}

impl Deadline {
    /// Returns a deadline that never passes. Signals end the process at once.
    pub(crate) fn none() -> Self {
        Self {
            deadline: None,
            interrupted: Arc::default(),
        }
    }

    /// Starts the time limit. From now on the first signal cancels the run and the second ends the
    /// process.
    pub(crate) fn start(time: Duration) -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&interrupted))?;
            flag::register(signal, Arc::clone(&interrupted))?;
        }
        Ok(Self {
            deadline: Some(Instant::now() + time),
            interrupted,
        })
    }

    /// Returns why no new request or check may begin, or `None` if one may.
    pub(crate) fn expired(&self) -> Option<&'static str> {
        if self.interrupted.load(Ordering::Relaxed) {
            Some("interrupted")
        } else if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            Some("the deadline had passed; see --deadline-seconds")
        } else {
            None
        }
    }

    /// Returns the time that a request may take, at most `most`. Cleanup may continue after the
    /// deadline.
    ///
    /// # Errors
    /// No time is left, or the run was interrupted.
    pub(crate) fn remaining(&self, most: Duration, cleanup: bool) -> Result<Duration> {
        if let (Some(reason), false) = (self.expired(), cleanup) {
            bail!("{reason}");
        }
        let grace = if cleanup { GRACE } else { Duration::ZERO };
        let left = self.deadline.map_or(most, |deadline| {
            (deadline + grace)
                .saturating_duration_since(Instant::now())
                .min(most)
        });
        if left.is_zero() {
            bail!("no time is left before the deadline");
        }
        Ok(left)
    }

    /// Sleeps, but not beyond the deadline or an interrupt.
    pub(crate) fn sleep(&self, time: Duration) {
        let end = Instant::now() + time;
        while self.expired().is_none() && Instant::now() < end {
            sleep(Duration::from_millis(50).min(end.saturating_duration_since(Instant::now())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_deadline_only_cleanup_continues_for_a_limited_time() {
        let late = |seconds| Deadline {
            deadline: Instant::now().checked_sub(Duration::from_secs(seconds)),
            interrupted: Arc::default(),
        };
        assert!(late(1).remaining(Duration::from_secs(15), false).is_err());
        assert_eq!(
            late(1).remaining(Duration::from_secs(15), true).unwrap(),
            Duration::from_secs(15)
        );
        assert!(
            late(20).remaining(Duration::from_secs(15), true).unwrap() < Duration::from_secs(11)
        );
        assert!(late(31).remaining(Duration::from_secs(15), true).is_err());
    }

    #[test]
    fn a_request_near_the_deadline_does_not_outlast_it() {
        let deadline = Deadline {
            deadline: Some(Instant::now() + Duration::from_secs(2)),
            interrupted: Arc::default(),
        };
        assert!(
            deadline.remaining(Duration::from_secs(15), false).unwrap() <= Duration::from_secs(2)
        );
    }

    #[test]
    fn after_an_interrupt_only_cleanup_continues() {
        let deadline = Deadline {
            deadline: None,
            interrupted: Arc::new(AtomicBool::new(true)),
        };
        assert!(
            deadline
                .remaining(Duration::from_secs(15), false)
                .unwrap_err()
                .to_string()
                .contains("interrupted")
        );
        assert!(deadline.remaining(Duration::from_secs(15), true).is_ok());
        let before = Instant::now();
        deadline.sleep(Duration::from_secs(60));
        assert!(before.elapsed() < Duration::from_secs(1));
    }
}
