//! A share of a CPU, as Lambda gives it by memory.

use crate::process::cpu;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// In each of these a process may use its share; then it waits for the next.
const PERIOD: Duration = Duration::from_millis(20);
/// How often is looked at what it has used.
const LOOK: Duration = Duration::from_micros(50);

/// Holds a process to a share of one CPU, as a control group's quota does: what was used too much is missing in the next period,
/// what was not used is lost. It ends when dropped. (By signals, because a control group wants rights.)
#[derive(Debug)]
pub(crate) struct Quota {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Quota {
    pub(crate) fn hold(pid: Pid, share: f64) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let quota = PERIOD.mul_f64(share);
            let Ok(mut allowed) = cpu(pid) else { return };
            while !seen.load(Ordering::Relaxed) {
                let end = Instant::now() + PERIOD;
                let Ok(used) = cpu(pid) else { return };
                allowed = (allowed + quota).min(used + quota);
                if used < allowed {
                    let _ = kill(pid, Signal::SIGCONT);
                }
                while Instant::now() < end && cpu(pid).is_ok_and(|used| used < allowed) {
                    thread::sleep(LOOK);
                }
                if Instant::now() < end {
                    let _ = kill(pid, Signal::SIGSTOP);
                    thread::sleep(end.saturating_duration_since(Instant::now()));
                }
            }
            let _ = kill(pid, Signal::SIGCONT);
        });
        Self {
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
