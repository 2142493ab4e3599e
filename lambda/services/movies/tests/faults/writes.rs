//! Writes are applied exactly once, even if responses of the table are lost.

use super::{
    Exchange, Fault, Function, TABLES,
    emulator::{at_random, on},
};
use aws_sdk_dynamodb::types::Select;
use lambda_emulator::{Environment, Proxy, proxy::forward};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use testkit::{RequestBuilder, Tables};

/// Faults that lose the response after the table has applied the write.
const AFTER: [Fault; 3] = [Fault::Lost, Fault::HalfThenReset, Fault::HalfThenEnd];

fn movie(title: &str, rank: u64) -> serde_json::Value {
    json!({ "year": 2013, "title": title, "info": { "rank": rank } })
}

/// Fault F10.
#[tokio::test]
async fn write_whose_response_is_lost_is_applied_once() {
    let Some(tables) = Tables::create(TABLES).await else {
        return;
    };
    let path = "/movies/2013/Rush";
    for fault in AFTER {
        for lost in 1..=2 {
            // Each function has its own retry token bucket. One bucket would not last for all
            // writes.
            let mut function = Function::emulated(&tables).await;
            let mut sent = async |request: RequestBuilder, reads: usize, status: u16| {
                // A conditional write reads first. Only responses to the write are lost.
                let reading = std::iter::repeat_n(Fault::None, reads);
                function
                    .proxy
                    .script(reading.chain(vec![fault.clone(); lost]));
                let seen = function.send(request).await;
                assert_eq!(
                    seen.no_fault().table_requests(reads + lost + 1).status,
                    status,
                    "{fault:?}: {seen:#?}"
                );
                seen
            };
            let put = |rank| RequestBuilder::new("PUT", path).json(&movie("Rush", rank));
            let patch = RequestBuilder::new("PATCH", path).json(&movie("Rush", 3));
            let delete = || RequestBuilder::new("DELETE", path);
            let created = sent(
                RequestBuilder::new("POST", "/movies").json(&movie("Rush", 1)),
                0,
                201,
            )
            .await;
            let replaced = sent(put(2).header("If-Match", &created.etag()), 1, 200).await;
            sent(patch.header("If-Match", &replaced.etag()), 1, 200).await;
            let replaced = sent(put(4), 0, 200).await;
            sent(delete().header("If-Match", &replaced.etag()), 1, 204).await;
            sent(put(5).header("If-None-Match", "*"), 1, 201).await;
            sent(delete(), 0, 204).await;
            sent(delete(), 0, 404).await;
        }
    }
}

#[tokio::test]
async fn one_of_two_equal_creates_succeeds_though_every_response_is_lost() {
    let Some(tables) = Tables::create(TABLES).await else {
        return;
    };
    for n in 0..5 {
        let (mut one, mut other) = (
            Function::emulated(&tables).await,
            Function::emulated(&tables).await,
        );
        let post = || RequestBuilder::new("POST", "/movies").json(&movie(&format!("m{n}"), 1));
        one.proxy.script([Fault::Lost, Fault::Lost]);
        other.proxy.script([Fault::Lost, Fault::Lost]);
        let (one, other) = tokio::join!(one.send(post()), other.send(post()));
        let statuses = BTreeSet::from([one.status, other.status]);
        assert_eq!(statuses, BTreeSet::from([201, 409]), "{one:#?} {other:#?}");
    }
}

/// One write of a sequence.
#[derive(Clone, Debug)]
enum Write {
    Create { key: Option<String> },
    Put,
    PutIfNone,
    PutIfMatch { stale: bool },
    Patch,
    PatchIfMatch { stale: bool },
    Delete,
    DeleteIfMatch { stale: bool },
}

impl Write {
    fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(..11) {
            0..=1 => Self::Create { key: None },
            2..=3 => Self::Create {
                key: Some(format!("key-{}", random.u8(..4))),
            },
            4 => Self::Put,
            5 => Self::PutIfNone,
            6 => Self::PutIfMatch {
                stale: random.bool(),
            },
            7 => Self::Patch,
            8 => Self::Delete,
            9 => Self::PatchIfMatch {
                stale: random.bool(),
            },
            _ => Self::DeleteIfMatch {
                stale: random.bool(),
            },
        }
    }
}

/// The expected state: the rank of each movie, and the movie that was created with each key.
#[derive(Clone, Debug, Default)]
struct Model {
    movies: BTreeMap<String, u64>,
    keys: BTreeMap<String, (String, u64)>,
}

