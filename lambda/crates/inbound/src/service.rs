//! Running a service: arguments, configuration, log, traces, entry point, readiness and shutdown.

use crate::{
    App, Authentication, Config, Scopes, Settings,
    arguments::Command,
    documents::{Build, Documents, Links},
    lambda,
    log::{Log, panic_hook, standard_output, subscriber},
    server, shutdown_signal,
    trace::{SpanLayer, Tracer},
};
use axum::Router;
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tracing_subscriber::util::SubscriberInitExt;

/// Maximum time for writing the queued log lines after the server has stopped.
const LOG_FLUSH: Duration = Duration::from_secs(1);

/// The error that prevents a service from starting. It is printed, with what to do.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// The properties of a service besides its router. [`crate::service!`] creates it.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// The name of the package: in logs, traces, scopes and on the command line.
    pub name: &'static str,
    /// The version of the package.
    pub version: &'static str,
    /// The name of the crate, as the targets of its log events have it.
    pub log_target: &'static str,
    /// The scopes of its operations.
    pub scopes: Scopes,
    /// Its build and its contract.
    pub build: Build,
    /// The lines of `--help` about the environment variables that only this service reads, each
    /// after a line feed.
    pub variables: &'static str,
}

/// The [`Service`] of the package that uses the macro, with [`Service::variables`]. The build
/// script of the package is one call of the crate `contract-build`.
#[macro_export]
macro_rules! service {
    ($variables:expr) => {
        $crate::Service {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            log_target: env!("CARGO_CRATE_NAME"),
            scopes: $crate::scopes!(env!("CARGO_PKG_NAME")),
            build: $crate::documents::Build {
                title: env!("CONTRACT_TITLE"),
                version: env!("CONTRACT_VERSION"),
                contract: include_str!(concat!(env!("OUT_DIR"), "/openapi.json")),
                // `make build` sets the revision; a build by Cargo alone has none.
                revision: match option_env!("MVDB_REVISION") {
                    Some(revision) => revision,
                    None => "unknown",
                },
                build: if cfg!(debug_assertions) {
                    concat!(env!("CARGO_PKG_VERSION"), " debug")
                } else {
                    concat!(env!("CARGO_PKG_VERSION"), " release")
                },
            },
            variables: $variables,
        }
    };
}

