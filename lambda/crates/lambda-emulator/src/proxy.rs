//! A proxy between a function and its table that injects faults, one for each request, also below
//! HTTP.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::Deserialize;
use std::{
    collections::VecDeque,
    fmt::Write as _,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// A fault that is injected into a request. In JSON: `"reset"`, `{ "delay": { "milliseconds": 200 }
/// }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No fault: the table responds.
    #[default]
    None,
    /// The table gets the request after a delay.
    Delay {
        /// The delay.
        milliseconds: u64,
    },
    /// An error of DynamoDB with this code. The table does not get the request.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error code, such as `ThrottlingException`.
        code: String,
    },
    /// This response. The table does not get the request.
    Response {
        /// The HTTP status.
        status: u16,
        /// The Content-Type.
        content_type: String,
        /// The body.
        body: String,
    },
    /// A response with status 200 and a large body. The table does not get the request.
    Huge {
        /// The size of the body.
        bytes: usize,
        /// True for a Content-Length, false for chunks.
        announced: bool,
    },
    /// No response. The table does not get the request.
    Silence,
    /// A connection reset before the table gets the request.
    Reset,
    /// A connection reset after the table has executed the request: the response is lost.
    Lost,
    /// The table's response up to half of its body, then a connection reset.
    HalfThenReset,
    /// The table's response up to half of its body, then an orderly close. The Content-Length is
    /// too large.
    HalfThenEnd,
    /// The table's response with half of its body and a matching Content-Length: a truncated
    /// document.
    Half,
    /// The table's response, one byte per second.
    Drip,
    /// The table's response with this `x-amz-crc32`.
    Checksum(u32),
    /// The table's response. The connection is closed later, while the client is idle.
    ThenClose,
}

/// A request that the proxy received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// The DynamoDB operation, such as `GetItem`.
    pub operation: String,
    /// The fault that was injected.
    pub fault: Fault,
    /// The time at which the request was complete.
    pub at: Instant,
    /// The client's address, which identifies the connection.
    pub client: SocketAddr,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Fault>,
    default_fault: Fault,
    received: Vec<ReceivedRequest>,
}

type ResponseFuture = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send>>;
type Table = Arc<dyn Fn(Request<Bytes>) -> ResponseFuture + Send + Sync>;

/// A proxy on loopback. It stops when dropped.
pub struct Proxy {
    address: SocketAddr,
    table: Table,
    state: Arc<Mutex<State>>,
    accepting: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

impl Proxy {
    /// Starts a proxy to a table, such as [`crate::dynamodb::stub`] or [`forward`].
    ///
    /// # Errors
    /// No loopback port is available.
    pub async fn start<F, A>(table: F) -> Result<Self>
    where
        F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Response<Bytes>>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("no loopback port is available")?;
        let address = listener.local_addr()?;
        let mut proxy = Self {
            address,
            table: Arc::new(move |request| Box::pin(table(request))),
            state: Arc::default(),
            accepting: None,
        };
        proxy.accept(listener);
        Ok(proxy)
    }

    /// Returns the URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the faults of the next requests, one for each request.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().script = faults.into_iter().collect();
    }

    /// Sets the fault of all requests after the script has ended.
    pub fn set_default_fault(&self, fault: Fault) {
        self.state().default_fault = fault;
    }

    /// Returns the requests since the last call, and forgets them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<ReceivedRequest> {
        std::mem::take(&mut self.state().received)
    }

    /// Closes all connections and refuses new ones.
    pub fn close(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }

    /// Accepts connections again at the same address.
    ///
    /// # Errors
    /// Another process uses the port.
    pub async fn reopen(&mut self) -> Result<()> {
        self.close();
        // The old listener is closed soon, when its task has ended.
        for _ in 0..100 {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                self.accept(listener);
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        anyhow::bail!("{} is in use", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&mut self, listener: TcpListener) {
        let (table, state) = (Arc::clone(&self.table), Arc::clone(&self.state));
        self.accepting = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (table, state) = (Arc::clone(&table), Arc::clone(&state));
                // Errors are ignored: many faults make the client disconnect.
                connections.spawn(async move { drop(serve(stream, &table, &state).await) });
                while connections.try_join_next().is_some() {}
            }
        }));
    }
}

/// Forwards requests to a service over plain HTTP, such as an emulator at `http://127.0.0.1:4566`.
pub fn forward(url: &str) -> impl Fn(Request<Bytes>) -> ResponseFuture + Send + Sync + 'static {
    let (client, url) = (
        Client::builder(TokioExecutor::new()).build_http(),
        url.trim_end_matches('/').to_owned(),
    );
    move |mut request| {
        let (client, uri) = (
            client.clone(),
            format!("{url}{}", request.uri().path()).parse(),
        );
        Box::pin(async move {
            *request.uri_mut() = uri.ok()?;
            let (parts, body) = client
                .request(request.map(Full::new))
                .await
                .ok()?
                .into_parts();
            Some(Response::from_parts(
                parts,
                body.collect().await.ok()?.to_bytes(),
            ))
        })
    }
}

