//! The other door: HTTP on a socket, spoken byte by byte, so that nothing of the client's cleans up what is sent.

use super::{App, contract};
use aws_lc_rs::{
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use movies::{
    entry::server::{self, Access},
    http::Links,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use testkit::{Response, assert_contract, sample::rush};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn serve(app: &App, access: Access) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let door = Arc::clone(&app.door);
    let task = tokio::spawn(server::run(door, listener, access, async {
        let _ = stopped.await;
    }));
    Served {
        address,
        stop,
        task,
    }
}

impl Served {
    /// Sends these bytes and holds what comes back to the contract.
    async fn send(&self, request: &str) -> Response {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        judged(request, &mut stream).await
    }

    async fn get(&self, path: &str, headers: &str) -> Response {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await
    }
}

/// Reads the answer to a request until the connection ends.
async fn judged(request: &str, stream: &mut TcpStream) -> Response {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    answer_of(request, &text)
}

/// What was answered to a request, held to the contract.
fn answer_of(request: &str, text: &str) -> Response {
    let answer = Response::from_http1(text);
    let mut line = request.split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    assert_contract(
        contract(),
        method,
        target.split('?').next().unwrap(),
        None,
        &answer,
    );
    answer
}

#[tokio::test]
async fn a_socket_serves_the_same_api() {
    let app = App::new().await;
    app.create(&rush()).await;
    let served = serve(&app, Access::Open).await;
    let answer = served.get("/movies/2013/Rush", "").await;
    assert_eq!((answer.status, answer.json()), (200, rush()));
    let answer = served.get("/movies?year=2013&title_prefix=R%75", "").await;
    assert_eq!(
        (answer.status, &answer.json()["movies"]),
        (200, &json!([rush()]))
    );
    served
        .get("/movies?year=2013&title_prefix=%ff", "")
        .await
        .assert_problem(400, "invalid_request");
    let head = served
        .send("HEAD /movies/2013/Rush HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let body = " ".repeat(70_000);
    let put = format!(
        "PUT /movies/2013/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    served
        .send(&put)
        .await
        .assert_problem(413, "payload_too_large");

    // What is not HTTP has no operation whose contract could be kept.
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"NONSENSE\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn a_signal_to_stop_lets_open_requests_finish() {
    let app = App::new().await;
    let served = serve(&app, Access::Open).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let body = rush().to_string();
    let head = format!(
        "POST /movies HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        TcpStream::connect(served.address).await.is_err(),
        "no new connection is taken"
    );
    stream.write_all(body.as_bytes()).await.unwrap();
    assert_eq!(judged(&head, &mut stream).await.status, 201);
    served.task.await.unwrap();
}

const ISSUER: &str = "https://issuer.example";

/// Access by the keys of a JWKS document.
fn access(name: &str, jwks: &str) -> Result<Access, String> {
    let file = std::path::PathBuf::from(format!("{}/{name}.json", env!("CARGO_TARGET_TMPDIR")));
    std::fs::write(&file, jwks).unwrap();
    Access::by_jwks(file, ISSUER.into())
}

/// An issuer of tokens with a key of its own.
pub(super) struct Issuer {
    key: RsaKeyPair,
}

impl Issuer {
    pub(super) fn new() -> Self {
        Self {
            key: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    pub(super) fn jwks(&self) -> String {
        let public = self.key.public_key();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (
            public.modulus().big_endian_without_leading_zero().to_vec(),
            public.exponent().big_endian_without_leading_zero().to_vec(),
        );
        json!({ "keys": [{ "kid": "1", "kty": "RSA", "alg": "RS256", "use": "sig", "n": part(&n), "e": part(&e) }] }).to_string()
    }

    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let text = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &aws_lc_rs::rand::SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[tokio::test]
async fn a_socket_beyond_loopback_takes_only_good_tokens() {
    let app = App::new().await;
    app.create(&rush()).await;
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    let served = serve(&app, access("tokens", &issuer.jwks()).unwrap()).await;
    let header = json!({ "alg": "RS256", "kid": "1" });
    let claims = |scope: &str, age: i64| {
        let now = i64::try_from(
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_secs(),
        )
        .unwrap();
        json!({ "token_use": "access", "scope": scope, "client_id": "c", "iss": ISSUER, "exp": now + 3600 - age })
    };
    let bearer = |token: String| format!("Authorization: Bearer {token}\r\n");
    let get = async |headers: String| served.get("/movies/2013/Rush", &headers).await.status;

    assert_eq!(
        get(bearer(issuer.token(&header, &claims("movies/read", 0)))).await,
        200
    );
    assert_eq!(
        get(bearer(issuer.token(&header, &claims("movies/write", 0)))).await,
        200
    );
    assert_eq!(
        get(bearer(issuer.token(&header, &claims("other", 0)))).await,
        403
    );
    assert_eq!(
        get(bearer(issuer.token(&header, &claims("movies/read", 7200)))).await,
        401,
        "expired"
    );
    assert_eq!(
        get(bearer(stranger.token(&header, &claims("movies/read", 0)))).await,
        401,
        "of another issuer"
    );
    assert_eq!(
        get(bearer(issuer.token(
            &json!({ "alg": "RS256", "kid": "2" }),
            &claims("movies/read", 0)
        )))
        .await,
        401,
        "of an unknown key"
    );
    let mut id_token = claims("movies/read", 0);
    id_token["token_use"] = json!("id");
    assert_eq!(
        get(bearer(issuer.token(&header, &id_token))).await,
        401,
        "an id token"
    );
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"1"}"#),
        URL_SAFE_NO_PAD.encode(claims("movies/read", 0).to_string())
    );
    assert_eq!(get(bearer(unsigned)).await, 401, "unsigned");
    let preflight = "OPTIONS /movies HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    served
        .send(preflight)
        .await
        .assert_problem(405, "method_not_allowed");
    for headers in [
        "",
        "Authorization: Basic x\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer x.y.z\r\n",
    ] {
        assert_eq!(get(headers.to_owned()).await, 401, "{headers}");
    }
    let answer = served.get("/health", "").await;
    answer.assert_problem(401, "unauthorized");
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Bearer realm="movies""#)
    );
}

#[tokio::test]
async fn without_a_token_unknown_paths_get_404_and_a_401_links_to_the_documentation() {
    let documentation_url = Some("https://docs.example.org/movies".to_owned());
    let app = App::with_links(Links {
        documentation_url: documentation_url.clone(),
        ..Links::default()
    })
    .await;
    let served = serve(
        &app,
        access("documentation", &Issuer::new().jwks()).unwrap(),
    )
    .await;
    let refused = served.get("/health", "").await;
    refused.assert_problem(401, "unauthorized");
    assert_eq!(
        refused.json()["documentation"].as_str(),
        documentation_url.as_deref()
    );
    for headers in ["", "Authorization: Bearer x.y.z\r\n"] {
        served
            .get("/nothing", headers)
            .await
            .assert_problem(404, "route_not_found");
        let wrong = format!(
            "POST /health HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        served
            .send(&wrong)
            .await
            .assert_problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_browsers_question_needs_no_token() {
    let app = App::with_origins(&["https://example.org"]).await;
    let served = serve(&app, access("preflight", &Issuer::new().jwks()).unwrap()).await;
    let ask = "OPTIONS /movies HTTP/1.1\r\nHost: x\r\nOrigin: https://example.org\r\nConnection: close\r\n\r\n";
    let answer = served.send(ask).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, Some("https://example.org"))
    );
    served
        .get("/movies", "Origin: https://example.org\r\n")
        .await
        .assert_problem(401, "unauthorized");
}

#[test]
fn a_document_without_a_key_for_rs256_is_refused_at_start() {
    let other = Issuer::new().jwks().replace("RS256", "RS384");
    for text in ["", "{}", r#"{"keys":[]}"#, &other] {
        assert!(access("unusable", text).is_err(), "{text}");
    }
}
