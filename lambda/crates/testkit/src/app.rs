use crate::{Contract, HttpServer, Issuer, RequestBuilder, Response, assert_contract};
use lambda_emulator::{Environment, Event, FunctionConfig, InvocationOutcome};
use serde_json::Value;
use std::{
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::spawn_blocking;

/// A compiled service behind one of its entry points, and its contract. Clones share the process.
#[derive(Clone, Debug)]
pub struct TestApp {
    entry_point: Running,
    contract: &'static Contract,
}

#[derive(Clone, Debug)]
enum Running {
    Lambda(Arc<Function>),
    Server(Arc<HttpServer>, Option<&'static Issuer>),
}

/// A function as Lambda runs it: an environment handles one event at a time, and when all are busy
/// another one starts.
#[derive(Debug)]
struct Function {
    launch: FunctionConfig,
    idle: Mutex<Vec<Environment>>,
}

impl Function {
    /// An idle environment, or a new one.
    async fn environment(&self) -> Environment {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(environment) => environment,
            None => Environment::start(self.launch.clone()).await.unwrap(),
        }
    }

    fn release(&self, environment: Environment) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(environment);
    }
}

impl TestApp {
    /// A compiled function in an emulated Lambda environment, which has started when this returns.
    ///
    /// # Panics
    /// It does not start.
    pub async fn lambda(contract: &'static Contract, launch: FunctionConfig) -> Self {
        let function = Function {
            launch,
            idle: Mutex::default(),
        };
        function.release(function.environment().await);
        Self {
            entry_point: Running::Lambda(Arc::new(function)),
            contract,
        }
    }

    /// A program that serves HTTP without authentication; see [`HttpServer::start`].
    ///
    /// # Panics
    /// It does not start.
    pub async fn server(contract: &'static Contract, command: Command) -> Self {
        Self::start_server(contract, command, None).await
    }

    /// A program that serves HTTP and verifies the tokens of `issuer`. Every request without an
    /// Authorization header gets a token with the scope and the client id of its
    /// [`RequestBuilder`].
    ///
    /// # Panics
    /// It does not start.
    pub async fn server_with_tokens(
        contract: &'static Contract,
        mut command: Command,
        issuer: &'static Issuer,
    ) -> Self {
        command.args(issuer.arguments());
        Self::start_server(contract, command, Some(issuer)).await
    }

    async fn start_server(
        contract: &'static Contract,
        command: Command,
        issuer: Option<&'static Issuer>,
    ) -> Self {
        // Off this thread, because a server in this process may be what it waits for.
        let server = spawn_blocking(|| HttpServer::start(command)).await.unwrap();
        Self {
            entry_point: Running::Server(Arc::new(server), issuer),
            contract,
        }
    }

    /// The contract that its responses are checked against.
    #[must_use]
    pub fn contract(&self) -> &'static Contract {
        self.contract
    }

    /// The server, if that is the entry point.
    #[must_use]
    pub fn http_server(&self) -> Option<&HttpServer> {
        match &self.entry_point {
            Running::Server(server, _) => Some(server),
            Running::Lambda(_) => None,
        }
    }

    /// The server alone, to stop it.
    ///
    /// # Panics
    /// The entry point is Lambda, or a clone still uses it.
    #[must_use]
    pub fn into_http_server(self) -> HttpServer {
        match self.entry_point {
            Running::Server(server, _) => Arc::into_inner(server).expect("no clone of it"),
            Running::Lambda(_) => panic!("{self:?} is no server"),
        }
    }

    /// The lines on standard output so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        match &self.entry_point {
            Running::Lambda(function) => {
                let idle = function.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.iter()
                    .flat_map(Environment::lines)
                    .map(|line| line.text)
                    .collect()
            }
            Running::Server(server, _) => server.log(),
        }
    }

    /// The status of a response to a request without a token. API Gateway rejects such a request
    /// itself, and the function treats one that lacks verified claims as one without the scope.
    #[must_use]
    pub fn status_without_token(&self) -> u16 {
        match &self.entry_point {
            Running::Lambda(_) => 403,
            Running::Server(..) => 401,
        }
    }

    /// Sends a request without headers and body, by a client that may write.
    pub async fn ask(&self, method: &str, target: &str) -> Response {
        self.send(RequestBuilder::new(method, target)).await
    }

    /// Sends a request and asserts that the contract declares the response.
    pub async fn send(&self, request: RequestBuilder) -> Response {
        let request = request.default_scope(self.contract);
        let response = match &self.entry_point {
            Running::Server(server, issuer) => {
                let request = match issuer {
                    Some(issuer) => request.clone().authorized_by(issuer),
                    None => request.clone(),
                };
                server.send(&request).await
            }
            Running::Lambda(function) => {
                deliver(function, &request.event().to_string(), request.limit()).await
            }
        };
        request.assert_contract(self.contract, &response);
        response
    }

    /// Passes an event to a function as it is, and asserts that the contract declares the response.
    ///
    /// # Panics
    /// The entry point is the HTTP server.
    pub async fn invoke(&self, event: &str) -> Response {
        let Running::Lambda(function) = &self.entry_point else {
            panic!("an HTTP server takes no events");
        };
        let response = deliver(function, event, Duration::from_secs(10)).await;
        // An event that is not a request has no operation.
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let text = |member: &str| event[member].as_str().unwrap_or_default();
        assert_contract(
            self.contract,
            text("httpMethod"),
            text("path"),
            None,
            &response,
        );
        response
    }

    /// Creates a movie by `POST /movies`.
    ///
    /// # Panics
    /// The response is not 201.
    #[track_caller]
    pub fn create(&self, movie: &Value) -> impl Future<Output = Response> {
        let request = RequestBuilder::new("POST", "/movies").json(movie);
        async move {
            let response = self.send(request).await;
            assert_eq!(response.status, 201, "{response:?}");
            response
        }
    }
}

async fn deliver(function: &Function, event: &str, limit: Duration) -> Response {
    let mut environment = function.environment().await;
    let answer = environment
        .invoke(Event::new(event.to_owned()).time_limit(limit))
        .await
        .unwrap();
    let InvocationOutcome::Response(response) = answer.outcome else {
        panic!("{answer:?}: {:#?}", environment.lines())
    };
    function.release(environment);
    let response = Response::from_proxy(&serde_json::from_slice(&response).unwrap());
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    // An event without a request id gets the id of the invocation.
    let id = event["requestContext"]["requestId"]
        .as_str()
        .unwrap_or(&answer.id);
    assert_eq!(response.header("x-request-id"), Some(id), "{response:?}");
    response
}
