//! The binary: in Lambda it serves the Runtime API; elsewhere, HTTP on a socket.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use inbound::{
    App, Authentication, Settings,
    arguments::Command,
    documents::Links,
    lambda,
    log::{Log, panic_hook, standard_output, subscriber},
    server, shutdown_signal,
    trace::{SpanLayer, Tracer},
};
use movies::{
    api::{self, Api, SCOPES, SERVICE},
    config::Config,
    store::Store,
};
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tracing_subscriber::util::SubscriberInitExt;

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
    REGION               the AWS region (default: AWS_REGION, AWS_DEFAULT_REGION; optional with an endpoint)
    CORS_ORIGINS         web origins whose pages may call the API, separated by commas, such as https://app.example.org (not *)
    TOKEN_URL            where clients request access tokens; the served contract names it
    DOCUMENTATION_URL    the API reference, which GET / and every 401 link to
    AWS_LAMBDA_LOG_LEVEL TRACE, DEBUG, INFO (default), WARN, ERROR or FATAL
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
                         credentials. Without them a web identity token (EKS) or the container endpoint (ECS, EKS Pod
                         Identity) provides and renews them. From a profile: aws configure export-credentials --format env
    AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_DYNAMODB
                         the endpoint of DynamoDB, if it is not the region's
    SSL_CERT_FILE, SSL_CERT_DIR
                         root certificates (PEM) to trust instead of Mozilla's, which are compiled in

On SIGTERM or SIGINT the server drains open requests and exits.
";

/// Maximum time for writing the queued log lines after the server has stopped.
const LOG_FLUSH: Duration = Duration::from_secs(1);

/// Prints a line for the person or the platform that started the process. A line that cannot be
/// printed is left out.
fn print(line: &str) {
    let _ = writeln!(io::stderr(), "{SERVICE}: {line}");
}

// One thread: Lambda sends one request at a time, and a second thread would only add hand-overs.
#[tokio::main(flavor = "local")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Lambda logs standard error where INIT fails; a person reads it in a terminal.
            print(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), StartError> {
    match Command::from_arguments()? {
        Command::Help => Ok(io::stdout().write_all(HELP.as_bytes())?),
        Command::Version => {
            let version = concat!(env!("CARGO_PKG_VERSION"), "\n");
            Ok(io::stdout().write_all(format!("{SERVICE} {version}").as_bytes())?)
        }
        Command::Lambda => {
            let config = Config::from_environment()?;
            if config.function.is_none() {
                return Err(
                    "outside of AWS Lambda, --listen HOST:PORT is needed; see --help".into(),
                );
            }
            let function = config
                .function
                .as_ref()
                .map(|function| function.name.clone());
            let tracer = Tracer::new(SERVICE, config.otlp_endpoint.as_deref(), function);
            let log = start_log(&config, Log::direct(standard_output()?), tracer.layer());
            let (store, app) = app(config, log)?;
            // A table that cannot be read is reported by the response to the first request.
            if let Err(error) = store.prewarm_connection().await {
                let error = error.report();
                tracing::warn!(error, "the table could not be reached while starting");
            }
            // Spawned, because a future awaited directly by `block_on` makes tokio poll the I/O
            // driver three extra times per request.
            tokio::task::spawn_local(lambda::run(app, tracer)).await?
        }
        Command::Listen { addresses, jwks } => {
            let config = Config::from_environment()?;
            let log = start_log(&config, Log::queued(standard_output()?)?, None);
            let (store, app) = app(config, Arc::clone(&log))?;
            let authentication = match jwks {
                None => Authentication::Disabled,
                Some((file, issuer)) => Authentication::from_jwks(file, issuer)?,
            };
            let (socket, mut shutdown) = (server::bind(&addresses)?, Box::pin(shutdown_signal()?));
            let listening = tokio::select! {
                listening = server::listen_when_ready(socket, || is_ready(&store)) => Some(listening?),
                () = &mut shutdown => None,
            };
            if let Some(listener) = listening {
                // The port may have been 0: print which one it is.
                print(&format!("listening on http://{}", listener.local_addr()?));
                server::run(app, listener, authentication, shutdown).await;
            }
            log.flush(LOG_FLUSH);
            Ok(())
        }
    }
}

fn start_log(config: &Config, log: Log, spans: Option<SpanLayer>) -> Arc<Log> {
    let log = Arc::new(log);
    subscriber(
        &[env!("CARGO_PKG_NAME"), "outbound"],
        config.log_level,
        Arc::clone(&log),
        spans,
    )
    .init();
    std::panic::set_hook(Box::new(panic_hook));
    log
}

/// Reads the table. The error is what the log has of it.
async fn is_ready(store: &Store) -> Result<(), String> {
    store
        .prewarm_connection()
        .await
        .map_err(|error| error.report())
}

type StartError = Box<dyn std::error::Error + Send + Sync>;

fn app(config: Config, log: Arc<Log>) -> Result<(Store, Arc<App>), StartError> {
    let aws = outbound::aws::config(config.aws)?;
    let store = Store::new(config.table_name, config.creations_table_name, &aws);
    let links = Links {
        token_url: config.token_url,
        documentation_url: config.documentation_url.clone(),
    };
    let settings = Settings {
        cors_origins: config.cors_origins,
        consumers: config.consumers,
        documentation_url: config.documentation_url,
        function: config.function,
        ..Settings::new(SERVICE, SCOPES, log)
    };
    let router = api::router(Api::new(store.clone(), links));
    Ok((store, Arc::new(App::new(router, settings))))
}
