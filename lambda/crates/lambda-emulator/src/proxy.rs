//! What lies between a function and its table, and misbehaves as told: request by request, below HTTP too.

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

/// What befalls a request. In JSON: `"reset"`, `{ "delay": { "milliseconds": 200 } }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing: the table answers.
    #[default]
    None,
    /// The table answers after so long.
    Delay {
        /// How long.
        milliseconds: u64,
    },
    /// DynamoDB's failure of this code; the table never hears of the request.
    Error {
        /// HTTP's status.
        status: u16,
        /// Such as `ThrottlingException`.
        code: String,
    },
    /// This answer; the table never hears of the request.
    Answer {
        /// HTTP's status.
        status: u16,
        /// Its type.
        content_type: String,
        /// Its text, whatever it is.
        body: String,
    },
    /// A success of so many bytes; the table never hears of the request.
    Huge {
        /// How many.
        bytes: usize,
        /// Whether they are announced (by Content-Length) or just come (in chunks).
        announced: bool,
    },
    /// No answer, ever; the table never hears of the request.
    Silence,
    /// A reset before the table hears of the request.
    Reset,
    /// A reset after the table has done what was asked, before a byte of its answer: the answer is lost.
    Lost,
    /// The table's answer up to half of its body, then a reset.
    HalfThenReset,
    /// The same, then an end in order: Content-Length says more than comes.
    HalfThenEnd,
    /// The table's answer with half of its body, and a Content-Length that agrees: a broken document.
    Half,
    /// The table's answer, a byte each second.
    Drip,
    /// The table's answer, with this as its `x-amz-crc32`.
    Checksum(u32),
    /// The table's answer; then the connection is closed, when nobody is looking.
    ThenClose,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What DynamoDB was asked for, such as `GetItem`.
    pub operation: String,
    /// What befell it.
    pub fault: Fault,
    /// When it had come whole.
    pub at: Instant,
    /// From where: requests on one connection have this in common.
    pub client: SocketAddr,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Fault>,
    otherwise: Fault,
    calls: Vec<Call>,
}

type Answering = Pin<Box<dyn Future<Output = Option<Response<Bytes>>> + Send>>;
type Table = Arc<dyn Fn(Request<Bytes>) -> Answering + Send + Sync>;

/// A way to a table, on loopback. It stops when dropped.
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
    /// A way to what `table` answers, such as [`crate::dynamodb::canned`] or [`forward`].
    ///
    /// # Errors
    /// No loopback port can be had.
    pub async fn start<F, A>(table: F) -> Result<Self>
    where
        F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Response<Bytes>>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("no loopback port can be had")?;
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

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What befalls the next requests, one each.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().script = faults.into_iter().collect();
    }

    /// What befalls every request that the script has nothing for, from now on.
    pub fn otherwise(&self, fault: Fault) {
        self.state().otherwise = fault;
    }

    /// The requests since this was asked last.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    /// Ends every connection and refuses new ones.
    pub fn close(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }

    /// Takes connections again, where it did before.
    ///
    /// # Errors
    /// Another has taken the port.
    pub async fn reopen(&mut self) -> Result<()> {
        self.close();
        // The old listener goes when its task has ended, which is soon.
        for _ in 0..100 {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                self.accept(listener);
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        anyhow::bail!("{} is taken", self.address)
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
                // A client that has gone away is what half of the faults are made for.
                connections.spawn(async move { drop(serve(stream, &table, &state).await) });
                while connections.try_join_next().is_some() {}
            }
        }));
    }
}

/// Passes requests on to a service by plain HTTP, such as an emulator at `http://127.0.0.1:4566`.
pub fn forward(url: &str) -> impl Fn(Request<Bytes>) -> Answering + Send + Sync + 'static {
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
                .unwrap_or_else(|| state.otherwise.clone());
            let operation = crate::dynamodb::operation(&request).to_owned();
            state.calls.push(Call {
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
                    .write_all(&bytes_of(&crate::dynamodb::failure(*status, code)))
                    .await?;
                continue;
            }
            Fault::Answer {
                status,
                content_type,
                body,
            } => {
                let answer = Response::builder()
                    .status(*status)
                    .header("content-type", content_type)
                    .body(Bytes::from(body.clone()))?;
                stream.write_all(&bytes_of(&answer)).await?;
                continue;
            }
            Fault::Huge { bytes, announced } => {
                huge(&mut stream, *bytes, *announced).await?;
                continue;
            }
            Fault::Silence => {
                // Until the client hangs up.
                while stream.read(&mut [0; 1024]).await? > 0 {}
                return Ok(());
            }
            Fault::Reset => return reset(stream),
            Fault::Delay { milliseconds } => sleep(Duration::from_millis(*milliseconds)).await,
            _ => {}
        }
        let Some(mut answer) = table(request).await else {
            return Ok(());
        };
        if let Fault::Half = fault {
            let half = answer.body().len() / 2;
            answer.body_mut().truncate(half);
        }
        if let Fault::Checksum(checksum) = fault {
            answer.headers_mut().insert("x-amz-crc32", checksum.into());
        }
        let answer_bytes = bytes_of(&answer);
        let half = answer_bytes.len() - answer.body().len() / 2;
        match fault {
            Fault::Lost => return reset(stream),
            Fault::HalfThenReset => {
                stream.write_all(&answer_bytes[..half]).await?;
                // A reset throws away what the client has not read yet.
                sleep(Duration::from_millis(50)).await;
                return reset(stream);
            }
            Fault::HalfThenEnd => {
                stream.write_all(&answer_bytes[..half]).await?;
                return Ok(stream.shutdown().await?);
            }
            Fault::Drip => {
                for byte in answer_bytes {
                    stream.write_all(&[byte]).await?;
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Fault::ThenClose => {
                stream.write_all(&answer_bytes).await?;
                // Not before the client has stopped looking: a function is frozen by then.
                sleep(Duration::from_millis(200)).await;
                return Ok(());
            }
            _ => stream.write_all(&answer_bytes).await?,
        }
    }
    Ok(())
}

/// The next request of a connection, `None` at its end. `read` is what has come beyond the last one.
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

/// An answer as it stands on the wire.
fn bytes_of(answer: &Response<Bytes>) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {}\r\ncontent-length: {}\r\n",
        answer.status(),
        answer.body().len()
    );
    for (name, value) in answer.headers() {
        if !matches!(
            name.as_str(),
            "content-length" | "transfer-encoding" | "connection"
        ) {
            let _ = write!(head, "{name}: {}\r\n", value.to_str().unwrap_or_default());
        }
    }
    [head.as_bytes(), b"\r\n", answer.body()].concat()
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
