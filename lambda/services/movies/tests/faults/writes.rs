//! No write is lost, and none is done twice, whatever becomes of the answers.

use super::{
    Fault, Function, Seen, TABLES,
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

/// Faults after which the table has done what was asked and the function does not know it.
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
            // Two retries in a row cost more than they give back: no bucket lasts for all of these.
            let mut function = Function::emulated(&tables).await;
            let mut sent = async |request: RequestBuilder, reads: usize, status: u16| {
                // A conditional write reads first. Only responses to the write are lost.
                let reading = std::iter::repeat_n(Fault::None, reads);
                function
                    .proxy
                    .script(reading.chain(vec![fault.clone(); lost]));
                let seen = function.send(request).await;
                assert_eq!(
                    seen.no_fault().calls(reads + lost + 1).status,
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

/// One write of a sequence, and what it makes of the movies there are.
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

/// What there ought to be: the rank of each movie, and what was created under each key.
#[derive(Clone, Debug, Default)]
struct Model {
    movies: BTreeMap<String, u64>,
    keys: BTreeMap<String, (String, u64)>,
}

impl Model {
    /// Does a write, and gives the status that it is answered with.
    fn apply(&mut self, write: &Write, title: &str, rank: u64) -> u16 {
        let found = self.movies.get(title).copied();
        let mut put = |status| {
            self.movies.insert(title.to_owned(), rank);
            status
        };
        match write {
            Write::Create { key } => {
                let made = (title.to_owned(), rank);
                match key.as_ref().and_then(|key| self.keys.get(key)) {
                    Some(known) if *known == made => return 201,
                    Some(_) => return 422,
                    None if found.is_some() => return 409,
                    None => {}
                }
                self.movies.insert(title.to_owned(), rank);
                if let Some(key) = key {
                    self.keys.insert(key.clone(), made);
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
            // What is there already, as a repeated write finds it, is no conflict.
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
    /// Calls to the table, and those of them that a fault befell.
    calls: [usize; 2],
}

impl Sequences {
    /// A sequence of writes on movies of its own.
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
            let ask = match &write {
                Write::Create { key: None } => RequestBuilder::new("POST", "/movies").json(&body),
                // Keys are of one sequence alone, as its movies are.
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
            let seen = self.function.send(ask).await;
            self.writes += 1;
            self.calls[0] += seen.calls.len();
            self.calls[1] += seen
                .calls
                .iter()
                .filter(|call| call.fault != Fault::None)
                .count();
            if seen.status == 503 {
                // Given up: done or not done, and nothing else. The next write of a key would tell, a read tells of the movie.
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

    async fn read(&mut self, title: &str) -> Seen {
        self.function.proxy.script([]);
        self.function
            .send(
                RequestBuilder::new("GET", &format!("/movies/2013/{title}"))
                    .header("Cache-Control", "no-cache"),
            )
            .await
    }

    fn rank(&self, seen: &Seen) -> Option<u64> {
        match seen.status {
            200 => seen.json()["info"]["rank"].as_u64(),
            404 => None,
            _ => panic!("{seen:#?}"),
        }
    }
}

/// How often, from the environment: `make fault-drill` asks for more than `make test` does.
fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable)
        .ok()
        .map_or(otherwise, |number| number.parse().unwrap())
}

#[tokio::test]
async fn random_writes_under_faults_do_what_a_model_says() {
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
        calls: [0; 2],
    };
    for sequence in 0..many {
        sequences.run(sequence).await;
    }
    let Sequences {
        writes,
        open,
        movies,
        calls: [calls, faults],
        ..
    } = sequences;
    let mut pages = tables
        .client
        .scan()
        .table_name(tables.name("movies"))
        .select(Select::Count)
        .into_paginator()
        .send();
    let mut rows = 0;
    while let Some(page) = pages.next().await {
        rows += page.unwrap().count;
    }
    assert_eq!(usize::try_from(rows).unwrap(), movies);
    println!(
        "{many} sequences, {writes} writes, {calls} calls to the table, {faults} of them disturbed; {open} writes answered 503"
    );
    assert!(faults * 5 > calls && open * 5 < writes);
}

/// Fifty functions at once raise a movie's rank by one and sign it, each on what it has read, until
/// each has done it once. (Two that write the same content would both get 200.)
#[tokio::test]
async fn fifty_writers_at_once_under_faults_lose_and_double_nothing() {
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
                let (mut open, mut refused) = (Vec::new(), 0);
                loop {
                    function.proxy.script([]);
                    let read = function
                        .send(
                            RequestBuilder::new("GET", "/movies/2013/Rush")
                                .header("Cache-Control", "no-cache"),
                        )
                        .await;
                    // Fifty processes on few cores: a read may run out of its time.
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
                        200 => return (rank + 1, open, refused),
                        412 => refused += 1,
                        503 => open.push(rank + 1),
                        other => panic!("{other}"),
                    }
                    tokio::time::sleep(Duration::from_millis(random.u64(..200))).await;
                }
            })
        })
        .collect();
    let (mut done, mut open, mut refusals) = (Vec::new(), BTreeSet::new(), 0);
    for writer in writing {
        let (rank, unclear, refused) = writer.await.unwrap();
        done.push(rank);
        open.extend(unclear);
        refusals += refused;
    }
    let last = first
        .send(RequestBuilder::new("GET", "/movies/2013/Rush").header("Cache-Control", "no-cache"))
        .await
        .json()["info"]["rank"]
        .as_u64()
        .unwrap();
    println!(
        "{WRITERS} writers, {refusals} refusals, {} answers of 503; the rank went from 1 to {last}",
        open.len()
    );
    // Each rank was written by one writer, and each that was written is known to the one who wrote it.
    let distinct: BTreeSet<_> = done.iter().copied().collect();
    assert_eq!(
        distinct.len(),
        WRITERS,
        "two were told that they wrote the same: {done:?}"
    );
    let unknown: Vec<_> = (2..=last)
        .filter(|rank| !distinct.contains(rank) && !open.contains(rank))
        .collect();
    assert!(
        unknown.is_empty(),
        "written, and told to nobody: {unknown:?}"
    );
    assert!(done.iter().all(|rank| *rank <= last));
}