/// Runs a service as the arguments of the process request it, until it is stopped.
///
/// `variable` returns an environment variable by its name. `start` makes the router and the
/// readiness check. The server listens once the check succeeds. In Lambda, a check that fails is
/// logged, and the responses report what is not available.
///
/// Errors at the start are printed on standard error, which Lambda logs when INIT fails.
pub async fn run<R>(
    service: Service,
    variable: impl Fn(&str) -> Option<String>,
    start: impl AsyncFnOnce(Documents) -> Result<(Router, R), StartError>,
) -> ExitCode
where
    R: AsyncFn() -> Result<(), String>,
{
    match run_command(service, variable, start).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print(service, &error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run_command<R>(
    service: Service,
    variable: impl Fn(&str) -> Option<String>,
    start: impl AsyncFnOnce(Documents) -> Result<(Router, R), StartError>,
) -> Result<(), StartError>
where
    R: AsyncFn() -> Result<(), String>,
{
    let Service { name, version, .. } = service;
    let command = Command::from_arguments()?;
    match command {
        Command::Help => return Ok(io::stdout().write_all(help(service).as_bytes())?),
        Command::Version => {
            return Ok(io::stdout().write_all(format!("{name} {version}\n").as_bytes())?);
        }
        Command::Lambda | Command::Listen { .. } => {}
    }
    let config = Config::from_variables(variable)?;
    match (command, &config.function) {
        (Command::Listen { addresses, jwks }, _) => {
            let log = start_log(service, &config, Log::queued(standard_output()?)?, None);
            let (app, is_ready) = app(service, config, Arc::clone(&log), start).await?;
            let authentication = match jwks {
                None => Authentication::Disabled,
                Some((file, issuer)) => Authentication::from_jwks(file, issuer)?,
            };
            let (socket, mut shutdown) = (server::bind(&addresses)?, Box::pin(shutdown_signal()?));
            let listening = tokio::select! {
                listening = server::listen_when_ready(socket, is_ready) => Some(listening?),
                () = &mut shutdown => None,
            };
            if let Some(listener) = listening {
                // The port may have been 0: print which one it is.
                let address = listener.local_addr()?;
                print(service, &format!("listening on http://{address}"));
                server::run(app, listener, authentication, shutdown).await;
            }
            log.flush(LOG_FLUSH);
            Ok(())
        }
        (_, None) => Err("outside of AWS Lambda, --listen HOST:PORT is needed; see --help".into()),
        (_, Some(function)) => {
            let function = Some(function.name.clone());
            let tracer = Tracer::new(name, config.otlp_endpoint.as_deref(), function);
            let log = Log::direct(standard_output()?);
            let log = start_log(service, &config, log, tracer.layer());
            let (app, is_ready) = app(service, config, log, start).await?;
            if let Err(error) = is_ready().await {
                tracing::warn!(error, "the service was not ready when it started");
            }
            // Spawned, because a future awaited directly by `block_on` makes tokio poll the I/O
            // driver three extra times per request.
            tokio::task::spawn_local(lambda::run(app, tracer)).await?
        }
    }
}

/// Prints a line for the person or the platform that started the process. A line that cannot be
/// printed is left out.
fn print(service: Service, line: &str) {
    let _ = writeln!(io::stderr(), "{}: {line}", service.name);
}

fn start_log(service: Service, config: &Config, log: Log, spans: Option<SpanLayer>) -> Arc<Log> {
    let log = Arc::new(log);
    let targets = [service.log_target, "outbound"];
    subscriber(&targets, config.log_level, Arc::clone(&log), spans).init();
    std::panic::set_hook(Box::new(panic_hook));
    log
}

async fn app<R>(
    service: Service,
    config: Config,
    log: Arc<Log>,
    start: impl AsyncFnOnce(Documents) -> Result<(Router, R), StartError>,
) -> Result<(Arc<App>, R), StartError> {
    let links = Links {
        token_url: config.token_url,
        documentation_url: config.documentation_url.clone(),
    };
    let (router, is_ready) = start(Documents::new(service.build, links)).await?;
    let settings = Settings {
        cors_origins: config.cors_origins,
        consumers: config.consumers,
        documentation_url: config.documentation_url,
        function: config.function,
        ..Settings::new(service.name, service.scopes, log)
    };
    Ok((Arc::new(App::new(router, settings)), is_ready))
}

fn help(
    Service {
        name, variables, ..
    }: Service,
) -> String {
    format!(
        "\
{name}: the {name} service

AWS Lambda runs it without arguments. Elsewhere:

    {name} --listen HOST:PORT [--jwks FILE --issuer URL]

    --listen HOST:PORT   serve HTTP on this address, once the service is ready (TLS has to end in
                         front of it)
    --jwks FILE          authenticate bearer tokens (RS256) with the keys in this JWKS file
                         (Cognito's is at
                         https://cognito-idp.REGION.amazonaws.com/POOL/.well-known/jwks.json). The
                         file is read again when a token names an unknown key. Without --jwks
                         requests are not authenticated; only loopback addresses are accepted.
    --issuer URL         the issuer (iss) of the tokens (Cognito's is
                         https://cognito-idp.REGION.amazonaws.com/POOL)
    --version            print the version
    --help               print this help

Environment variables:{variables}
    CORS_ORIGINS         web origins whose pages may call the API, separated by commas, such as
                         https://app.example.org (not *)
    TOKEN_URL            where clients request access tokens; the served contract names it
    DOCUMENTATION_URL    the API reference, which GET / and every 401 link to
    AWS_LAMBDA_LOG_LEVEL TRACE, DEBUG, INFO (default), WARN, ERROR or FATAL

On SIGTERM or SIGINT the server drains open requests and exits.
"
    )
}
