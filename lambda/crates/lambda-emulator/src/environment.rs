//! An execution environment: a function, its extensions, and their lifecycle.

use crate::{
    platform::{InvocationOutcome, NextFault, Pending, Platform},
    process::{Line, Lines, Process},
    quota::CpuQuota,
    server::Server,
};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use nix::sys::signal::Signal;
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    slice,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;

/// Time limit for INIT, as in Lambda.
const INIT: Duration = Duration::from_secs(10);
/// Time limit for the shutdown of a function with extensions, as in Lambda.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Time for the last output of the processes to arrive after INIT has failed.
const OUTPUT_DELAY: Duration = Duration::from_millis(200);

/// The function and the extensions to start, and their configuration.
#[derive(Clone, Debug)]
pub struct FunctionConfig {
    function: PathBuf,
    extensions: Vec<PathBuf>,
    variables: BTreeMap<String, String>,
    freezes: bool,
    cpu_share: Option<f64>,
    init_limit: Duration,
}

impl FunctionConfig {
    /// Configures a function by the path of its `bootstrap`, with the variables that Lambda sets.
    #[must_use]
    pub fn new(function: impl Into<PathBuf>) -> Self {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "AKIAEMULATED"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_NAME", "emulated"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/emulated"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
            ("LANG", "en_US.UTF-8"),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
            ("TZ", ":UTC"),
            ("_HANDLER", "bootstrap"),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        Self {
            function: function.into(),
            extensions: Vec::new(),
            variables,
            freezes: true,
            cpu_share: None,
            init_limit: INIT,
        }
    }

    /// Adds an external extension by the path of its binary.
    #[must_use]
    pub fn extension(mut self, binary: impl Into<PathBuf>) -> Self {
        self.extensions.push(binary.into());
        self
    }

    /// Sets an environment variable of the function and its extensions.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Does not freeze the processes between events, because the signals would affect measurements.
    #[must_use]
    pub fn never_frozen(mut self) -> Self {
        self.freezes = false;
        self
    }

    /// Limits the function to a share of one CPU after INIT, as Lambda does: 0.07 for 128 MB. Also
    /// disables freezing.
    #[must_use]
    pub fn cpu_share(mut self, share: f64) -> Self {
        self.cpu_share = Some(share);
        self.never_frozen()
    }

    /// Replaces the time limit of ten seconds for INIT, for a function that runs under a profiler.
    #[must_use]
    pub fn init_limit(mut self, limit: Duration) -> Self {
        self.init_limit = limit;
        self
    }
}

/// An event to invoke a function with.
#[derive(Clone, Debug)]
pub struct Event {
    body: Bytes,
    trace: Option<String>,
    time_limit: Duration,
}

impl Event {
    /// Creates an event with this JSON and a time limit of three seconds.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            trace: None,
            time_limit: Duration::from_secs(3),
        }
    }

    /// Sets the trace header, such as `Root=…;Parent=…;Sampled=1`.
    #[must_use]
    pub fn trace(mut self, header: impl Into<String>) -> Self {
        self.trace = Some(header.into());
        self
    }

    /// Sets the time limit of the invocation. With zero the deadline has already passed.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }
}

/// The result of an invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The request id.
    pub id: String,
    /// The way it ended.
    pub outcome: InvocationOutcome,
    /// Time from the event to the response, which the caller waits for.
    pub latency: Duration,
    /// Time from the event until the function and its extensions polled again, which Lambda bills.
    pub busy: Duration,
}

/// The result of a shutdown.
#[derive(Clone, Debug)]
pub struct ShutdownReport {
    /// True if all extensions exited within Lambda's time limit.
    pub in_time: bool,
    /// The duration of the shutdown.
    pub took: Duration,
    /// All lines of standard output and standard error.
    pub lines: Vec<Line>,
}

/// A running environment.
#[derive(Debug)]
pub struct Environment {
    /// Must be dropped first, because it sends signals to the function.
    quota: Option<CpuQuota>,
    platform: Platform,
    _server: Server,
    function: Process,
    extensions: Vec<Process>,
    lines: Lines,
    freezes: bool,
    invocations: u64,
    init: Duration,
}

