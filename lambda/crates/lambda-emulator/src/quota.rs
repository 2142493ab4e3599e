//! A limit on a process's CPU time. Lambda's limit depends on the configured memory.

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

/// The process may use its share in each period, and is then stopped until the next one.
const PERIOD: Duration = Duration::from_millis(20);
/// Interval at which the used CPU time is read.
const POLL_INTERVAL: Duration = Duration::from_micros(50);

/// Limits a process to a share of one CPU, like the quota of a control group: excess use reduces
/// the next period's share, and an unused share is lost. Ends when dropped. Uses signals, because
/// control groups need privileges.
#[derive(Debug)]
pub(crate) struct CpuQuota {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl CpuQuota {
    pub(crate) fn start(pid: Pid, share: f64) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            let quota = PERIOD.mul_f64(share);
            let Ok(mut allowed) = cpu(pid) else { return };
            while !is_stopped.load(Ordering::Relaxed) {
                let end = Instant::now() + PERIOD;
                let Ok(used) = cpu(pid) else { return };
                allowed = (allowed + quota).min(used + quota);
                if used < allowed {
                    let _ = kill(pid, Signal::SIGCONT);
                }
                while Instant::now() < end && cpu(pid).is_ok_and(|used| used < allowed) {
                    thread::sleep(POLL_INTERVAL);
                }
                if Instant::now() < end {
                    let _ = kill(pid, Signal::SIGSTOP);
                    thread::sleep(end.saturating_duration_since(Instant::now()));
                }
            }
            let _ = kill(pid, Signal::SIGCONT);
        });
        Self {
            stopped,
            thread: Some(thread),
        }
    }
}

impl Drop for CpuQuota {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
