//! The compiled service behind one of its entry points, on tables of its own.

use super::{TABLES, contract};
use lambda_emulator::Launch;
use std::{ops::Deref, process::Command, sync::OnceLock};
use testkit::{Issuer, Tables, TestApp};

/// Defines two tests for each function: `lambda::NAME` and `server::NAME`. Each passes its entry
/// point. Without a DynamoDB emulator they are skipped; see [`testkit::emulator`].
macro_rules! behaviours {
    ($($name:ident),+ $(,)?) => {
        behaviours!(@entry_point lambda Lambda $($name)+);
        behaviours!(@entry_point server Server $($name)+);
    };
    (@entry_point $module:ident $entry_point:ident $($name:ident)+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $name() {
                    if testkit::emulator().is_some() {
                        super::$name(crate::app::EntryPoint::$entry_point).await;
                    }
                }
            )+
        }
    };
}

/// How the binary is started.
#[derive(Clone, Copy, Debug)]
pub(super) enum EntryPoint {
    /// By an emulated Lambda environment.
    Lambda,
    /// As an HTTP server that verifies tokens.
    Server,
}

impl EntryPoint {
    /// The service on empty tables.
    pub(super) async fn start(self) -> App {
        self.start_with(&[]).await
    }

    /// The service on empty tables, with more environment variables.
    pub(super) async fn start_with(self, variables: &[(&str, &str)]) -> App {
        let tables = Tables::create(TABLES)
            .await
            .expect("behaviours! asks for an emulator");
        let app = self.start_on(&tables, variables).await;
        App { app, tables }
    }

    /// The service on tables that exist.
    pub(super) async fn start_on(self, tables: &Tables, variables: &[(&str, &str)]) -> TestApp {
        let url = std::env::var("AWS_ENDPOINT_URL").unwrap();
        let names = [
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("TABLE_NAME", tables.name("movies")),
            ("CREATIONS_TABLE_NAME", tables.name("creations")),
        ];
        self.start_service(&[&names, variables].concat()).await
    }

    /// The service with these variables besides credentials.
    pub(super) async fn start_service(self, variables: &[(&str, &str)]) -> TestApp {
        let credentials = [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        let variables = credentials.iter().chain(variables);
        match self {
            Self::Lambda => {
                let launch = variables.fold(launch(), |launch, (name, value)| {
                    launch.variable(name, *value)
                });
                TestApp::lambda(contract(), launch).await
            }
            Self::Server => {
                let mut command = server();
                command.envs(variables.copied());
                TestApp::server_with_tokens(contract(), command, issuer()).await
            }
        }
    }
}

/// The binary as a Lambda function.
pub(super) fn launch() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_movies")).variable("TABLE_NAME", "movies")
}

/// The binary as an HTTP server on a free port, without an environment.
pub(super) fn server() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_movies"));
    command
        .args(["--listen", "127.0.0.1:0"])
        .env_clear()
        .env("TABLE_NAME", "movies");
    command
}

/// The issuer of every token, unless a test has one of its own.
fn issuer() -> &'static Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    ISSUER.get_or_init(|| Issuer::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/behaviours.json")))
}

/// The service and its tables.
#[derive(Clone, Debug)]
pub(super) struct App {
    app: TestApp,
    pub(super) tables: Tables,
}

impl Deref for App {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl App {
    /// The table of movies.
    pub(super) fn table(&self) -> &str {
        self.tables.name("movies")
    }
}
