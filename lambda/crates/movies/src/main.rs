//! The binary: in Lambda it serves the Runtime API; elsewhere, HTTP on a socket.

use movies::{
    config::Config,
    entry::{Door, lambda, server},
    http::Api,
    store::Store,
    trace::Tracer,
};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

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
CORS_ORIGINS (separated by commas), CACHE_TTL_SECONDS (for how long a movie that was read is kept in memory; not at all by
default), AWS_LAMBDA_LOG_LEVEL; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (both required) and AWS_SESSION_TOKEN, for credentials
are read from nowhere else (`aws configure export-credentials --format env` gives a profile's); AWS_ENDPOINT_URL.
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
#[tokio::main(flavor = "current_thread")]
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
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_target(false)
        .with_ansi(false)
        .with_max_level(config.log_level)
        .init();

    let store = Store::open(config.table_name, config.creations_table_name, config.aws, config.cache_ttl);
    store.warm().await;
    let tracer = Tracer::new(config.otlp_endpoint.as_deref(), config.function.as_ref().map(|function| function.name.clone()));
    let door = Arc::new(Door::new(Api::new(store, config.cors_origins), config.function));
    match command {
        Command::Listen { address, jwks } => {
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
            Ok(server::run(door, listener, access, stop_signal()?).await?)
        }
        _ => lambda::run(door, tracer).await,
    }
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