impl Model {
    /// Applies a write and returns the expected status.
    fn apply(&mut self, write: &Write, title: &str, rank: u64) -> u16 {
        let found = self.movies.get(title).copied();
        let mut put = |status| {
            self.movies.insert(title.to_owned(), rank);
            status
        };
        match write {
            Write::Create { key } => {
                let created = (title.to_owned(), rank);
                match key.as_ref().and_then(|key| self.keys.get(key)) {
                    Some(known) if *known == created => return 201,
                    Some(_) => return 422,
                    None if found.is_some() => return 409,
                    None => {}
                }
                self.movies.insert(title.to_owned(), rank);
                if let Some(key) = key {
                    self.keys.insert(key.clone(), created);
                }
                201
            }
            Write::Put => put(if found.is_some() { 200 } else { 201 }),
            Write::PutIfNone => {
                if found.is_some() {
                    412
                } else {
                    put(201)
                }
            }
            // A write that is already stored is not a conflict.
            Write::PutIfMatch { stale: true } if found == Some(rank) => 200,
            Write::PutIfMatch { stale } => {
                if *stale || found.is_none() {
                    412
                } else {
                    put(200)
                }
            }
            Write::PatchIfMatch { stale: true } if found.is_some_and(|found| found != rank) => 412,
            Write::Patch | Write::PatchIfMatch { .. } => {
                if found.is_some() {
                    put(200)
                } else {
                    404
                }
            }
            Write::Delete => {
                if self.movies.remove(title).is_some() {
                    204
                } else {
                    404
                }
            }
            Write::DeleteIfMatch { .. } if found.is_none() => 404,
            Write::DeleteIfMatch { stale: true } => 412,
            Write::DeleteIfMatch { .. } => {
                self.movies.remove(title);
                204
            }
        }
    }
}

struct Sequences {
    function: Function,
    random: fastrand::Rng,
    writes: usize,
    open: usize,
    movies: usize,
    /// Requests to the table, and those of them with a fault.
    table_requests: [usize; 2],
}

impl Sequences {
    /// Runs a sequence of writes on movies of its own.
    async fn run(&mut self, sequence: usize) {
        let mut model = Model::default();
        for _ in 0..self.random.usize(3..=6) {
            let (title, rank) = (
                format!("{sequence}-{}", self.random.u8(..2)),
                self.random.u64(1..=3),
            );
            let write = Write::random(&mut self.random);
            let current = self.read(&title).await;
            assert_eq!(
                self.rank(&current),
                model.movies.get(&title).copied(),
                "{title}: {current:#?}"
            );
            let etag = current.headers["etag"].as_str().unwrap_or("\"none\"");
            let path = format!("/movies/2013/{title}");
            let tag = |stale: &bool| {
                if *stale {
                    "\"stale\"".to_owned()
                } else {
                    etag.to_owned()
                }
            };
            let body = movie(&title, rank);
            let request = match &write {
                Write::Create { key: None } => RequestBuilder::new("POST", "/movies").json(&body),
                // Each sequence has its own client, and so its own keys.
                Write::Create { key: Some(key) } => RequestBuilder::new("POST", "/movies")
                    .json(&body)
                    .client(&format!("client-{sequence}"))
                    .header("Idempotency-Key", key),
                Write::Put => RequestBuilder::new("PUT", &path).json(&body),
                Write::PutIfNone => RequestBuilder::new("PUT", &path)
                    .json(&body)
                    .header("If-None-Match", "*"),
                Write::PutIfMatch { stale } => RequestBuilder::new("PUT", &path)
                    .json(&body)
                    .header("If-Match", &tag(stale)),
                Write::Patch => RequestBuilder::new("PATCH", &path).json(&body),
                Write::PatchIfMatch { stale } => RequestBuilder::new("PATCH", &path)
                    .json(&body)
                    .header("If-Match", &tag(stale)),
                Write::Delete => RequestBuilder::new("DELETE", &path),
                Write::DeleteIfMatch { stale } => {
                    RequestBuilder::new("DELETE", &path).header("If-Match", &tag(stale))
                }
            };
            let before = model.clone();
            let expected = model.apply(&write, &title, rank);
            self.function
                .proxy
                .script(at_random(&mut self.random, 0.3, 9));
            let seen = self.function.send(request).await;
            self.writes += 1;
            self.table_requests[0] += seen.table_requests.len();
            self.table_requests[1] += seen
                .table_requests
                .iter()
                .filter(|request| request.fault != Fault::None)
                .count();
            if seen.status == 503 {
                // The write was applied completely or not at all. A read shows which.
                self.open += 1;
                let now = self.read(&title).await;
                let rank = self.rank(&now);
                if rank != model.movies.get(&title).copied() {
                    assert_eq!(
                        rank,
                        before.movies.get(&title).copied(),
                        "{write:?} of {title}: {now:#?}"
                    );
                    model = before;
                } else if before.movies.get(&title) == model.movies.get(&title) {
                    model = before;
                }
            } else {
                assert_eq!(
                    seen.status, expected,
                    "{write:?} of {title} on {before:?}: {seen:#?}"
                );
            }
        }
        self.movies += model.movies.len();
    }

    async fn read(&mut self, title: &str) -> Exchange {
        self.function.proxy.script([]);
        self.function
            .send(
                RequestBuilder::new("GET", &format!("/movies/2013/{title}"))
                    .header("Cache-Control", "no-cache"),
            )
            .await
    }

    fn rank(&self, seen: &Exchange) -> Option<u64> {
        match seen.status {
            200 => seen.json()["info"]["rank"].as_u64(),
            404 => None,
            _ => panic!("{seen:#?}"),
        }
    }
}

