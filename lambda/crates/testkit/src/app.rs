use crate::{Contract, HttpServer, RequestBuilder, Response, assert_contract};
use lambda_emulator::{Environment, Event, Launch, Outcome};
use serde_json::Value;
use std::{fmt, pin::Pin, process::Command, sync::Arc, time::Duration};
use tokio::sync::Mutex;

type Returned = Pin<Box<dyn Future<Output = Value> + Send>>;
type Handler = Arc<dyn Fn(String) -> Returned + Send + Sync>;

/// An application and its contract. Clones share the application.
#[derive(Clone, Debug)]
pub struct TestApp {
    entry_point: EntryPoint,
    contract: &'static Contract,
}

#[derive(Clone)]
enum EntryPoint {
    Function(Handler),
    Lambda(Arc<Mutex<Environment>>),
    Server(Arc<HttpServer>),
}

impl fmt::Debug for EntryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Function(_) => "function in this process",
            Self::Lambda(_) => "Lambda Runtime API",
            Self::Server(_) => "HTTP server",
        })
    }
}

impl TestApp {
    /// An application in this process: a function from a proxy event to a proxy response. An event
    /// that names no request gets the invocation's id, which is `invocation`.
    pub fn in_process<F, R>(contract: &'static Contract, handle: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = Value> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |event| Box::pin(handle(event)));
        Self { entry_point: EntryPoint::Function(handler), contract }
    }

    /// A compiled function in an imitation of Lambda's execution environment.
    ///
    /// # Panics
    /// It does not start.
    pub async fn lambda(contract: &'static Contract, launch: Launch) -> Self {
        let environment = Environment::start(launch).await.unwrap();
        Self { entry_point: EntryPoint::Lambda(Arc::new(Mutex::new(environment))), contract }
    }

    /// A program that serves HTTP; see [`HttpServer::start`].
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn server(contract: &'static Contract, command: Command) -> Self {
        Self { entry_point: EntryPoint::Server(Arc::new(HttpServer::start(command))), contract }
    }

    /// The server, if that is the entry point.
    #[must_use]
    pub fn http_server(&self) -> Option<&HttpServer> {
        match &self.entry_point {
            EntryPoint::Server(server) => Some(server),
            _ => None,
        }
    }

    /// The server alone, to stop it.
    ///
    /// # Panics
    /// The entry point is another, or a clone still uses it.
    #[must_use]
    pub fn into_http_server(self) -> HttpServer {
        match self.entry_point {
            EntryPoint::Server(server) => Arc::into_inner(server).expect("no clone of it"),
            other => panic!("{other:?}"),
        }
    }

    /// The lines on standard output so far.
    ///
    /// # Panics
    /// The application is in this process.
    pub async fn log(&self) -> Vec<String> {
        match &self.entry_point {
            EntryPoint::Function(_) => {
                panic!("a function in this process has no output of its own")
            }
            EntryPoint::Lambda(environment) => {
                environment.lock().await.lines().into_iter().map(|line| line.text).collect()
            }
            EntryPoint::Server(server) => server.log(),
        }
    }

    /// Sends a request without headers and body, by a client that may write.
    pub async fn ask(&self, method: &str, target: &str) -> Response {
        self.send(RequestBuilder::new(method, target)).await
    }

    /// Sends a request and asserts that the contract declares the response.
    pub async fn send(&self, request: RequestBuilder) -> Response {
        let response = match &self.entry_point {
            EntryPoint::Server(server) => server.send(&request).await,
            _ => self.deliver(&request.event().to_string(), request.limit()).await,
        };
        request.assert_contract(self.contract, &response);
        response
    }

    /// Passes an event to a function as it is, and asserts that the contract declares the response.
    pub async fn invoke(&self, event: &str) -> Response {
        let response = self.deliver(event, Duration::from_secs(10)).await;
        // An event that is no request has no operation either.
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let text = |member: &str| event[member].as_str().unwrap_or_default();
        assert_contract(self.contract, text("httpMethod"), text("path"), None, &response);
        response
    }

    async fn deliver(&self, event: &str, limit: Duration) -> Response {
        let (response, invocation) = match &self.entry_point {
            EntryPoint::Function(handler) => {
                let response = handler(event.to_owned()).await;
                (Response::from_proxy(&response), "invocation".to_owned())
            }
            EntryPoint::Lambda(environment) => {
                let event = Event::new(event.to_owned()).time_limit(limit);
                let answer = environment.lock().await.invoke(event).await.unwrap();
                let Outcome::Response(response) = answer.outcome else { panic!("{answer:?}") };
                let response: Value = serde_json::from_slice(&response).unwrap();
                (Response::from_proxy(&response), answer.id)
            }
            EntryPoint::Server(_) => panic!("an HTTP server takes no events"),
        };
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let id = event["requestContext"]["requestId"].as_str().unwrap_or(&invocation);
        assert_eq!(response.header("x-request-id"), Some(id), "{response:?}");
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
