//! The process of a function or an extension.

use crate::quota::CpuQuota;
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

/// A line that a process wrote to standard output or standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name of the process's file.
    pub process: String,
    /// The line, without the line break.
    pub text: String,
}

/// The lines of all processes in the order in which they were read.
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

/// A function or an extension. The process is killed when this value is dropped.
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
            .context("the path of the program has no file name")?
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
        let pid = Pid::from_raw(
            child
                .id()
                .context("the process has already exited")?
                .try_into()?,
        );
        Ok(Self {
            name,
            child,
            pid,
            readers,
        })
    }

    /// Returns the name of the process's file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the CPU time of all threads in nanoseconds (Linux only).
    ///
    /// # Errors
    /// The process has exited, or the system is not Linux.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(self.pid)
    }

    /// Limits the process to a share of one CPU until the returned value is dropped.
    pub(crate) fn limit_cpu(&self, share: f64) -> CpuQuota {
        CpuQuota::start(self.pid, share)
    }

    /// Returns the peak of the resident memory in bytes (Linux only).
    ///
    /// # Errors
    /// The process has exited, or the system is not Linux.
    pub fn max_resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))
            .context("the process has exited, or this is not Linux")?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .context("the process's status has no VmHWM")?;
        Ok(peak.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// Resolves when the process exits.
    pub(crate) async fn exit(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Waits until all output has been read, at most one second for each stream, because a child
    /// process may keep a stream open.
    pub(crate) async fn drain_output(&mut self) {
        for reader in &mut self.readers {
            let _ = timeout(Duration::from_secs(1), reader).await;
        }
    }

    pub(crate) fn has_exited(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal unless the process has exited. The PID cannot be reused before the process
    /// was waited for.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if !self.has_exited() {
            let _ = kill(self.pid, signal);
        }
    }
}

/// Returns the CPU time of all threads of a process.
pub(crate) fn cpu(pid: Pid) -> Result<Duration> {
    #[cfg(target_os = "linux")]
    return Ok(nix::time::clock_gettime(nix::time::clock_getcpuclockid(pid)?)?.into());
    #[cfg(not(target_os = "linux"))]
    anyhow::bail!("the CPU time of process {pid} can be read on Linux only")
}
