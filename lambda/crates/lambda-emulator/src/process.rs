//! A binary that runs for us.

use crate::quota::Quota;
use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

/// What a process wrote to standard output or error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name of the process: its file's.
    pub process: String,
    /// The line, without its end.
    pub text: String,
}

/// Lines in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<Line>>>);

impl Lines {
    pub(crate) fn all(&self) -> Vec<Line> {
        self.after(0)
    }

    pub(crate) fn after(&self, count: usize) -> Vec<Line> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(count..)
            .unwrap_or_default()
            .to_vec()
    }

    fn read(
        &self,
        process: &str,
        stream: Option<impl AsyncRead + Unpin + Send + 'static>,
    ) -> JoinHandle<()> {
        let (lines, process) = (self.clone(), process.to_owned());
        tokio::spawn(async move {
            let Some(stream) = stream else { return };
            let mut stream = BufReader::new(stream).lines();
            while let Ok(Some(text)) = stream.next_line().await {
                lines
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Line {
                        process: process.clone(),
                        text,
                    });
            }
        })
    }
}

/// The function or an extension. It is killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
    readers: [JoinHandle<()>; 2],
}

impl Process {
    pub(crate) fn start<'a>(
        program: &Path,
        variables: impl Iterator<Item = (&'a String, &'a String)>,
        lines: &Lines,
    ) -> Result<Self> {
        let name = program
            .file_name()
            .and_then(|name| name.to_str())
            .context("a program needs a name")?
            .to_owned();
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let readers = [
            lines.read(&name, child.stdout.take()),
            lines.read(&name, child.stderr.take()),
        ];
        let pid = Pid::from_raw(child.id().context("it has ended already")?.try_into()?);
        Ok(Self {
            name,
            child,
            pid,
            readers,
        })
    }

    /// Its file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The CPU time that all its threads have taken, to the nanosecond (Linux only).
    ///
    /// # Errors
    /// It has ended, or the system is another.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(self.pid)
    }

    /// Holds it to a share of one CPU for as long as what is returned lives.
    pub(crate) fn hold_to(&self, share: f64) -> Quota {
        Quota::hold(self.pid, share)
    }

    /// The most memory that it has had resident, in bytes (Linux only).
    ///
    /// # Errors
    /// It has ended, or the system is another.
    pub fn max_resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))
            .context("it has ended, or this is not Linux")?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("no VmHWM in its status")?;
        Ok(peak.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// Comes true when it ends.
    pub(crate) async fn end(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Waits for what it wrote last, once it has been told to end. A child of its own may keep its output open.
    pub(crate) async fn last_words(&mut self) {
        for reader in &mut self.readers {
            let _ = timeout(Duration::from_secs(1), reader).await;
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Signals it unless it has ended. (Until it has been waited for, its number cannot become another's.)
    pub(crate) fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            let _ = kill(self.pid, signal);
        }
    }
}

/// The CPU time that all threads of a process have taken.
pub(crate) fn cpu(pid: Pid) -> Result<Duration> {
    #[cfg(target_os = "linux")]
    return Ok(nix::time::clock_gettime(nix::time::clock_getcpuclockid(pid)?)?.into());
    #[cfg(not(target_os = "linux"))]
    anyhow::bail!("the CPU time of process {pid} can be read on Linux only")
}
