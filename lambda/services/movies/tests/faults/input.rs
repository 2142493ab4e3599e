//! Invalid and unusual requests. Invalid ones get a 4xx response, without a request to the table.

use super::{Exchange, Function};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use std::time::Duration;
use testkit::{
    RequestBuilder,
    sample::{path_of, rush_item},
};

const LIMIT: Duration = Duration::from_secs(10);

async fn assert_rejected(function: &mut Function, request: RequestBuilder) -> Exchange {
    let seen = function.send(request).await;
    seen.rejected(400, "invalid_request").table_requests(0);
    seen
}

/// Fault F33.
#[tokio::test]
async fn bodies_of_malformed_json_are_400() {
    let mut function = Function::start().await;
    let deep = format!(
        "{{\"year\":2013,\"title\":\"a\",\"info\":{}",
        "[".repeat(60_000)
    );
    let many = format!(
        "{{{}\"year\":2013}}",
        (0..5_000)
            .map(|n| format!("\"k{n}\":1,"))
            .collect::<String>()
    );
    let movie = |rest: &str| format!("{{\"year\":2013,\"title\":\"a\"{rest}}}");
    for body in [
        deep,
        many,
        movie(",\"title\":\"a\""),
        movie(",\"info\":{\"rating\":NaN}"),
        movie(",\"info\":{\"rating\":Infinity}"),
        movie(",\"info\":{\"rating\":1e400}"),
        movie(",\"info\":{\"plot\":\"\\ud800\"}"),
        format!("\u{feff}{}", movie("")),
        "{\0\"\0y\0e\0a\0r\0".into(),
        movie(",\"info\":{\"plot\":\"\\u0000\"}"),
        movie(",\"info\":{\"plot\":\"a\0b\"}"),
    ] {
        assert_rejected(
            &mut function,
            RequestBuilder::new("POST", "/movies").body("application/json", &body),
        )
        .await;
    }
    function.assert_recovered().await;
}

/// Fault F34.
#[tokio::test]
async fn path_is_percent_decoded_exactly_once() {
    let mut function = Function::start().await;
    for path in [
        "/movies/2013/%",
        "/movies/2013/%zz",
        "/movies/2013/a%00b",
        "/movies/2013/%c0%af",
        "/movies/2013/%ff",
        "/movies/2013/%e2%80",
    ] {
        assert_rejected(&mut function, RequestBuilder::new("GET", path)).await;
    }
    // The title in the response is the decoded title of the path.
    for (path, title) in [
        ("%2e%2e%2f", "../"),
        ("%252e", "%2e"),
        ("a+b", "a+b"),
        ("a%20b", "a b"),
        ("%E2%80%AE", "\u{202e}"),
        ("a%2Fb", "a/b"),
        ("%25zz", "%zz"),
    ] {
        let seen = function
            .send(RequestBuilder::new("PUT", &format!("/movies/2013/{path}")).json(&json!({})))
            .await;
        assert_eq!(
            (seen.no_fault().status, &seen.json()["title"]),
            (200, &json!(title)),
            "{seen:#?}"
        );
    }
    function.assert_recovered().await;
}

/// Fault F35.
#[tokio::test]
async fn titles_are_stored_byte_for_byte_and_years_are_ascii() {
    let mut function = Function::start().await;
    for title in [
        "é",
        "e\u{301}",
        "👨‍👩‍👧",
        "\u{202e}abc",
        "İ",
        "ı",
        "ß",
        "ฝ๒",
        "ﷺ",
    ] {
        let seen = function
            .send(
                RequestBuilder::new("PUT", &path_of(2013, title)).json(&json!({ "title": title })),
            )
            .await;
        assert_eq!(
            (seen.no_fault().status, &seen.json()["title"]),
            (200, &json!(title)),
            "{seen:#?}"
        );
    }
    for year in ["๒๐๑๓", "٢٠١٣", "２０１３", "²⁰¹³"] {
        assert_rejected(
            &mut function,
            RequestBuilder::new("GET", &format!("/movies/{year}/a")),
        )
        .await;
        let encoded = utf8_percent_encode(year, NON_ALPHANUMERIC);
        assert_rejected(
            &mut function,
            RequestBuilder::new("GET", &format!("/movies/{encoded}/a")),
        )
        .await;
        assert_rejected(
            &mut function,
            RequestBuilder::new("GET", &format!("/movies?year={year}")),
        )
        .await;
    }
    function.assert_recovered().await;
}

/// Fault F36.
#[tokio::test]
async fn numbers_out_of_range_are_400() {
    let mut function = Function::start().await;
    let digits = "1".repeat(10_000);
    let numbers = [
        "-1",
        "0",
        "1e3",
        "2147483648",
        "9223372036854775808",
        "18446744073709551616",
        "2001.0",
        "٢٠٠١",
        digits.as_str(),
    ];
    for number in numbers {
        assert_rejected(
            &mut function,
            RequestBuilder::new("GET", &format!("/movies/{number}/a")),
        )
        .await;
        assert_rejected(
            &mut function,
            RequestBuilder::new("GET", &format!("/movies?year={number}")),
        )
        .await;
        if number != "1e3" {
            assert_rejected(
                &mut function,
                RequestBuilder::new("GET", &format!("/movies?limit={number}")),
            )
            .await;
        }
        // In JSON 2001.0 is the integer 2001.
        if number != "2001.0" {
            assert_rejected(
                &mut function,
                RequestBuilder::new("POST", "/movies").body(
                    "application/json",
                    &format!("{{\"year\":{number},\"title\":\"a\"}}"),
                ),
            )
            .await;
        }
        if !matches!(number, "1e3" | "2147483648" | "2001.0") {
            let body = format!("{{\"info\":{{\"rank\":{number}}}}}");
            assert_rejected(
                &mut function,
                RequestBuilder::new("PUT", "/movies/2013/a").body("application/json", &body),
            )
            .await;
        }
    }
    function.assert_recovered().await;
}

