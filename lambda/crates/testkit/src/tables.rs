use aws_sdk_dynamodb::{
    Client,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::Write,
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

/// Returns the URL of the DynamoDB emulator, `AWS_ENDPOINT_URL`. Without it the caller skips its
/// test. The first one prints that tests were skipped, and how to run them.
///
/// # Panics
/// The variable is not set though `CI` or `MVDB_EMULATOR=required` is, or it names another machine,
/// where tests must not create tables.
#[must_use]
pub fn emulator() -> Option<String> {
    const HELP: &str = "no DynamoDB emulator at AWS_ENDPOINT_URL; `make test` starts one";
    static SKIPPED: Once = Once::new();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = variable("AWS_ENDPOINT_URL") else {
        let required = variable("CI").is_some()
            || variable("MVDB_EMULATOR").is_some_and(|value| value == "required");
        assert!(!required, "{HELP}");
        // Not by eprintln!, which the test harness captures.
        SKIPPED.call_once(|| {
            let _ = writeln!(std::io::stderr(), "skipped every test of DynamoDB: {HELP}");
        });
        return None;
    };
    let local = ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|host| url.contains(host));
    assert!(
        local,
        "AWS_ENDPOINT_URL is {url}: these tests create tables on this machine only"
    );
    Some(url)
}

/// Tables of one test on the DynamoDB emulator.
#[derive(Clone, Debug)]
pub struct Tables {
    /// A client of the emulator.
    pub client: Client,
    names: BTreeMap<String, String>,
}

impl Tables {
    /// Creates every table of a `tables.json`, under names that no other test uses. `None` if there
    /// is no emulator: see [`emulator`].
    ///
    /// # Panics
    /// The emulator does not create them.
    pub async fn create(schemas: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        emulator()?;
        let client = Client::new(&aws_config::load_from_env().await);
        let schemas: BTreeMap<String, Value> = serde_json::from_str(schemas).unwrap();
        let mut names = BTreeMap::new();
        for (table, schema) in schemas {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{table}-test-{}-{number}", std::process::id());
            create_table(&client, &name, &schema).await;
            names.insert(table, name);
        }
        Some(Self { client, names })
    }

    /// The name on the emulator of a table of the `tables.json`.
    ///
    /// # Panics
    /// There is no such table.
    #[must_use]
    pub fn name(&self, table: &str) -> &str {
        &self.names[table]
    }
}

/// Creates a table with the keys of `schema`, an entry of a `tables.json`.
async fn create_table(client: &Client, name: &str, schema: &Value) {
    let create = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest);
    let keys = [
        ("partition_key", KeyType::Hash),
        ("sort_key", KeyType::Range),
    ];
    let create = keys.into_iter().fold(create, |create, (part, key_type)| {
        let name = schema[part]["name"].as_str().unwrap();
        let attribute_type = schema[part]["type"].as_str().unwrap().into();
        let key = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(key_type);
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(attribute_type);
        create
            .key_schema(key.build().unwrap())
            .attribute_definitions(attribute.build().unwrap())
    });
    create.send().await.unwrap();
}
