//! An execution environment: a function, its extensions, and the order in which Lambda treats them.

use crate::{
    platform::{NextFault, Outcome, Pending, Platform},
    process::{Line, Lines, Process},
    quota::Quota,
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

/// How long INIT may take, as in Lambda.
const INIT: Duration = Duration::from_secs(10);
/// How long a function with extensions has to shut down, as in Lambda.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How long what was written last is waited for when INIT fails.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What to start, and how.
#[derive(Clone, Debug)]
pub struct Launch {
    function: PathBuf,
    extensions: Vec<PathBuf>,
    variables: BTreeMap<String, String>,
    freezes: bool,
    cpu_share: Option<f64>,
    init_limit: Duration,
}

impl Launch {
    /// A function by its `bootstrap`, with the variables that Lambda sets.
    #[must_use]
    pub fn new(function: impl Into<PathBuf>) -> Self {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "AKIAIMITATION"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_NAME", "imitation"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/imitation"),
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

    /// With an external extension, by its binary.
    #[must_use]
    pub fn extension(mut self, binary: impl Into<PathBuf>) -> Self {
        self.extensions.push(binary.into());
        self
    }

    /// With a variable, for the function and its extensions.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Without being stopped between events: for measuring, where the signals would count.
    #[must_use]
    pub fn never_frozen(mut self) -> Self {
        self.freezes = false;
        self
    }

    /// With a share of one CPU for the function once INIT is over, as Lambda gives it: 0.07 for 128 MB. Not to be frozen too.
    #[must_use]
    pub fn cpu_share(mut self, share: f64) -> Self {
        self.cpu_share = Some(share);
        self.never_frozen()
    }

    /// With this long for INIT instead of ten seconds: for a function that runs under a tool.
    #[must_use]
    pub fn init_limit(mut self, limit: Duration) -> Self {
        self.init_limit = limit;
        self
    }
}

/// What a function is invoked with.
#[derive(Clone, Debug)]
pub struct Event {
    body: Bytes,
    trace: Option<String>,
    time_limit: Duration,
}

impl Event {
    /// An event of this JSON, with three seconds to answer it.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            trace: None,
            time_limit: Duration::from_secs(3),
        }
    }

    /// With a trace header, `Root=…;Parent=…;Sampled=1`.
    #[must_use]
    pub fn trace(mut self, header: impl Into<String>) -> Self {
        self.trace = Some(header.into());
        self
    }

    /// With this long to answer it. None at all makes a deadline that has passed.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }
}

/// What came of an invocation.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request's id.
    pub id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// From the event's being there to the answer's: what the caller waits for.
    pub latency: Duration,
    /// From the event's being there until function and extensions were ready for another: what is paid for.
    pub busy: Duration,
}

/// What came of a shutdown.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Whether the extensions ended by themselves within the time that Lambda gives.
    pub in_time: bool,
    /// How long that took.
    pub took: Duration,
    /// All that was written to standard output and error.
    pub lines: Vec<Line>,
}

