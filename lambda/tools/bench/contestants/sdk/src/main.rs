//! The same read with mvdb's levers and nothing else of mvdb's: no validation, no errors, no timeouts of its own, no ETag, no log line.

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::AttributeValue,
};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde::{Deserialize, Serialize};
use std::{env, path::PathBuf};

#[derive(Deserialize)]
struct Event {
    path: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    body: String,
}

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

async fn get(client: &Client, table: &str, year: &str, title: &str) -> Result<Option<Movie>, Error> {
    let request = client.get_item().table_name(table);
    let request = request.key("year", AttributeValue::N(year.to_owned())).key("title", AttributeValue::S(title.to_owned()));
    Ok(request.send().await?.item.map(serde_dynamo::from_item).transpose()?)
}

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), Error> {
    let credentials = Credentials::new(env::var("AWS_ACCESS_KEY_ID")?, env::var("AWS_SECRET_ACCESS_KEY")?, None, None, "environment");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(env::var("AWS_REGION")?))
        .credentials_provider(credentials)
        .endpoint_url(env::var("AWS_ENDPOINT_URL_DYNAMODB")?)
        .http_client(outbound::http_client::new(&env::var("SSL_CERT_FILE").map(PathBuf::from).into_iter().collect::<Vec<_>>())?);
    let (client, table) = (Client::from_conf(config.build()), env::var("TABLE_NAME")?);
    get(&client, &table, "0", "-").await?;
    let answer = async |event: LambdaEvent<Event>| {
        let (year, title) = event.payload.path.trim_start_matches("/movies/").split_once('/').ok_or("no movie")?;
        let movie = get(&client, &table, year, title).await?.ok_or("no such movie")?;
        Ok::<_, Error>(Answer { status_code: 200, body: serde_json::to_string(&movie)? })
    };
    run(service_fn(answer)).await
}
