use crate::{Contract, Issuer, TestApp};
use lambda_emulator::FunctionConfig;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The compiled service of a package, and its contract. [`crate::service!`] returns it.
#[derive(Debug)]
pub struct Service {
    binary: &'static str,
    /// The contract that responses are checked against.
    pub contract: Contract,
    jwks: PathBuf,
    issuer: OnceLock<Issuer>,
}

/// Returns the [`Service`] of the package whose integration test uses the macro.
#[macro_export]
macro_rules! service {
    () => {{
        static SERVICE: std::sync::LazyLock<$crate::Service> = std::sync::LazyLock::new(|| {
            $crate::Service::new(
                env!(concat!("CARGO_BIN_EXE_", env!("CARGO_PKG_NAME"))),
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml")),
                env!("CARGO_TARGET_TMPDIR"),
            )
        });
        &*SERVICE
    }};
}

/// Defines two tests for each function: `lambda::NAME` and `server::NAME`. Each passes what
/// `START(EntryPoint)` returns, and is skipped if that is `None`:
///
/// ```ignore
/// behaviours!(start; greeting_names_the_service);
///
/// async fn start(entry_point: EntryPoint) -> Option<TestApp> {
///     Some(entry_point.start(testkit::service!(), &[]).await)
/// }
///
/// async fn greeting_names_the_service(app: TestApp) {
///     assert_eq!(app.ask("GET", "/greeting").await.status, 200);
/// }
/// ```
#[macro_export]
macro_rules! behaviours {
    ($start:path; $($name:ident),+ $(,)?) => {
        $crate::behaviours!(@entry_point lambda Lambda $start; $($name)+);
        $crate::behaviours!(@entry_point server Server $start; $($name)+);
    };
    (@entry_point $module:ident $entry_point:ident $start:path; $($name:ident)+) => {
        mod $module {
            #[allow(unused_imports, reason = "START can be a path of the crate")]
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    if let Some(app) = $start($crate::EntryPoint::$entry_point).await {
                        super::$name(app).await;
                    }
                }
            )+
        }
    };
}

/// The entry point that a test starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPoint {
    /// An emulated Lambda environment.
    Lambda,
    /// The HTTP server, which verifies tokens.
    Server,
}

impl EntryPoint {
    /// Starts a service with these environment variables.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(self, service: &'static Service, variables: &[(&str, &str)]) -> TestApp {
        match self {
            Self::Lambda => {
                let launch = variables
                    .iter()
                    .fold(service.launch(), |launch, (name, value)| {
                        launch.variable(name, *value)
                    });
                TestApp::lambda(&service.contract, launch).await
            }
            Self::Server => {
                let mut command = service.server();
                command.envs(variables.iter().copied());
                TestApp::server_with_tokens(&service.contract, command, service.issuer()).await
            }
        }
    }
}

impl Service {
    /// A binary, its contract in YAML, and a folder for files of the tests.
    ///
    /// # Panics
    /// The contract is invalid.
    #[must_use]
    pub fn new(binary: &'static str, contract: &str, folder: &str) -> Self {
        let name = Path::new(binary).file_name().unwrap().to_str().unwrap();
        Self {
            binary,
            contract: Contract::new(contract),
            jwks: Path::new(folder).join(format!("{name}-{}.json", std::process::id())),
            issuer: OnceLock::new(),
        }
    }

    /// The binary as a Lambda function.
    #[must_use]
    pub fn launch(&self) -> FunctionConfig {
        FunctionConfig::new(self.binary)
    }

    /// The binary as an HTTP server on a free port, without an environment.
    #[must_use]
    pub fn server(&self) -> Command {
        let mut command = Command::new(self.binary);
        command.args(["--listen", "127.0.0.1:0"]).env_clear();
        command
    }

    /// The issuer of the tokens that the server verifies.
    fn issuer(&'static self) -> &'static Issuer {
        self.issuer.get_or_init(|| Issuer::new(&self.jwks))
    }
}
