use crate::{RequestBuilder, Response};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Printed by a server on standard error, followed by the address, when it accepts connections.
const LISTENING: &str = "listening on http://";

/// A program that serves HTTP on loopback. It is killed when dropped.
#[derive(Debug)]
pub struct HttpServer {
    child: Child,
    address: SocketAddr,
    stdout: Output,
    stderr: Output,
}

impl HttpServer {
    /// Starts a program that prints `listening on http://ADDRESS` when it is ready.
    ///
    /// # Panics
    /// It ends before.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self::spawn(command)
    }

    /// Starts a program as [`HttpServer::start`] does, but leaves its standard output unchanged.
    ///
    /// # Panics
    /// It ends before it is ready.
    #[must_use]
    pub fn start_with_own_output(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(Output::read).unwrap_or_default();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let mut printed = String::new();
        let address = loop {
            line.clear();
            if stderr.read_line(&mut line).unwrap() == 0 {
                panic!("the server ended: {printed}");
            }
            printed += &line;
            if let Some((_, address)) = line.trim().split_once(LISTENING) {
                break address.parse().unwrap();
            }
        };
        let stderr = Output::read(Read::chain(std::io::Cursor::new(printed), stderr));
        Self {
            child,
            address,
            stdout,
            stderr,
        }
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request and returns the response.
    ///
    /// # Panics
    /// There is no response.
    pub async fn send(&self, request: &RequestBuilder) -> Response {
        Response::from_http1(&self.send_bytes(&request.http1()).await)
    }

    /// Sends bytes and returns everything that is received until the connection ends.
    ///
    /// # Panics
    /// The connection fails, or the received bytes are not UTF-8.
    pub async fn send_bytes(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    /// The lines on standard output so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.stdout.lines()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// It has ended already.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().try_into().unwrap()), signal).unwrap();
    }

    /// Sends SIGTERM, waits, and returns how it ended with all lines of standard output and
    /// standard error.
    ///
    /// # Panics
    /// It has ended already.
    #[must_use]
    pub fn stop(self) -> (ExitStatus, Vec<String>, Vec<String>) {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits for its end, and returns how it ended with all lines of standard output and standard
    /// error.
    ///
    /// # Panics
    /// It cannot be waited for.
    #[must_use]
    pub fn wait(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let status = self.child.wait().unwrap();
        (
            status,
            std::mem::take(&mut self.stdout).end(),
            std::mem::take(&mut self.stderr).end(),
        )
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a process. It is read continuously, so that the process never waits for a reader.
#[derive(Debug, Default)]
struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Output {
    fn read(from: impl Read + Send + 'static) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let read = Arc::clone(&lines);
        let thread = thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                read.lock().unwrap().push(line);
            }
        });
        Self {
            lines,
            thread: Some(thread),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// All lines, once the process has closed its end.
    fn end(mut self) -> Vec<String> {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.lines()
    }
}