/// A running environment.
#[derive(Debug)]
pub struct Environment {
    /// The first to be dropped: it signals the function.
    quota: Option<Quota>,
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
    /// INIT: starts the extensions, then the function, and waits until all have asked for their first event.
    ///
    /// # Errors
    /// What made INIT fail: a process that ended or reported an error, or ten seconds; with all that was written.
    pub async fn start(launch: Launch) -> Result<Self> {
        let platform = Platform::new();
        let server = {
            let platform = platform.clone();
            Server::http(move |request| platform.clone().answer(request)).await?
        };
        let mut variables = launch.variables;
        variables.insert(
            "AWS_LAMBDA_RUNTIME_API".into(),
            server.url().trim_start_matches("http://").into(),
        );

        let (begin, lines) = (Instant::now(), Lines::default());
        let failed = async |why: String| {
            tokio::time::sleep(LAST_WORDS).await;
            anyhow::anyhow!("INIT failed: {why}; it wrote {:#?}", lines.all())
        };
        let mut extensions = Vec::new();
        for binary in &launch.extensions {
            // Extensions are not given the function's own variables.
            let variables = variables.iter().filter(|(name, _)| {
                !matches!(
                    name.as_str(),
                    "_HANDLER" | "LAMBDA_TASK_ROOT" | "AWS_EXECUTION_ENV"
                )
            });
            let mut extension = Process::start(binary, variables, &lines)?;
            let name = extension.name().to_owned();
            let registered =
                platform.until(|state| state.broken.is_some() || state.has_registered(&name));
            tokio::select! {
                waited = timeout(launch.init_limit, registered) => match waited {
                    Err(_) => return Err(failed(format!("{} did not register", binary.display())).await),
                    Ok(waited) => waited?,
                },
                who = first_end(slice::from_mut(&mut extension)) => return Err(failed(format!("{who} ended")).await),
            }
            extensions.push(extension);
        }
        let mut function = Process::start(&launch.function, variables.iter(), &lines)?;
        let ready = platform.until(|state| state.broken.is_some() || state.idle());
        tokio::select! {
            waited = timeout(launch.init_limit.saturating_sub(begin.elapsed()), ready) => match waited {
                Err(_) => return Err(failed("not everybody asked for an event".into()).await),
                Ok(waited) => waited?,
            },
            ended = function.end() => return Err(failed(format!("the function ended: {}", ended?)).await),
            who = first_end(&mut extensions) => return Err(failed(format!("{who} ended")).await),
        }
        let broken = platform.0.borrow().broken.clone();
        if let Some(broken) = broken {
            return Err(failed(broken).await);
        }
        let init = begin.elapsed();
        let quota = launch.cpu_share.map(|share| function.hold_to(share));
        let mut environment = Self {
            quota,
            platform,
            _server: server,
            function,
            extensions,
            lines,
            freezes: launch.freezes,
            invocations: 0,
            init,
        };
        environment.signal(Signal::SIGSTOP);
        Ok(environment)
    }

    /// How long INIT took, from the first process's start.
    #[must_use]
    pub fn init(&self) -> Duration {
        self.init
    }

    /// The function's process.
    #[must_use]
    pub fn function(&self) -> &Process {
        &self.function
    }

    /// The extensions' processes.
    #[must_use]
    pub fn extensions(&self) -> &[Process] {
        &self.extensions
    }

