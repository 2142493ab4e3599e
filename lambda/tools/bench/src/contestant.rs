//! Who is measured, and one round of it.

use crate::figures::Round;
use anyhow::{Context, Result, ensure};
use lambda_emulator::{
    Environment, Event, FunctionConfig, InvocationOutcome, Process, Server, TestCa, dynamodb,
};
use serde_json::Value;
use std::{fs, path::Path, time::Duration};

/// The event that API Gateway sends for `GET /movies/2013/Rush`, and the row that DynamoDB has.
const EVENT: &str = include_str!("../event.json");
const ITEM: &str = include_str!("../item.json");

/// Lambda's share of a CPU for 128 MB: 1,769 MB are one.
const SHARE_OF_128_MB: f64 = 128.0 / 1769.0;

/// Requests before the ones that are measured.
const WARM_UP: usize = 50;

/// A contestant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contestant {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Where its package lies.
    folder: &'static str,
    variables: &'static [(&'static str, &'static str)],
    layer: bool,
    roots: Roots,
}

/// Where a contestant has its root certificates from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Roots {
    /// They are compiled in: it reads nothing but the certificate of the imitated AWS.
    CompiledIn,
    /// It reads the machine's when it starts.
    Machine,
}

const PLAIN: Contestant = Contestant {
    name: "",
    title: "",
    folder: "",
    variables: &[],
    layer: false,
    roots: Roots::Machine,
};

pub(crate) const CONTESTANTS: [Contestant; 7] = [
    Contestant {
        name: "flask",
        title: "Python: Flask, boto3 (the original's stack)",
        folder: "flask",
        ..PLAIN
    },
    Contestant {
        name: "naive",
        title: "Rust as the documentation shows it",
        folder: "naive",
        ..PLAIN
    },
    Contestant {
        name: "mvdb",
        title: "mvdb as it ships",
        folder: "movies",
        roots: Roots::CompiledIn,
        ..PLAIN
    },
    Contestant {
        name: "mvdb-layer",
        title: "mvdb with its layer, every request traced",
        folder: "movies",
        variables: &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")],
        layer: true,
        roots: Roots::CompiledIn,
    },
    Contestant {
        name: "sdk",
        title: "the least around the SDK",
        folder: "sdk",
        roots: Roots::CompiledIn,
        ..PLAIN
    },
    Contestant {
        name: "limit",
        title: "the limit: sockets, TLS, SigV4",
        folder: "limit",
        ..PLAIN
    },
    Contestant {
        name: "empty",
        title: "an empty lambda_runtime",
        folder: "empty",
        ..PLAIN
    },
];

