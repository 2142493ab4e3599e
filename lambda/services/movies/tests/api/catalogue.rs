//! Reads and writes every movie of AWS's sample data set. The data cannot be part of this
//! repository. Without the file, the test prints that it was skipped.

use super::{EntryPoint, READ};
use serde_json::Value;
use std::io::Write;
use testkit::{RequestBuilder, sample::path_of};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn every_movie_of_the_sample_data_set_round_trips() {
    if testkit::emulator().is_none() {
        return;
    }
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../../shared/data/moviedata.json"
    );
    let Ok(text) = std::fs::read_to_string(file) else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped {}: no ../shared/data/moviedata.json beside this checkout",
            std::thread::current().name().unwrap_or_default()
        );
        return;
    };
    let app = EntryPoint::LAMBDA.start().await;
    let movies: Vec<Value> = serde_json::from_str(&text).unwrap();
    // No number of this data loses digits as a float, so comparing parsed documents is exact.
    let mut callers = JoinSet::new();
    for movies in movies.chunks(1000) {
        let (app, movies) = (app.clone(), movies.to_vec());
        callers.spawn(async move {
            for movie in movies {
                app.create(&movie).await;
                let title = movie["title"].as_str().unwrap();
                let found = app
                    .send(
                        RequestBuilder::new(
                            "GET",
                            &path_of(movie["year"].as_u64().unwrap(), title),
                        )
                        .scope(Some(READ)),
                    )
                    .await;
                assert_eq!(
                    (found.status, found.json()),
                    (200, movie.clone()),
                    "{title}"
                );
            }
        });
    }
    callers.join_all().await;
    assert_eq!(movies.len(), 4609);
}
