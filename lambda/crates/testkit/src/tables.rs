use aws_sdk_dynamodb::{
    Client,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

/// Tables of one test on the DynamoDB emulator at `AWS_ENDPOINT_URL`.
#[derive(Clone, Debug)]
pub struct Tables {
    /// A client of the emulator.
    pub client: Client,
    names: BTreeMap<String, String>,
}

impl Tables {
    /// Creates every table of a `tables.json`, under names that no other test uses.
    ///
    /// # Panics
    /// There is no emulator.
    pub async fn create(schemas: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(
            std::env::var("AWS_ENDPOINT_URL").is_ok(),
            "this test needs a DynamoDB emulator at AWS_ENDPOINT_URL: run it by `make test`"
        );
        let client = Client::new(&aws_config::load_from_env().await);
        let schemas: BTreeMap<String, Value> = serde_json::from_str(schemas).unwrap();
        let mut names = BTreeMap::new();
        for (table, schema) in schemas {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{table}-test-{}-{number}", std::process::id());
            create_table(&client, &name, &schema).await;
            names.insert(table, name);
        }
        Self { client, names }
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
///
/// # Panics
/// It cannot be created.
pub async fn create_table(client: &Client, name: &str, schema: &Value) {
    let create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    let keys = [("partition_key", KeyType::Hash), ("sort_key", KeyType::Range)];
    let create = keys.into_iter().fold(create, |create, (part, key_type)| {
        let name = schema[part]["name"].as_str().unwrap();
        let attribute_type = schema[part]["type"].as_str().unwrap().into();
        let key = KeySchemaElement::builder().attribute_name(name).key_type(key_type);
        let attribute =
            AttributeDefinition::builder().attribute_name(name).attribute_type(attribute_type);
        create.key_schema(key.build().unwrap()).attribute_definitions(attribute.build().unwrap())
    });
    create.send().await.unwrap();
}