impl Environment {
    /// Starts the extensions, then the function, and waits until all have polled for their first
    /// event (Lambda's INIT phase).
    ///
    /// # Errors
    /// INIT failed: a process exited, reported an error or exceeded the time limit. The error
    /// contains the output of all processes.
    pub async fn start(config: FunctionConfig) -> Result<Self> {
        let platform = Platform::new();
        let server = {
            let platform = platform.clone();
            Server::http(move |request| platform.clone().respond(request)).await?
        };
        let mut variables = config.variables;
        variables.insert(
            "AWS_LAMBDA_RUNTIME_API".into(),
            server.url().trim_start_matches("http://").into(),
        );

        let (begin, lines) = (Instant::now(), Lines::default());
        let failed = async |why: String| {
            tokio::time::sleep(OUTPUT_DELAY).await;
            anyhow::anyhow!("INIT failed: {why}; output: {:#?}", lines.all())
        };
        let mut extensions = Vec::new();
        for binary in &config.extensions {
            // Extensions do not get these variables of the function.
            let variables = variables.iter().filter(|(name, _)| {
                !matches!(
                    name.as_str(),
                    "_HANDLER" | "LAMBDA_TASK_ROOT" | "AWS_EXECUTION_ENV"
                )
            });
            let mut extension = Process::start(binary, variables, &lines)?;
            let name = extension.name().to_owned();
            let registered =
                platform.until(|state| state.failure.is_some() || state.has_registered(&name));
            tokio::select! {
                waited = timeout(config.init_limit, registered) => match waited {
                    Err(_) => {
                        let reason = format!("{} did not register", binary.display());
                        return Err(failed(reason).await);
                    }
                    Ok(waited) => waited?,
                },
                name = first_exit(slice::from_mut(&mut extension)) => {
                    return Err(failed(format!("{name} exited")).await);
                }
            }
            extensions.push(extension);
        }
        let mut function = Process::start(&config.function, variables.iter(), &lines)?;
        let ready = platform.until(|state| state.failure.is_some() || state.idle());
        tokio::select! {
            waited = timeout(config.init_limit.saturating_sub(begin.elapsed()), ready) => match waited
            {
                Err(_) => {
                    let reason = "the function or an extension did not poll for an event";
                    return Err(failed(reason.into()).await);
                }
                Ok(waited) => waited?,
            },
            status = function.exit() => {
                return Err(failed(format!("the function exited: {}", status?)).await);
            }
            name = first_exit(&mut extensions) => {
                return Err(failed(format!("{name} exited")).await);
            }
        }
        let failure = platform.0.borrow().failure.clone();
        if let Some(failure) = failure {
            return Err(failed(failure).await);
        }
        let init = begin.elapsed();
        let quota = config.cpu_share.map(|share| function.limit_cpu(share));
        let mut environment = Self {
            quota,
            platform,
            _server: server,
            function,
            extensions,
            lines,
            freezes: config.freezes,
            invocations: 0,
            init,
        };
        environment.signal(Signal::SIGSTOP);
        Ok(environment)
    }

    /// Returns the duration of INIT, from the start of the first process.
    #[must_use]
    pub fn init(&self) -> Duration {
        self.init
    }

    /// Returns the function's process.
    #[must_use]
    pub fn function(&self) -> &Process {
        &self.function
    }

    /// Returns the extensions' processes.
    #[must_use]
    pub fn extensions(&self) -> &[Process] {
        &self.extensions
    }