    /// What the processes have written so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lines.all()
    }

    /// What they have written since there were `count` lines.
    #[must_use]
    pub fn lines_after(&self, count: usize) -> Vec<Line> {
        self.lines.after(count)
    }

    /// Spoils the function's next questions for an event, one fault each. (The one that is open by now is not among them.)
    pub fn spoil_next(&self, faults: impl IntoIterator<Item = NextFault>) {
        self.platform
            .0
            .send_modify(|state| state.next_faults.extend(faults));
    }

    /// Invokes the function, and waits until function and extensions are ready for another event.
    ///
    /// # Errors
    /// An extension broke, or was not ready when the time limit had passed: Lambda would begin with a new environment.
    pub async fn invoke(&mut self, event: Event) -> Result<Answer> {
        self.invocations += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.invocations);
        let deadline_ms = now_ms() + u64::try_from(event.time_limit.as_millis())?;
        // A function whose deadline has passed may still answer; give it the time that Lambda's own bookkeeping takes.
        let limit = event.time_limit.max(Duration::from_millis(500));
        let (platform, record) = (
            self.platform.clone(),
            json!({ "requestId": id, "version": "$LATEST" }),
        );

        self.signal(Signal::SIGCONT);
        let begin = Instant::now();
        platform.emit("platform.start", &record);
        platform.0.send_modify(|state| {
            let arn = "arn:aws:lambda:eu-west-1:000000000000:function:imitation";
            let event_of_extensions =
                json!({ "eventType": "INVOKE", "deadlineMs": deadline_ms, "requestId": id, "invokedFunctionArn": arn });
            state.tell_extensions("INVOKE", &event_of_extensions);
            state.outcome = None;
            state.pending = Some(Pending { id: id.clone(), body: event.body, deadline_ms, trace: event.trace });
        });
        let (outcome, at) = tokio::select! {
            waited = timeout(limit, platform.until(|state| state.outcome.is_some())) => match waited {
                Err(_) => (Outcome::TimedOut, Instant::now()),
                Ok(waited) => { waited?; platform.0.borrow().outcome.clone().context("an outcome")? }
            },
            ended = self.function.end() => (Outcome::Exited(ended?.to_string()), Instant::now()),
        };
        let latency = at - begin;
        let status = match outcome {
            Outcome::Response(_) => "success",
            Outcome::TimedOut => "timeout",
            Outcome::Error(_) | Outcome::Exited(_) => "error",
        };
        let record = json!({ "requestId": id, "status": status, "metrics": { "durationMs": latency.as_secs_f64() * 1e3 } });
        platform.emit("platform.runtimeDone", &record);
        if !matches!(outcome, Outcome::Exited(_) | Outcome::TimedOut) {
            tokio::select! {
                waited = timeout(limit, platform.until(|state| state.broken.is_some() || state.idle())) => {
                    waited.map_err(|_| anyhow::anyhow!("not ready again in time; it wrote {:#?}", self.lines.all()))??;
                }
                who = first_end(&mut self.extensions) => bail!("{who} ended; it wrote {:#?}", self.lines.all()),
            }
        }
        if let Some(broken) = platform.0.borrow().broken.clone() {
            bail!("{broken}");
        }
        let busy = begin.elapsed();
        let record = json!({ "requestId": id, "status": status, "metrics": { "durationMs": busy.as_secs_f64() * 1e3 } });
        platform.emit("platform.report", &record);
        self.signal(Signal::SIGSTOP);
        Ok(Answer {
            id,
            outcome,
            latency,
            busy,
        })
    }

    /// SHUTDOWN: the function gets SIGTERM, the extensions their event and two seconds; what is left is killed.
    ///
    /// # Errors
    /// A process cannot be waited for.
    pub async fn shutdown(mut self) -> Result<Ended> {
        self.quota = None;
        self.signal(Signal::SIGCONT);
        let begin = Instant::now();
        self.function.signal(Signal::SIGTERM);
        let deadline_ms = now_ms() + u64::try_from(SHUTDOWN.as_millis())?;
        let event = json!({ "eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": deadline_ms });
        self.platform
            .0
            .send_modify(|state| state.tell_extensions("SHUTDOWN", &event));
        let all = async {
            for extension in &mut self.extensions {
                extension.end().await?;
            }
            anyhow::Ok(())
        };
        let in_time = match timeout(SHUTDOWN, all).await {
            Ok(ended) => ended.map(|()| true)?,
            Err(_) => false,
        };
        let took = begin.elapsed();
        self.function.signal(Signal::SIGKILL);
        self.extensions
            .iter_mut()
            .for_each(|extension| extension.signal(Signal::SIGKILL));
        for process in std::iter::once(&mut self.function).chain(&mut self.extensions) {
            process.last_words().await;
        }
        Ok(Ended {
            in_time,
            took,
            lines: self.lines.all(),
        })
    }

    /// Ends the function by SIGTERM and waits for its end, which in Lambda nobody does: for tools that write what they saw then.
    ///
    /// # Errors
    /// It did not end within the time.
    pub async fn end(mut self, limit: Duration) -> Result<()> {
        self.quota = None;
        self.signal(Signal::SIGCONT);
        self.function.signal(Signal::SIGTERM);
        timeout(limit, self.function.end())
            .await
            .context("the function did not end at SIGTERM")??;
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

async fn first_end(processes: &mut [Process]) -> String {
    loop {
        for process in &mut *processes {
            if process.has_ended() {
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
