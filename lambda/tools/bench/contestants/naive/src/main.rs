//! `GET /movies/{year}/{title}` as the documentation of cargo-lambda and of AWS's SDK would have one write it.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn, tracing};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Movie {
    year: u16,
    title: String,
    info: Info,
}

#[derive(Serialize, Deserialize)]
struct Info {
    directors: Option<Vec<String>>,
    release_date: Option<String>,
    rating: Option<f64>,
    genres: Option<Vec<String>>,
    image_url: Option<String>,
    plot: Option<String>,
    rank: Option<u32>,
    running_time_secs: Option<u32>,
    actors: Option<Vec<String>>,
}

async fn get(client: &Client, table: &str, request: Request) -> Result<Response<Body>, Error> {
    let parameters = request.path_parameters();
    let year = parameters.first("year").unwrap_or_default();
    let title = parameters.first("title").unwrap_or_default();
    let found = client
        .get_item()
        .table_name(table)
        .key("year", AttributeValue::N(year.to_owned()))
        .key("title", AttributeValue::S(title.to_owned()))
        .send()
        .await?;
    let Some(item) = found.item else { return Ok(Response::builder().status(404).body(Body::Empty)?) };
    let movie: Movie = serde_dynamo::from_item(item)?;
    let response = Response::builder().status(200).header("content-type", "application/json");
    Ok(response.body(serde_json::to_string(&movie)?.into())?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = aws_config::load_from_env().await;
    let client = Client::new(&config);
    let table = std::env::var("TABLE_NAME")?;
    run(service_fn(|request| get(&client, &table, request))).await
}
