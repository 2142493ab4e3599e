//! The binary: in Lambda it serves the Runtime API; elsewhere, HTTP on a socket.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use movies::{
    config::Config,
    entry::{Door, lambda, server},
    http::{Api, Links},
    log::{Log, standard_output},
    store::Store,
    trace::Tracer,
};
use std::{
    io::{self, Write},
    net::{SocketAddr, ToSocketAddrs},
    panic::PanicHookInfo,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::net::{TcpListener, TcpSocket};
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    filter::Targets, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

const HELP: &str = "\
movies: the movies service

AWS Lambda runs it without arguments. Elsewhere:

    movies --listen HOST:PORT [--jwks FILE --issuer URL]

    --listen HOST:PORT   serve HTTP on this address, once the table can be read (TLS has to end in front of it)
    --jwks FILE          authenticate bearer tokens (RS256) with the keys in this JWKS file (Cognito's is at
                         https://cognito-idp.REGION.amazonaws.com/POOL/.well-known/jwks.json). The file is read again when a
                         token names an unknown key. Without --jwks requests are not authenticated; only loopback addresses are
                         accepted.
    --issuer URL         the issuer (iss) of the tokens (Cognito's is https://cognito-idp.REGION.amazonaws.com/POOL)
    --version            print the version
    --help               print this help

Environment variables:
    TABLE_NAME           the table of movies (required)
    CREATIONS_TABLE_NAME the table of idempotency keys (default: TABLE_NAME with -creations)
    REGION               the AWS region (default: AWS_REGION, AWS_DEFAULT_REGION, the profile's; optional with an endpoint)
    CORS_ORIGINS         web origins whose pages may call the API, separated by commas, such as https://app.example.org (not *)
    TOKEN_URL            where clients request access tokens; the served contract names it
    DOCUMENTATION_URL    the API reference, which GET / and every 401 link to
    AWS_LAMBDA_LOG_LEVEL TRACE, DEBUG, INFO (default), WARN, ERROR or FATAL
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
                         credentials. Without them the AWS SDK's default chain provides and renews credentials: profile, web
                         identity token (EKS), container endpoint (ECS, EKS Pod Identity), EC2 instance role
    AWS_ENDPOINT_URL     the endpoint of DynamoDB, if it is not the region's
    SSL_CERT_FILE, SSL_CERT_DIR
                         root certificates (PEM) to trust instead of Mozilla's, which are compiled in

On SIGTERM or SIGINT the server drains open requests and exits.
";

enum Command {
    Lambda,
    Listen {
        addresses: Vec<SocketAddr>,
        tokens: Option<(PathBuf, String)>,
    },
    Print(String),
}

/// Maximum time for writing the queued log lines after the server has stopped.
const LOG_FLUSH: Duration = Duration::from_secs(1);
/// Between two attempts to read the table before the socket opens.
const READINESS_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of connections that wait to be accepted.
const BACKLOG: u32 = 1024;

fn command() -> Result<Command, String> {
    use lexopt::prelude::*;
    let (mut listen, mut jwks, mut issuer) = (None, None, None);
    let mut arguments = lexopt::Parser::from_env();
    let mut read = || -> Result<Option<String>, lexopt::Error> {
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("listen") => listen = Some(arguments.value()?.string()?),
                Long("jwks") => jwks = Some(PathBuf::from(arguments.value()?)),
                Long("issuer") => issuer = Some(arguments.value()?.string()?),
                Long("version") | Short('V') => {
                    return Ok(Some(format!("movies {}\n", env!("CARGO_PKG_VERSION"))));
                }
                Long("help") | Short('h') => return Ok(Some(HELP.to_owned())),
                other => return Err(other.unexpected()),
            }
        }
        Ok(None)
    };
    if let Some(text) = read().map_err(|error| error.to_string())? {
        return Ok(Command::Print(text));
    }
    let Some(listen) = listen else {
        return Ok(Command::Lambda);
    };
    let tokens = match (jwks, issuer) {
        (None, None) => None,
        (Some(jwks), Some(issuer)) => Some((jwks, issuer)),
        (Some(_), None) => {
            return Err(
                "--jwks needs --issuer URL, which is the iss of the tokens; see --help".into(),
            );
        }
        (None, Some(_)) => return Err("--issuer needs --jwks FILE; see --help".into()),
    };
    let addresses = addresses(&listen)?;
    if let (Some(address), None) = (
        addresses.iter().find(|address| !address.ip().is_loopback()),
        &tokens,
    ) {
        return Err(format!(
            "{address} can be reached by others: --jwks FILE is needed to know who may do what"
        ));
    }
    Ok(Command::Listen { addresses, tokens })
}

/// The addresses of `HOST:PORT`, those of IPv4 first: of a name that has both, clients try either.
fn addresses(listen: &str) -> Result<Vec<SocketAddr>, String> {
    let wrong = |error: io::Error| {
        format!("--listen {listen}: {error}; it must be HOST:PORT, such as 127.0.0.1:8080")
    };
    let mut addresses: Vec<_> = listen.to_socket_addrs().map_err(wrong)?.collect();
    addresses.sort_by_key(|address| !address.is_ipv4());
    Ok(addresses)
}

/// Binds the first address that is available, without accepting connections yet.
fn bind(addresses: &[SocketAddr]) -> Result<TcpSocket, String> {
    let bind = |address: &SocketAddr| {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(*address).map(|()| socket)
    };
    let mut failed = "there is no address to listen on".to_owned();
    for address in addresses {
        match bind(address) {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = format!("{address}: {error}"),
        }
    }
    Err(failed)
}

/// Prints a line for the person or the platform that started the process. A line that cannot be
/// printed is left out.
fn print(line: &str) {
    let _ = writeln!(io::stderr(), "movies: {line}");
}

// One thread: a Lambda serves one request at a time, and a second thread would only cost hand-overs.
#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Lambda keeps standard error as the log of a failed INIT; a person reads it in a terminal.
            print(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let command = command()?;
    if let Command::Print(text) = command {
        return Ok(io::stdout().write_all(text.as_bytes())?);
    }
    let config = Config::from_environment()?;
    if matches!(command, Command::Lambda) && config.function.is_none() {
        return Err("outside of AWS Lambda, --listen HOST:PORT is needed; see --help".into());
    }
    let lines = Arc::new(match command {
        Command::Listen { .. } => Log::queued(standard_output()?)?,
        _ => Log::direct(standard_output()?),
    });
    log(config.log_level, Arc::clone(&lines)).init();
    std::panic::set_hook(Box::new(tell_where));

    let aws = outbound::aws::load(config.aws).await?;
    let store = Store::new(config.table_name, config.creations_table_name, &aws);
    let links = Links {
        token_url: config.token_url,
        documentation_url: config.documentation_url,
    };
    let api = |store| {
        Api::new(store, config.cors_origins)
            .with_links(links)
            .with_consumers(config.consumers)
    };
    match command {
        Command::Listen { addresses, tokens } => {
            let access = match tokens {
                None => server::Access::Open,
                Some((jwks, issuer)) => server::Access::by_jwks(jwks, issuer)?,
            };
            let (socket, mut stop) = (bind(&addresses)?, Box::pin(stop_signal()?));
            let listening = tokio::select! {
                listening = listen_when_ready(&store, socket) => Some(listening?),
                () = &mut stop => None,
            };
            if let Some(listener) = listening {
                // The port may have been 0: print which one it is.
                print(&format!("listening on http://{}", listener.local_addr()?));
                let door = Arc::new(Door::new(api(store), config.function, Arc::clone(&lines)));
                server::run(door, listener, access, stop).await;
            }
            lines.flush(LOG_FLUSH);
            Ok(())
        }
        _ => {
            // A table that cannot be read is reported by the first request's own response.
            if let Err(error) = store.prewarm_connection().await {
                tracing::warn!(
                    error = error.report(),
                    "the table could not be reached while starting"
                );
            }
            let function = config
                .function
                .as_ref()
                .map(|function| function.name.clone());
            let tracer = Tracer::new(config.otlp_endpoint.as_deref(), function);
            let door = Arc::new(Door::new(api(store), config.function, lines));
            // In a task: before it goes on with this function itself the runtime asks the kernel
            // once more, three times a request.
            tokio::task::spawn_local(lambda::run(door, tracer)).await?
        }
    }
}

/// Opens the socket after the first successful read of the table: an open socket is what readiness
/// probes look for.
async fn listen_when_ready(store: &Store, socket: TcpSocket) -> io::Result<TcpListener> {
    while let Err(error) = store.prewarm_connection().await {
        tracing::warn!(
            error = error.report(),
            "the table cannot be read, so the socket is not open yet"
        );
        tokio::time::sleep(READINESS_INTERVAL).await;
    }
    socket.listen(BACKLOG)
}

/// The log: JSON on standard output, of this crate alone. Others' lines below a warning hold what must not be in a log: at
/// `debug` AWS's SDK writes whole requests down, at `trace` Lambda's runtime whole events.
fn log<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(
    level: Level,
    writer: W,
) -> impl Subscriber + Send + Sync {
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_target(false)
        .with_ansi(false);
    // Otherwise it would print, and so panic, when both standard output and standard error cannot
    // be written.
    let lines = lines.log_internal_errors(false);
    let lines = lines.with_max_level(level).with_writer(writer).finish();
    lines.with(
        Targets::new()
            .with_default(level.min(Level::WARN))
            .with_target(env!("CARGO_PKG_NAME"), level),
    )
}

/// Tells where a panic was. Its message is left out: it may hold what was sent, as that of a text cut within a character does.
fn tell_where(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, "panicked");
}

/// Comes true at the first SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
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
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write(bytes)
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
        assert!(
            said.contains("src/main.rs:")
                && said.contains(r#""level":"ERROR""#)
                && !said.contains("canary"),
            "{said}"
        );
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
            said.lines()
                .map(|line| {
                    line.split(r#""message":""#)
                        .nth(1)
                        .unwrap()
                        .split('"')
                        .next()
                        .unwrap()
                        .to_owned()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lines(Level::TRACE),
            ["ours", "their warning", "their error"]
        );
        assert_eq!(lines(Level::INFO), ["their warning", "their error"]);
        assert_eq!(lines(Level::ERROR), ["their error"]);
    }
}