/// What all contestants are given: a table, somewhere for traces to go, and whom to trust.
pub(crate) struct World {
    authority: TestCa,
    table: Server,
    sink: Server,
    event: Event,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        Self::with(EVENT, vec![serde_json::from_str(ITEM)?]).await
    }

    pub(crate) async fn with(event: &str, items: Vec<Value>) -> Result<Self> {
        let authority = TestCa::new()?;
        let table = Server::https(&authority, dynamodb::stub(items)).await?;
        let sink =
            Server::https(&authority, |_| std::future::ready(Some(Default::default()))).await?;
        // As API Gateway sends it, without spaces.
        let event = Event::new(serde_json::from_str::<Value>(event)?.to_string());
        Ok(Self {
            authority,
            table,
            sink,
            event,
        })
    }

    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    /// A start of `bootstrap` with this world around it.
    pub(crate) fn launch(&self, bootstrap: &Path, roots: Roots) -> FunctionConfig {
        let launch = self
            .variables()
            .into_iter()
            .fold(FunctionConfig::new(bootstrap), |launch, (name, value)| {
                launch.variable(name, value)
            })
            .never_frozen();
        match roots {
            Roots::CompiledIn => launch.variable("SSL_CERT_FILE", self.authority.file()),
            Roots::Machine => launch,
        }
    }

    /// Where this world is, for a process that is not started by [`World::launch`] too.
    pub(crate) fn variables(&self) -> [(&'static str, String); 8] {
        [
            ("AWS_ACCESS_KEY_ID", "AKIAEMULATED".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_REGION", "eu-west-1".into()),
            ("AWS_CA_BUNDLE", self.authority.bundle()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.table.url().into()),
            ("AWS_ENDPOINT_URL_XRAY", self.sink.url().into()),
            ("SSL_CERT_FILE", self.authority.bundle()),
            ("TABLE_NAME", "movies".into()),
        ]
    }
}

impl Contestant {
    /// Those named, in the table's order.
    pub(crate) fn of(only: &[String]) -> Result<Vec<Self>> {
        for name in only {
            let known = CONTESTANTS.map(|contestant| contestant.name);
            ensure!(
                known.contains(&name.as_str()),
                "there is no contestant '{name}'; there are: {}",
                known.join(", ")
            );
        }
        Ok(CONTESTANTS
            .into_iter()
            .filter(|contestant| only.is_empty() || only.iter().any(|name| name == contestant.name))
            .collect())
    }

    /// The size of what is uploaded, in bytes, its layer included.
    pub(crate) fn package_bytes(&self, folder: &Path) -> Result<u64> {
        let size = |file: &str| {
            fs::metadata(folder.join(file))
                .with_context(|| format!("no {file}"))
                .map(|file| file.len())
        };
        Ok(size(&format!("{}/bootstrap.zip", self.folder))?
            + if self.layer {
                size("telemetry-extension/layer.zip")?
            } else {
                0
            })
    }

    /// Writes its programs anew. A file that was just written is mapped in larger pieces than one that came back from the disk, which
    /// makes a tenth of a process's memory: all are to start from the same.
    pub(crate) fn refresh(&self, folder: &Path) -> Result<()> {
        let layer = self
            .layer
            .then(|| folder.join("telemetry-extension/extensions/telemetry-extension"));
        for program in [folder.join(self.folder).join("bootstrap")]
            .into_iter()
            .chain(layer)
        {
            let new = program.with_extension("new");
            fs::copy(&program, &new)
                .and_then(|_| fs::rename(&new, &program))
                .with_context(|| format!("{}", program.display()))?;
        }
        Ok(())
    }

    fn launch(&self, world: &World, folder: &Path) -> FunctionConfig {
        let launch = world.launch(&folder.join(self.folder).join("bootstrap"), self.roots);
        let launch = self.variables.iter().fold(launch, |launch, (name, value)| {
            launch.variable(name, *value)
        });
        if self.layer {
            launch.extension(folder.join("telemetry-extension/extensions/telemetry-extension"))
        } else {
            launch
        }
    }

    /// One round: a cold start and its first request with a whole CPU, then `requests` warm ones; then once more cold, with the
    /// share of a CPU that 128 MB give.
    pub(crate) async fn round(
        &self,
        world: &World,
        folder: &Path,
        requests: usize,
    ) -> Result<Round> {
        let event = match self.layer {
            true => world.event.clone().trace(
                "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            ),
            false => world.event.clone(),
        };
        let mut environment = Environment::start(self.launch(world, folder))
            .await
            .with_context(|| self.name)?;
        let first_invoke = self.ask(&mut environment, &event).await?;
        let cold_cpu = cpu(&environment)?;
        let cold_total = environment.init() + first_invoke;

        for _ in 0..WARM_UP {
            self.ask(&mut environment, &event).await?;
        }
        let before = cpu(&environment)?;
        let mut latencies = Vec::with_capacity(requests);
        for _ in 0..requests {
            latencies.push(self.ask(&mut environment, &event).await?);
        }
        let warm_cpu = (cpu(&environment)? - before).div_f64(requests as f64);
        latencies.sort();
        let percentile = |part: f64| {
            latencies
                .get((latencies.len() as f64 * part) as usize)
                .copied()
                .context("no requests")
        };
        let (p50, p99) = (percentile(0.5)?, percentile(0.99)?);
        let resident_bytes = processes(&environment)
            .map(Process::max_resident_bytes)
            .sum::<Result<u64>>()?;
        environment.shutdown().await?;

        let mut environment =
            Environment::start(self.launch(world, folder).cpu_share(SHARE_OF_128_MB)).await?;
        let first_invoke_of_128_mb = self.ask(&mut environment, &event).await?;
        environment.shutdown().await?;
        Ok(Round {
            cold_cpu,
            cold_total,
            first_invoke,
            first_invoke_of_128_mb,
            p50,
            p99,
            warm_cpu,
            resident_bytes,
        })
    }

    /// Whoever does not answer has no time.
    async fn ask(&self, environment: &mut Environment, event: &Event) -> Result<Duration> {
        let answer = environment.invoke(event.clone()).await?;
        let good = |body: &[u8]| {
            serde_json::from_slice::<serde_json::Value>(body)
                .is_ok_and(|answer| answer["statusCode"] == 200)
        };
        ensure!(
            matches!(&answer.outcome, InvocationOutcome::Response(body) if good(body)),
            "{} answered {:?}; it wrote {:#?}",
            self.name,
            answer.outcome,
            environment.lines()
        );
        Ok(answer.latency)
    }
}

fn processes(environment: &Environment) -> impl Iterator<Item = &Process> {
    std::iter::once(environment.function()).chain(environment.extensions())
}

/// The CPU time that function and extensions have taken.
fn cpu(environment: &Environment) -> Result<Duration> {
    processes(environment).map(Process::cpu).sum()
}
