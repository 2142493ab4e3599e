//! One read with nothing around it: blocking sockets, rustls, aws-sigv4. No runtime crate, no SDK, no retry, no validation, and an
//! end of the process at whatever is not as expected. It shows how much of a cold start and of a request is physics.

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    env,
    error::Error,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::SystemTime,
};

const INVOCATIONS: &str = "/2018-06-01/runtime/invocation/";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut table = Table::connect()?;
    table.get("0", "-")?; // so that the handshake is done before the first event, as mvdb has it
    let api = env::var("AWS_LAMBDA_RUNTIME_API")?;
    let mut runtime = connect(&api)?;
    let head = format!("GET {INVOCATIONS}next HTTP/1.1\r\nhost: {api}\r\n\r\n");
    loop {
        let (next, event) = exchange(&mut runtime, &head, "")?;
        let id = header(&next, "lambda-runtime-aws-request-id").ok_or("no id")?;
        let event: Event = serde_json::from_slice(&event)?;
        let (year, title) = event.path.trim_start_matches("/movies/").split_once('/').ok_or("no movie's path")?;
        let body = serde_json::to_string(&table.get(year, title)?)?;
        let answer = format!(r#"{{"statusCode":200,"headers":{{"content-type":"application/json"}},"body":{body}}}"#);
        let post = format!("POST {INVOCATIONS}{id}/response HTTP/1.1\r\nhost: {api}\r\ncontent-length: {}\r\n\r\n", answer.len());
        exchange(&mut runtime, &post, &answer)?;
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
}

struct Table {
    connection: StreamOwned<ClientConnection, TcpStream>,
    url: String,
    host: String,
    name: String,
    credentials: Credentials,
}

impl Table {
    fn connect() -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let url = env::var("AWS_ENDPOINT_URL_DYNAMODB")?;
        let host = url.trim_start_matches("https://").to_owned();
        let name = host.split(':').next().unwrap_or_default().to_owned();
        let connection = StreamOwned::new(ClientConnection::new(Arc::new(tls), name.try_into()?)?, connect(&host)?);
        let token = env::var("AWS_SESSION_TOKEN").ok();
        let credentials = Credentials::new(env::var("AWS_ACCESS_KEY_ID")?, env::var("AWS_SECRET_ACCESS_KEY")?, token, None, "environment");
        Ok(Self { connection, url: format!("{url}/"), host, name: env::var("TABLE_NAME")?, credentials })
    }

    /// The item as plain JSON.
    fn get(&mut self, year: &str, title: &str) -> Result<String> {
        let title = serde_json::to_string(title)?;
        let body = format!(r#"{{"TableName":"{}","Key":{{"year":{{"N":"{year}"}},"title":{{"S":{title}}}}}}}"#, self.name);
        let headers =
            [("host", self.host.as_str()), ("x-amz-target", "DynamoDB_20120810.GetItem"), ("content-type", "application/x-amz-json-1.0")];
        let identity = self.credentials.clone().into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name("dynamodb")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?;
        let signable = SignableRequest::new("POST", &self.url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))?;
        let (signed, _) = sign(signable, &parameters.into())?.into_parts();
        let mut head = String::from("POST / HTTP/1.1\r\n");
        for (name, value) in headers.into_iter().chain(signed.headers()) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));

        let (_, answer) = exchange(&mut self.connection, &head, &body)?;
        let answer: GetItem = serde_json::from_slice(&answer)?;
        let mut json = String::with_capacity(1024);
        write(&Attribute::M(answer.item), &mut json)?;
        Ok(json)
    }
}

#[derive(Deserialize)]
struct GetItem<'a> {
    #[serde(rename = "Item", default, borrow)]
    item: BTreeMap<&'a str, Attribute<'a>>,
}

#[derive(Deserialize)]
enum Attribute<'a> {
    S(#[serde(borrow)] Cow<'a, str>),
    N(&'a str),
    L(#[serde(borrow)] Vec<Attribute<'a>>),
    M(#[serde(borrow)] BTreeMap<&'a str, Attribute<'a>>),
}

fn write(attribute: &Attribute, json: &mut String) -> Result<()> {
    match attribute {
        Attribute::S(text) => json.push_str(&serde_json::to_string(text)?),
        Attribute::N(number) => json.push_str(number),
        Attribute::L(list) => {
            for (n, element) in list.iter().enumerate() {
                json.push(if n == 0 { '[' } else { ',' });
                write(element, json)?;
            }
            json.push_str(if list.is_empty() { "[]" } else { "]" });
        }
        Attribute::M(map) => {
            for (n, (name, value)) in map.iter().enumerate() {
                json.extend([if n == 0 { "{\"" } else { ",\"" }, name, "\":"]);
                write(value, json)?;
            }
            json.push_str(if map.is_empty() { "{}" } else { "}" });
        }
    }
    Ok(())
}

fn connect(host: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request and reads its answer: head and body.
fn exchange(stream: &mut (impl Read + Write), head: &str, body: &str) -> Result<(String, Vec<u8>)> {
    stream.write_all([head, body].concat().as_bytes())?;
    let (mut read, mut part) = (Vec::with_capacity(4096), [0; 8192]);
    loop {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err("closed".into());
        }
        read.extend_from_slice(&part[..count]);
        let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let length: usize = header(&head, "content-length").ok_or("no length")?.parse()?;
        let mut body = read.split_off(end + 4);
        while body.len() < length {
            let count = stream.read(&mut part)?;
            body.extend_from_slice(&part[..count]);
        }
        return Ok((head, body));
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|line| line.split_once(": ")).find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
