//! The tables of `tables.json` on the emulator at `AWS_ENDPOINT_URL`, under names of their own, for the tests that need one.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType},
};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};

pub(super) struct Tables {
    pub(super) client: Client,
    pub(super) movies: String,
    pub(super) creations: String,
}

impl Tables {
    pub(super) async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(
            std::env::var("AWS_ENDPOINT_URL").is_ok(),
            "these tests need a DynamoDB emulator at AWS_ENDPOINT_URL: run them by `make test`"
        );
        let client = Client::new(&aws_config::load_from_env().await);
        let suffix = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let schemas: Value = serde_json::from_str(include_str!("../../tables.json")).unwrap();
        let (movies, creations) = (format!("movies-{suffix}"), format!("creations-{suffix}"));
        create(&client, &movies, &schemas["movies"]).await;
        create(&client, &creations, &schemas["creations"]).await;
        Self { client, movies, creations }
    }
}

async fn create(client: &Client, name: &str, schema: &Value) {
    let mut request = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (part, kind) in [("partition_key", KeyType::Hash), ("sort_key", KeyType::Range)] {
        let (attribute, of_type) = (schema[part]["name"].as_str().unwrap(), schema[part]["type"].as_str().unwrap());
        request = request
            .key_schema(KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build().unwrap())
            .attribute_definitions(
                AttributeDefinition::builder().attribute_name(attribute).attribute_type(of_type.into()).build().unwrap(),
            );
    }
    request.send().await.unwrap();
}