async fn serve(mut stream: TcpStream, table: &Table, state: &Mutex<State>) -> Result<()> {
    let (mut read, client) = (Vec::new(), stream.peer_addr()?);
    while let Some(request) = next_request(&mut stream, &mut read).await? {
        let fault = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let fault = state
                .script
                .pop_front()
                .unwrap_or_else(|| state.default_fault.clone());
            let operation = crate::dynamodb::operation(&request).to_owned();
            state.received.push(ReceivedRequest {
                operation,
                fault: fault.clone(),
                at: Instant::now(),
                client,
            });
            fault
        };
        match &fault {
            Fault::Error { status, code } => {
                stream
                    .write_all(&serialize(&crate::dynamodb::failure(*status, code)))
                    .await?;
                continue;
            }
            Fault::Response {
                status,
                content_type,
                body,
            } => {
                let response = Response::builder()
                    .status(*status)
                    .header("content-type", content_type)
                    .body(Bytes::from(body.clone()))?;
                stream.write_all(&serialize(&response)).await?;
                continue;
            }
            Fault::Huge { bytes, announced } => {
                huge(&mut stream, *bytes, *announced).await?;
                continue;
            }
            Fault::Silence => {
                // Until the client disconnects.
                while stream.read(&mut [0; 1024]).await? > 0 {}
                return Ok(());
            }
            Fault::Reset => return reset(stream),
            Fault::Delay { milliseconds } => sleep(Duration::from_millis(*milliseconds)).await,
            _ => {}
        }
        let Some(mut response) = table(request).await else {
            return Ok(());
        };
        if let Fault::Half = fault {
            let half = response.body().len() / 2;
            response.body_mut().truncate(half);
        }
        if let Fault::Checksum(checksum) = fault {
            response
                .headers_mut()
                .insert("x-amz-crc32", checksum.into());
        }
        let serialized = serialize(&response);
        let half = serialized.len() - response.body().len() / 2;
        match fault {
            Fault::Lost => return reset(stream),
            Fault::HalfThenReset => {
                stream.write_all(&serialized[..half]).await?;
                // A reset discards data that the client has not read yet.
                sleep(Duration::from_millis(50)).await;
                return reset(stream);
            }
            Fault::HalfThenEnd => {
                stream.write_all(&serialized[..half]).await?;
                return Ok(stream.shutdown().await?);
            }
            Fault::Drip => {
                for byte in serialized {
                    stream.write_all(&[byte]).await?;
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Fault::ThenClose => {
                stream.write_all(&serialized).await?;
                // After this time the client is idle: a function is frozen.
                sleep(Duration::from_millis(200)).await;
                return Ok(());
            }
            _ => stream.write_all(&serialized).await?,
        }
    }
    Ok(())
}

/// Reads the next request of a connection. Returns `None` at its end. `read` holds data that was
/// received after the previous request.
async fn next_request(
    stream: &mut TcpStream,
    read: &mut Vec<u8>,
) -> Result<Option<Request<Bytes>>> {
    let head = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break read.drain(..end + 4).collect::<Vec<_>>();
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(head)?;
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let mut request = Request::builder()
        .method(first.next().unwrap_or_default())
        .uri(first.next().unwrap_or_default());
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        request = request.header(name, value.trim());
    }
    let mut request = request.body(Bytes::new())?;
    let length = request
        .headers()
        .get("content-length")
        .map_or(Ok(0), |length| {
            length
                .to_str()?
                .parse::<usize>()
                .map_err(anyhow::Error::from)
        })?;
    while read.len() < length {
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
    *request.body_mut() = read.drain(..length).collect();
    Ok(Some(request))
}

/// Serializes a response.
fn serialize(response: &Response<Bytes>) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {}\r\ncontent-length: {}\r\n",
        response.status(),
        response.body().len()
    );
    for (name, value) in response.headers() {
        if !matches!(
            name.as_str(),
            "content-length" | "transfer-encoding" | "connection"
        ) {
            let _ = write!(head, "{name}: {}\r\n", value.to_str().unwrap_or_default());
        }
    }
    [head.as_bytes(), b"\r\n", response.body()].concat()
}

async fn huge(stream: &mut TcpStream, bytes: usize, announced: bool) -> Result<()> {
    const PIECE: usize = 16 * 1024;
    let status = StatusCode::OK;
    let length = if announced {
        format!("content-length: {bytes}")
    } else {
        "transfer-encoding: chunked".to_owned()
    };
    stream
        .write_all(
            format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\n{length}\r\n\r\n"
            )
            .as_bytes(),
        )
        .await?;
    for _ in 0..bytes.div_ceil(PIECE) {
        let piece = " ".repeat(PIECE);
        let piece = if announced {
            piece
        } else {
            format!("{PIECE:x}\r\n{piece}\r\n")
        };
        stream.write_all(piece.as_bytes()).await?;
    }
    Ok(())
}

fn reset(stream: TcpStream) -> Result<()> {
    stream.set_zero_linger()?;
    Ok(())
}