/// Fault F37.
#[tokio::test]
async fn title_beyond_1024_bytes_is_400() {
    let mut function = Function::start().await;
    let seen = function
        .send(RequestBuilder::new("PUT", &path_of(2013, &"é".repeat(512))).json(&json!({})))
        .await;
    assert_eq!(seen.no_fault().status, 200, "{seen:#?}");
    // A path without a title matches no route.
    function
        .ask("PUT", "/movies/2013/")
        .await
        .rejected(404, "route_not_found")
        .table_requests(0);
    for title in [String::new(), "x".repeat(1025), "é".repeat(513)] {
        if !title.is_empty() {
            assert_rejected(
                &mut function,
                RequestBuilder::new("PUT", &path_of(2013, &title)).json(&json!({})),
            )
            .await;
        }
        let query = RequestBuilder::new("PUT", "/movies")
            .parameter("year", "2013")
            .parameter("title", &title);
        assert_rejected(&mut function, query.json(&json!({}))).await;
        assert_rejected(
            &mut function,
            RequestBuilder::new("POST", "/movies").json(&json!({ "year": 2013, "title": title })),
        )
        .await;
    }
    function.assert_recovered().await;
}

/// Fault F38.
#[tokio::test]
async fn cut_changed_or_foreign_cursor_is_400() {
    let mut function = Function::start().await;
    let key = json!({ "year": { "N": "2013" }, "title": { "S": "Rush" } });
    let page = json!({ "Items": [rush_item()], "LastEvaluatedKey": key }).to_string();
    let fault = super::Fault::Response {
        status: 200,
        content_type: "application/x-amz-json-1.0".into(),
        body: page,
    };
    function.proxy.script([fault]);
    let cursor = function.ask("GET", "/movies?year=2013").await.json()["next"]
        .as_str()
        .unwrap()
        .to_owned();
    let good = function
        .ask("GET", &format!("/movies?year=2013&cursor={cursor}"))
        .await;
    assert_eq!(good.no_fault().table_requests(1).status, 200, "{good:#?}");

    let mut tampered = cursor.clone().into_bytes();
    tampered[20] = if tampered[20] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    for query in [
        "year=2013&cursor=".to_owned(),
        "year=2013&cursor=!!!".to_owned(),
        format!("year=2013&cursor={}", &cursor[..cursor.len() - 4]),
        format!("year=2013&cursor={tampered}"),
        format!("year=2014&cursor={cursor}"),
        format!("year=2013&sort=-title&cursor={cursor}"),
        format!("year=2013&title_prefix=R&cursor={cursor}"),
        format!("cursor={cursor}"),
    ] {
        assert_rejected(
            &mut function,
            RequestBuilder::new("GET", &format!("/movies?{query}")),
        )
        .await;
    }
    function.assert_recovered().await;
}

/// Fault F39.
#[tokio::test]
async fn headers_do_not_affect_identity_or_operation() {
    let mut function = Function::start().await;
    let get = || RequestBuilder::new("GET", "/movies/2013/Rush");
    for (name, value) in [
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", "evil.example, Set-Cookie: a=b"),
        ("Host", "not a host"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "-1"),
        ("X-Long", &"x".repeat(8192)),
    ] {
        let seen = function.send(get().header(name, value)).await;
        seen.served().table_requests(1);
        assert!(!seen.headers.to_string().contains("evil"), "{seen:#?}");
    }
    let mut hundred = get();
    for n in 0..100 {
        hundred = hundred.header(&format!("X-{n}"), &"x".repeat(8192));
    }
    function.send(hundred).await.served();

    // No header replaces a token.
    let anonymous = get().scope(None).header("Authorization", "Bearer x");
    let anonymous = anonymous
        .header("X-Amzn-Oidc-Identity", "admin")
        .header("X-Client-Id", "admin");
    function
        .send(anonymous)
        .await
        .rejected(403, "forbidden")
        .table_requests(0);

    // The multi-value map has every value. The single-value map is ignored, even if it differs.
    let mut event = get().event();
    event["headers"] = json!({ "If-None-Match": "\"0123456789abcdef0123456789abcdef\"" });
    event["multiValueHeaders"] = json!({ "Accept": ["*/*"] });
    function.deliver(event, LIMIT).await.served();
    let mut event = get().event();
    for map in [
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
    ] {
        event[map] = json!(null);
    }
    function.deliver(event, LIMIT).await.served();
    let types = RequestBuilder::new("POST", "/movies")
        .body("application/json", "{}")
        .header("Content-Type", "text/plain");
    function
        .send(types)
        .await
        .rejected(415, "unsupported_media_type");
    function.assert_recovered().await;
}