    /// Returns all lines that the processes have written so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lines.all()
    }

    /// Returns the lines that the processes have written after the first `count`.
    #[must_use]
    pub fn lines_after(&self, count: usize) -> Vec<Line> {
        self.lines.after(count)
    }

    /// Makes the function's next polls for an event fail, one fault for each poll. A poll that is
    /// already open is not affected.
    pub fn fail_next_polls(&self, faults: impl IntoIterator<Item = NextFault>) {
        self.platform
            .0
            .send_modify(|state| state.next_faults.extend(faults));
    }

    /// Invokes the function and waits until it and its extensions are ready for another event.
    ///
    /// # Errors
    /// An extension failed, or was not ready within the time limit. Lambda would start a new
    /// environment.
    pub async fn invoke(&mut self, event: Event) -> Result<Invocation> {
        self.invocations += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.invocations);
        let deadline_ms = now_ms() + u64::try_from(event.time_limit.as_millis())?;
        // A function may still respond after its deadline; this allows for the platform's overhead.
        let limit = event.time_limit.max(Duration::from_millis(500));
        let (platform, record) = (
            self.platform.clone(),
            json!({ "requestId": id, "version": "$LATEST" }),
        );

        self.signal(Signal::SIGCONT);
        let begin = Instant::now();
        platform.emit("platform.start", &record);
        platform.0.send_modify(|state| {
            let arn = "arn:aws:lambda:eu-west-1:000000000000:function:emulated";
            let extension_event = json!({
                "eventType": "INVOKE",
                "deadlineMs": deadline_ms,
                "requestId": id,
                "invokedFunctionArn": arn,
            });
            state.notify_extensions("INVOKE", &extension_event);
            state.outcome = None;
            state.pending = Some(Pending {
                id: id.clone(),
                body: event.body,
                deadline_ms,
                trace: event.trace,
            });
        });
        let (outcome, at) = tokio::select! {
            waited = timeout(limit, platform.until(|state| state.outcome.is_some())) => match waited
            {
                Err(_) => (InvocationOutcome::TimedOut, Instant::now()),
                Ok(waited) => {
                    waited?;
                    let outcome = platform.0.borrow().outcome.clone();
                    outcome.context("the invocation has no outcome")?
                }
            },
            status = self.function.exit() => {
                (InvocationOutcome::Exited(status?.to_string()), Instant::now())
            }
        };
        let latency = at - begin;
        let status = match outcome {
            InvocationOutcome::Response(_) => "success",
            InvocationOutcome::TimedOut => "timeout",
            InvocationOutcome::Error(_) | InvocationOutcome::Exited(_) => "error",
        };
        let metrics = json!({ "durationMs": latency.as_secs_f64() * 1e3 });
        let record = json!({ "requestId": id, "status": status, "metrics": metrics });
        platform.emit("platform.runtimeDone", &record);
        if !matches!(
            outcome,
            InvocationOutcome::Exited(_) | InvocationOutcome::TimedOut
        ) {
            let ready = platform.until(|state| state.failure.is_some() || state.idle());
            tokio::select! {
                waited = timeout(limit, ready) => match waited {
                    Err(_) => bail!("not ready again in time; output: {:#?}", self.lines.all()),
                    Ok(waited) => waited?,
                },
                name = first_exit(&mut self.extensions) => {
                    bail!("{name} exited; output: {:#?}", self.lines.all())
                }
            }
        }
        if let Some(failure) = platform.0.borrow().failure.clone() {
            bail!("{failure}");
        }
        let busy = begin.elapsed();
        let metrics = json!({ "durationMs": busy.as_secs_f64() * 1e3 });
        let record = json!({ "requestId": id, "status": status, "metrics": metrics });
        platform.emit("platform.report", &record);
        self.signal(Signal::SIGSTOP);
        Ok(Invocation {
            id,
            outcome,
            latency,
            busy,
        })
    }

    /// Shuts the environment down: sends SIGTERM to the function and a SHUTDOWN event to the
    /// extensions, and kills all processes that are left after two seconds.
    ///
    /// # Errors
    /// A process cannot be waited for.
    pub async fn shutdown(mut self) -> Result<ShutdownReport> {
        self.quota = None;
        self.signal(Signal::SIGCONT);
        let begin = Instant::now();
        self.function.signal(Signal::SIGTERM);
        let deadline_ms = now_ms() + u64::try_from(SHUTDOWN.as_millis())?;
        let event = json!({
            "eventType": "SHUTDOWN",
            "shutdownReason": "spindown",
            "deadlineMs": deadline_ms,
        });
        self.platform
            .0
            .send_modify(|state| state.notify_extensions("SHUTDOWN", &event));
        let all = async {
            for extension in &mut self.extensions {
                extension.exit().await?;
            }
            anyhow::Ok(())
        };
        let in_time = match timeout(SHUTDOWN, all).await {
            Ok(exited) => exited.map(|()| true)?,
            Err(_) => false,
        };
        let took = begin.elapsed();
        self.function.signal(Signal::SIGKILL);
        self.extensions
            .iter_mut()
            .for_each(|extension| extension.signal(Signal::SIGKILL));
        for process in std::iter::once(&mut self.function).chain(&mut self.extensions) {
            process.drain_output().await;
        }
        Ok(ShutdownReport {
            in_time,
            took,
            lines: self.lines.all(),
        })
    }

    /// Sends SIGTERM to the function and waits until it exits, unlike Lambda. Profilers write their
    /// results at exit.
    ///
    /// # Errors
    /// The function did not exit within the time limit.
    pub async fn end(mut self, limit: Duration) -> Result<()> {
        self.quota = None;
        self.signal(Signal::SIGCONT);
        self.function.signal(Signal::SIGTERM);
        timeout(limit, self.function.exit())
            .await
            .context("the function did not exit after SIGTERM")??;
        Ok(())
    }

    fn signal(&mut self, signal: Signal) {
        if self.freezes {
            std::iter::once(&mut self.function)
                .chain(&mut self.extensions)
                .for_each(|process| process.signal(signal));
        }
    }
}

async fn first_exit(processes: &mut [Process]) -> String {
    loop {
        for process in &mut *processes {
            if process.has_exited() {
                return process.name().to_owned();
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
