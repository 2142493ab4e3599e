//! The binary: in Lambda it serves the Runtime API; elsewhere, HTTP on a socket.

use movies::{
    config::Config,
    entry::{Door, lambda, server},
    http::Api,
    store::Store,
    trace::Tracer,
};
use std::{net::SocketAddr, panic::PanicHookInfo, path::PathBuf, process::ExitCode, sync::Arc};
use tracing::{Level, Subscriber};
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

const HELP: &str = "\
movies: the movies service

In AWS Lambda it needs no arguments. Elsewhere:

    movies --listen ADDRESS:PORT [--jwks FILE]

    --listen ADDRESS:PORT   serve HTTP there (put TLS before it)
    --jwks FILE             allow what bearer tokens allow that a key of this JWKS document signed, by RS256 (Cognito's is at
                            https://cognito-idp.REGION.amazonaws.com/POOL/.well-known/jwks.json; read once, at start).
                            Without it every caller may do everything, so only a loopback address is taken.
    --version               print the version
    --help                  print this

Environment: TABLE_NAME (required), CREATIONS_TABLE_NAME (else TABLE_NAME-creations), REGION (else AWS_REGION, else eu-west-1),
CORS_ORIGINS (separated by commas), AWS_LAMBDA_LOG_LEVEL; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (both required) and AWS_SESSION_TOKEN, for credentials
are read from nowhere else (`aws configure export-credentials --format env` gives a profile's); AWS_ENDPOINT_URL; SSL_CERT_FILE (root
certificates to trust instead of the system's).
SIGTERM and SIGINT let open requests finish.
";

enum Command {
    Lambda,
    Listen { address: SocketAddr, jwks: Option<PathBuf> },
    Print(String),
}

fn command() -> Result<Command, String> {
    use lexopt::prelude::*;
    let (mut listen, mut jwks) = (None, None);
    let mut arguments = lexopt::Parser::from_env();
    let mut read = || -> Result<Option<String>, lexopt::Error> {
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("listen") => listen = Some(arguments.value()?.parse::<SocketAddr>()?),
                Long("jwks") => jwks = Some(PathBuf::from(arguments.value()?)),
                Long("version") | Short('V') => return Ok(Some(format!("movies {}\n", env!("CARGO_PKG_VERSION")))),
                Long("help") | Short('h') => return Ok(Some(HELP.to_owned())),
                other => return Err(other.unexpected()),
            }
        }
        Ok(None)
    };
    if let Some(text) = read().map_err(|error| error.to_string())? {
        return Ok(Command::Print(text));
    }
    let Some(address) = listen else { return Ok(Command::Lambda) };
    if !address.ip().is_loopback() && jwks.is_none() {
        return Err(format!("{address} can be reached by others: --jwks FILE is needed to know who may do what"));
    }
    Ok(Command::Listen { address, jwks })
}

// One thread: a Lambda serves one request at a time, and a second thread would only cost hand-overs.
#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Lambda keeps standard error as the log of a failed INIT; a person reads it in a terminal.
            eprintln!("movies: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let command = command()?;
    if let Command::Print(text) = command {
        print!("{text}");
        return Ok(());
    }
    let config = Config::from_environment()?;
    if matches!(command, Command::Lambda) && config.function.is_none() {
        return Err("outside of AWS Lambda, --listen ADDRESS:PORT is needed; see --help".into());
    }
    log(config.log_level, std::io::stdout).init();
    std::panic::set_hook(Box::new(tell_where));

    // Before anything is waited for: a server is told to stop during its start too. Lambda ends its processes itself.
    let mut stop = match command {
        Command::Listen { .. } => Some(Box::pin(stop_signal()?)),
        _ => None,
    };
    let store = Store::open(config.table_name, config.creations_table_name, config.aws)?;
    match &mut stop {
        None => store.warm().await,
        Some(stop) => tokio::select! {
            () = store.warm() => {}
            () = stop => return Ok(()),
        },
    }
    let tracer = Tracer::new(config.otlp_endpoint.as_deref(), config.function.as_ref().map(|function| function.name.clone()));
    let door = Arc::new(Door::new(Api::new(store, config.cors_origins, config.consumers), config.function));
    match (command, stop) {
        (Command::Listen { address, jwks }, Some(stop)) => {
            let access = match jwks {
                None => server::Access::Open,
                Some(path) => {
                    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                    server::Access::by_jwks(&text).map_err(|error| format!("{}: {error}", path.display()))?
                }
            };
            let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
            // The port may have been 0: say which it became.
            eprintln!("movies: listening on http://{}", listener.local_addr()?);
            Ok(server::run(door, listener, access, stop).await?)
        }
        // In a task: before it goes on with this function itself the runtime asks the kernel once more, three times a request.
        _ => tokio::task::spawn_local(lambda::run(door, tracer)).await?,
    }
}

/// The log: JSON on standard output, of this crate alone. Others' lines below a warning hold what must not be in a log: at
/// `debug` AWS's SDK writes whole requests down, at `trace` Lambda's runtime whole events.
fn log<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(level: Level, writer: W) -> impl Subscriber + Send + Sync {
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_target(false).with_ansi(false);
    let lines = lines.with_max_level(level).with_writer(writer).finish();
    lines.with(Targets::new().with_default(level.min(Level::WARN)).with_target(env!("CARGO_PKG_NAME"), level))
}

/// Tells where a panic was. Its message is left out: it may hold what was sent, as that of a text cut within a character does.
fn tell_where(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "panicked");
}

/// Comes true at the first SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(level: Level, work: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        tracing::subscriber::with_default(log(level, move || writer.clone()), work);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    /// Here and not on the binary: nothing that can be sent to it makes it panic.
    #[test]
    fn a_panic_tells_its_place_and_not_what_made_it() {
        std::panic::set_hook(Box::new(tell_where));
        let said = written(Level::INFO, || {
            let title = "a canary, Amélie".to_owned();
            let _ = std::panic::catch_unwind(|| title[..13].to_owned());
        });
        assert!(said.contains("src/main.rs:") && said.contains(r#""level":"ERROR""#) && !said.contains("canary"), "{said}");
    }

    #[test]
    fn of_others_only_warnings_are_logged() {
        let lines = |level| {
            let said = written(level, || {
                tracing::debug!("ours");
                tracing::info!(target: "aws_smithy_runtime", "theirs");
                tracing::warn!(target: "aws_smithy_runtime", "their warning");
                tracing::error!(target: "lambda_runtime", "their error");
            });
            said.lines().map(|line| line.split(r#""message":""#).nth(1).unwrap().split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(lines(Level::TRACE), ["ours", "their warning", "their error"]);
        assert_eq!(lines(Level::INFO), ["their warning", "their error"]);
        assert_eq!(lines(Level::ERROR), ["their error"]);
    }
}
