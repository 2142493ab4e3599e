//! When to stop: at the deadline, or when told to (Ctrl-C, SIGTERM). What was made is deleted all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What deleting may take beyond the deadline.
const GRACE: Duration = Duration::from_secs(30);

pub(crate) struct Watch {
    deadline: Option<Instant>,
    told: Arc<AtomicBool>,
}

impl Watch {
    /// Stops neither by itself nor when told: a signal then ends the process, as it does any other.
    pub(crate) fn never() -> Self {
        Self {
            deadline: None,
            told: Arc::default(),
        }
    }

    /// From here on the first signal is taken down and the second ends the process.
    pub(crate) fn start(time: Duration) -> Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&told))?;
            flag::register(signal, Arc::clone(&told))?;
        }
        Ok(Self {
            deadline: Some(Instant::now() + time),
            told,
        })
    }

    /// Why nothing new is to begin, if so.
    pub(crate) fn over(&self) -> Option<&'static str> {
        if self.told.load(Ordering::Relaxed) {
            Some("interrupted")
        } else if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            Some("the deadline had passed; --deadline-seconds sets it")
        } else {
            None
        }
    }

    /// How much of `most` a call may take. One that cleans up may go on when all others may not.
    pub(crate) fn left(&self, most: Duration, cleans_up: bool) -> Result<Duration> {
        if let (Some(reason), false) = (self.over(), cleans_up) {
            bail!("{reason}");
        }
        let grace = if cleans_up { GRACE } else { Duration::ZERO };
        let left = self.deadline.map_or(most, |deadline| {
            (deadline + grace)
                .saturating_duration_since(Instant::now())
                .min(most)
        });
        if left.is_zero() {
            bail!("no time was left");
        }
        Ok(left)
    }

    /// Sleeps, but not beyond the moment from which nothing new is to begin.
    pub(crate) fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        while self.over().is_none() && Instant::now() < end {
            sleep(Duration::from_millis(50).min(end.saturating_duration_since(Instant::now())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_deadline_only_cleaning_up_goes_on_and_that_not_for_ever() {
        let late = |seconds| Watch {
            deadline: Instant::now().checked_sub(Duration::from_secs(seconds)),
            told: Arc::default(),
        };
        assert!(late(1).left(Duration::from_secs(15), false).is_err());
        assert_eq!(
            late(1).left(Duration::from_secs(15), true).unwrap(),
            Duration::from_secs(15)
        );
        assert!(late(20).left(Duration::from_secs(15), true).unwrap() < Duration::from_secs(11));
        assert!(late(31).left(Duration::from_secs(15), true).is_err());
    }

    #[test]
    fn a_call_near_the_deadline_may_not_outlast_it() {
        let watch = Watch {
            deadline: Some(Instant::now() + Duration::from_secs(2)),
            told: Arc::default(),
        };
        assert!(watch.left(Duration::from_secs(15), false).unwrap() <= Duration::from_secs(2));
    }

    #[test]
    fn who_was_told_to_stop_only_cleans_up() {
        let watch = Watch {
            deadline: None,
            told: Arc::new(AtomicBool::new(true)),
        };
        assert!(
            watch
                .left(Duration::from_secs(15), false)
                .unwrap_err()
                .to_string()
                .contains("interrupted")
        );
        assert!(watch.left(Duration::from_secs(15), true).is_ok());
        let before = Instant::now();
        watch.pause(Duration::from_secs(60));
        assert!(before.elapsed() < Duration::from_secs(1));
    }
}