/// Returns the number in a variable if it is set, as `make fault-drill` does.
fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable)
        .ok()
        .map_or(default, |number| number.parse().unwrap())
}

#[tokio::test]
async fn random_writes_under_faults_match_a_model() {
    let (many, seed) = (number("SEQUENCES", 100), number("SEED", 20_261_121) as u64);
    println!("SEED={seed} SEQUENCES={many}");
    let Some(tables) = Tables::create(TABLES).await else {
        return;
    };
    let mut sequences = Sequences {
        function: Function::emulated(&tables).await,
        random: fastrand::Rng::with_seed(seed),
        writes: 0,
        open: 0,
        movies: 0,
        table_requests: [0; 2],
    };
    for sequence in 0..many {
        sequences.run(sequence).await;
    }
    let Sequences {
        writes,
        open,
        movies,
        table_requests: [table_requests, faults],
        ..
    } = sequences;
    let mut pages = tables
        .client
        .scan()
        .table_name(tables.name("movies"))
        .select(Select::Count)
        .into_paginator()
        .send();
    let mut items = 0;
    while let Some(page) = pages.next().await {
        items += page.unwrap().count;
    }
    assert_eq!(usize::try_from(items).unwrap(), movies);
    println!(
        "{many} sequences, {writes} writes, {table_requests} requests to the table, {faults} of them \
         with a fault; {open} responses of 503"
    );
    assert!(faults * 5 > table_requests && open * 5 < writes);
}

/// Each of fifty concurrent functions reads a movie's rank and writes it increased by one, until it
/// succeeds once. Each writes its own number into the plot, because two writes of equal content
/// would both get 200.
#[tokio::test]
async fn fifty_concurrent_writers_under_faults_lose_and_repeat_no_write() {
    const WRITERS: usize = 50;
    let Some(tables) = Tables::create(TABLES).await else {
        return;
    };
    let mut first = Function::emulated(&tables).await;
    assert_eq!(
        first
            .send(RequestBuilder::new("POST", "/movies").json(&movie("Rush", 1)))
            .await
            .status,
        201
    );
    let writing: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let launch = on(&tables);
            tokio::spawn(async move {
                let proxy = Proxy::start(forward(&std::env::var("AWS_ENDPOINT_URL").unwrap()))
                    .await
                    .unwrap();
                let environment =
                    Environment::start(launch.variable("AWS_ENDPOINT_URL", proxy.url()))
                        .await
                        .unwrap();
                let mut function = Function {
                    environment,
                    proxy,
                    requests: 0,
                    lines: 0,
                };
                let mut random = fastrand::Rng::with_seed(writer as u64);
                let (mut open, mut rejected) = (Vec::new(), 0);
                loop {
                    function.proxy.script([]);
                    let read = function
                        .send(
                            RequestBuilder::new("GET", "/movies/2013/Rush")
                                .header("Cache-Control", "no-cache"),
                        )
                        .await;
                    // With fifty processes on few cores, a read may exceed its time limit.
                    let Some(rank) =
                        (read.status == 200).then(|| read.json()["info"]["rank"].as_u64().unwrap())
                    else {
                        continue;
                    };
                    function.proxy.script(at_random(&mut random, 0.2, 6));
                    let mut body = movie("Rush", rank + 1);
                    body["info"]["plot"] = json!(format!("of writer {writer}"));
                    let put = RequestBuilder::new("PUT", "/movies/2013/Rush")
                        .json(&body)
                        .header("If-Match", read.headers["etag"].as_str().unwrap());
                    match function.send(put).await.status {
                        200 => return (rank + 1, open, rejected),
                        412 => rejected += 1,
                        503 => open.push(rank + 1),
                        other => panic!("{other}"),
                    }
                    tokio::time::sleep(Duration::from_millis(random.u64(..200))).await;
                }
            })
        })
        .collect();
    let (mut done, mut open, mut rejections) = (Vec::new(), BTreeSet::new(), 0);
    for writer in writing {
        let (rank, unclear, rejected) = writer.await.unwrap();
        done.push(rank);
        open.extend(unclear);
        rejections += rejected;
    }
    let last = first
        .send(RequestBuilder::new("GET", "/movies/2013/Rush").header("Cache-Control", "no-cache"))
        .await
        .json()["info"]["rank"]
        .as_u64()
        .unwrap();
    println!(
        "{WRITERS} writers, {rejections} rejections, {} responses of 503; \
         the rank went from 1 to {last}",
        open.len()
    );
    // Each rank was written by one writer, who got a 200, or a 503 if the outcome was unknown.
    let distinct: BTreeSet<_> = done.iter().copied().collect();
    assert_eq!(
        distinct.len(),
        WRITERS,
        "two writers got a 200 for the same rank: {done:?}"
    );
    let unknown: Vec<_> = (2..=last)
        .filter(|rank| !distinct.contains(rank) && !open.contains(rank))
        .collect();
    assert!(
        unknown.is_empty(),
        "ranks that no writer wrote: {unknown:?}"
    );
    assert!(done.iter().all(|rank| *rank <= last));
}
