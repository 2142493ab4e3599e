//! The compiled service behind one of its entry points, with its own tables.

use super::{TABLES, movies};
use std::{ops::Deref, process::Command};
use testkit::{Tables, TestApp};

/// Defines two tests for each function, `lambda::NAME` and `server::NAME`; see
/// [`testkit::behaviours!`]. Without a DynamoDB emulator they are skipped; see
/// [`testkit::emulator`].
macro_rules! behaviours {
    ($($name:ident),+ $(,)?) => {
        testkit::behaviours!(crate::app::on_emulator; $($name),+);
    };
}

/// Returns the entry point, or `None` if there is no emulator.
pub(super) async fn on_emulator(entry_point: testkit::EntryPoint) -> Option<EntryPoint> {
    testkit::emulator().map(|_| EntryPoint(entry_point))
}

/// The entry point that a test starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryPoint(testkit::EntryPoint);

impl EntryPoint {
    /// An emulated Lambda environment.
    pub(super) const LAMBDA: Self = Self(testkit::EntryPoint::Lambda);

    /// Starts the service with empty tables.
    pub(super) async fn start(self) -> App {
        self.start_with(&[]).await
    }

    /// Starts the service with empty tables and additional environment variables.
    pub(super) async fn start_with(self, variables: &[(&str, &str)]) -> App {
        let tables = Tables::create(TABLES)
            .await
            .expect("behaviours! requires an emulator");
        let app = self.start_on(&tables, variables).await;
        App { app, tables }
    }

    /// Starts the service with existing tables.
    pub(super) async fn start_on(self, tables: &Tables, variables: &[(&str, &str)]) -> TestApp {
        let url = std::env::var("AWS_ENDPOINT_URL").unwrap();
        let names = [
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("TABLE_NAME", tables.name("movies")),
            ("CREATIONS_TABLE_NAME", tables.name("creations")),
        ];
        self.start_service(&[&names, variables].concat()).await
    }

    /// Starts the service with these variables and credentials.
    pub(super) async fn start_service(self, variables: &[(&str, &str)]) -> TestApp {
        let required = [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("TABLE_NAME", "movies"),
        ];
        self.0
            .start(movies(), &[&required, variables].concat())
            .await
    }
}

/// Returns the command of the HTTP server on a free port, without environment variables.
pub(super) fn server() -> Command {
    let mut command = movies().server();
    command.env("TABLE_NAME", "movies");
    command
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
    /// Returns the name of the table of movies.
    pub(super) fn table(&self) -> &str {
        self.tables.name("movies")
    }
}
