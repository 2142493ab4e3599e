//! Items that other writers wrote: a newer version during a canary release, a script, a person.

use super::{App, EntryPoint};
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_emulator::{Server, dynamodb, proxy::forward};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use testkit::{RequestBuilder, Response, TestApp, sample::rush};

behaviours![
    patch_keeps_attributes_that_it_does_not_name,
    patch_replaces_or_removes_a_malformed_attribute_that_it_names,
    patch_of_info_to_null_removes_every_known_field_and_keeps_unknown_ones,
    patch_creates_info_where_it_is_missing_or_malformed,
    empty_patch_leaves_a_malformed_item_unchanged,
    patch_succeeds_though_another_stored_value_is_beyond_the_limits,
    item_with_any_stored_etag_can_be_replaced_patched_and_deleted,
    etag_from_before_another_writers_edit_is_412,
    etag_covers_every_attribute_but_the_stored_etag,
    write_returns_the_etag_of_the_next_read,
    item_with_only_its_key_can_be_read_listed_patched_and_deleted,
    edit_between_a_read_and_its_write_is_not_overwritten,
];

type Item = HashMap<String, AttributeValue>;

const PATH: &str = "/movies/2013/Rush";

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn key() -> Item {
    Item::from([
        ("year".into(), AttributeValue::N("2013".into())),
        ("title".into(), text("Rush")),
    ])
}

fn get() -> RequestBuilder {
    RequestBuilder::new("GET", PATH)
}

fn patch(info: Value) -> RequestBuilder {
    RequestBuilder::new("PATCH", PATH).json(&json!({ "info": info }))
}

fn put(info: Value) -> RequestBuilder {
    RequestBuilder::new("PUT", PATH).json(&json!({ "info": info }))
}

fn delete() -> RequestBuilder {
    RequestBuilder::new("DELETE", PATH)
}

impl App {
    async fn item(&self) -> Item {
        let request = self
            .tables
            .client
            .get_item()
            .table_name(self.table())
            .set_key(Some(key()));
        request
            .consistent_read(true)
            .send()
            .await
            .unwrap()
            .item
            .unwrap()
    }

    /// Replaces the item as another writer would.
    async fn write(&self, item: Item) {
        self.tables
            .client
            .put_item()
            .table_name(self.table())
            .set_item(Some(item))
            .send()
            .await
            .unwrap();
    }

    /// Edits the item without updating the stored ETag.
    async fn edit(&self, change: impl FnOnce(&mut Item)) {
        let mut item = self.item().await;
        change(&mut item);
        self.write(item).await;
    }
}

fn info(item: &mut Item) -> &mut Item {
    let Some(AttributeValue::M(info)) = item.get_mut("info") else {
        panic!("info is not a map")
    };
    info
}

/// Starts a service with a movie that has a malformed rank and rating, and unknown attributes
/// inside and outside of `info`.
async fn edited(entry_point: EntryPoint) -> App {
    let app = entry_point.start().await;
    app.create(&rush()).await;
    app.edit(|item| {
        item.insert(
            "audit".into(),
            AttributeValue::Ss(vec!["a".into(), "b".into()]),
        );
        info(item).insert("rank".into(), text("second"));
        info(item).insert("rating".into(), text("good"));
        info(item).insert(
            "languages".into(),
            AttributeValue::L(vec![text("en"), text("de")]),
        );
    })
    .await;
    app
}

async fn patch_keeps_attributes_that_it_does_not_name(entry_point: EntryPoint) {
    let app = edited(entry_point).await;
    let mut expected = app.item().await;
    let patched = app
        .send(patch(json!({ "running_time_secs": 60, "plot": null })))
        .await;
    assert_eq!(
        (patched.status, &patched.json()["info"]["running_time_secs"]),
        (200, &json!(60))
    );
    info(&mut expected).insert("running_time_secs".into(), AttributeValue::N("60".into()));
    info(&mut expected).remove("plot");
    expected.insert("etag".into(), text(patched.etag().trim_matches('"')));
    assert_eq!(app.item().await, expected);
    assert_eq!(app.send(get()).await.etag(), patched.etag());
}

async fn patch_replaces_or_removes_a_malformed_attribute_that_it_names(entry_point: EntryPoint) {
    let app = edited(entry_point).await;
    let patched = app.send(patch(json!({ "rank": 3, "rating": null }))).await;
    assert_eq!(
        (patched.status, &patched.json()["info"]["rank"]),
        (200, &json!(3))
    );
    let mut item = app.item().await;
    assert_eq!(info(&mut item)["rank"], AttributeValue::N("3".into()));
    assert!(!info(&mut item).contains_key("rating"), "{item:?}");
}

async fn patch_of_info_to_null_removes_every_known_field_and_keeps_unknown_ones(
    entry_point: EntryPoint,
) {
    let app = edited(entry_point).await;
    let request = RequestBuilder::new("PATCH", PATH).json(&json!({ "info": null }));
    assert_eq!(app.send(request).await.json()["info"], json!({}));
    let mut item = app.item().await;
    assert_eq!(info(&mut item).keys().collect::<Vec<_>>(), ["languages"]);
    assert!(item.contains_key("audit"), "{item:?}");
}

async fn patch_creates_info_where_it_is_missing_or_malformed(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for malformed in [None, Some(text("x")), Some(AttributeValue::Null(true))] {
        let mut item = key();
        item.extend(malformed.clone().map(|value| ("info".to_owned(), value)));
        app.write(item).await;
        let patched = app.send(patch(json!({ "rank": 3 }))).await;
        assert_eq!(
            (patched.status, &patched.json()["info"]),
            (200, &json!({ "rank": 3 })),
            "{malformed:?}"
        );
        assert_eq!(app.send(get()).await.json()["info"], json!({ "rank": 3 }));
        assert_eq!(
            app.send(patch(json!({ "rank": null }))).await.json()["info"],
            json!({})
        );
    }
}

async fn empty_patch_leaves_a_malformed_item_unchanged(entry_point: EntryPoint) {
    let app = edited(entry_point).await;
    let before = app.item().await;
    for body in [json!({}), json!({ "info": {} })] {
        let patched = app
            .send(RequestBuilder::new("PATCH", PATH).json(&body))
            .await;
        assert_eq!(
            (patched.status, patched.etag()),
            (200, app.send(get()).await.etag())
        );
    }
    assert_eq!(app.item().await, before);
}

async fn patch_succeeds_though_another_stored_value_is_beyond_the_limits(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.create(&rush()).await;
    app.edit(|item| drop(info(item).insert("rating".into(), AttributeValue::N("11".into()))))
        .await;
    let patched = app
        .send(patch(json!({ "plot": "x" })).without_contract())
        .await;
    assert_eq!(
        (patched.status, &patched.json()["info"]["plot"]),
        (200, &json!("x")),
        "{patched:?}"
    );
    assert_eq!(patched.json()["info"]["rating"], json!(11));
    let rejected = app.send(patch(json!({ "rating": 11 }))).await;
    assert_eq!(
        rejected.assert_problem(400, "invalid_request"),
        ["info.rating"]
    );
}

/// Returns stored ETags that differ from the ETag of the item's content.
fn stored_etags() -> Vec<Option<AttributeValue>> {
    vec![
        None,
        Some(text("0123456789abcdef0123456789abcdef")),
        Some(text("")),
        Some(AttributeValue::N("1".into())),
        Some(AttributeValue::Null(true)),
        Some(AttributeValue::L(vec![])),
    ]
}

/// Stores a movie with this ETag, and changes its rank without updating the ETag.
async fn store_with_etag(app: &App, etag: Option<AttributeValue>) {
    let _ = app.send(delete()).await;
    app.create(&rush()).await;
    app.edit(|item| {
        item.remove("etag");
        item.extend(etag.map(|etag| ("etag".to_owned(), etag)));
        info(item).insert("rank".into(), AttributeValue::N("9".into()));
    })
    .await;
}

async fn item_with_any_stored_etag_can_be_replaced_patched_and_deleted(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for stored in stored_etags() {
        for request in [
            put(json!({ "rank": 7 })),
            patch(json!({ "rank": 7 })),
            delete(),
        ] {
            for condition in [None, Some("If-Match")] {
                store_with_etag(&app, stored.clone()).await;
                let read = app.send(get()).await;
                let request = match condition {
                    Some(name) => request.clone().header(name, &read.etag()),
                    None => request.clone(),
                };
                let response = app.send(request.clone()).await;
                assert!(
                    matches!(response.status, 200 | 204),
                    "{stored:?} {request:?}: {response:?}"
                );
                if response.status == 200 {
                    assert_eq!(app.send(get()).await.etag(), response.etag(), "{stored:?}");
                }
            }
        }
    }
}

async fn etag_from_before_another_writers_edit_is_412(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for stored in stored_etags() {
        let _ = app.send(delete()).await;
        let before = app.create(&rush()).await.etag();
        let unchanged = app.item().await["etag"].clone();
        // The edit keeps the stored ETag or writes another one.
        app.edit(|item| {
            item.insert("etag".into(), stored.clone().unwrap_or(unchanged));
            info(item).insert("rank".into(), AttributeValue::N("9".into()));
        })
        .await;
        let edited = app.item().await;
        for request in [
            put(json!({ "rank": 7 })),
            patch(json!({ "rank": 7 })),
            delete(),
        ] {
            app.send(request.header("If-Match", &before))
                .await
                .assert_problem(412, "precondition_failed");
        }
        assert_eq!(app.item().await, edited);
        let fresh = app.send(get().header("If-None-Match", &before)).await;
        assert_eq!(
            (fresh.status, &fresh.json()["info"]["rank"]),
            (200, &json!(9)),
            "{stored:?}"
        );
    }
}

async fn etag_covers_every_attribute_but_the_stored_etag(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let created = app.create(&rush()).await.etag();
    let etag = async |change: fn(&mut Item)| {
        app.edit(change).await;
        let response = app.send(get()).await;
        assert_eq!(
            (response.status, response.json()["year"].as_u64()),
            (200, Some(2013))
        );
        response.etag()
    };
    assert_eq!(etag(|item| drop(item.remove("etag"))).await, created);
    assert_eq!(
        etag(|item| drop(item.insert("etag".into(), text("x")))).await,
        created
    );
    let changes: [fn(&mut Item); 10] = [
        |item| drop(item.insert("audit".into(), text("a"))),
        |item| drop(item.insert("audit".into(), AttributeValue::N("1".into()))),
        |item| drop(item.insert("audit".into(), AttributeValue::L(vec![text("a")]))),
        |item| drop(item.insert("audit".into(), AttributeValue::L(vec![text("a"), text("")]))),
        |item| drop(item.insert("audit".into(), AttributeValue::Ss(vec!["a".into()]))),
        |item| drop(item.insert("audit".into(), AttributeValue::B(b"a".to_vec().into()))),
        |item| {
            drop(item.insert(
                "audit".into(),
                AttributeValue::M(Item::from([("a".into(), AttributeValue::Bool(true))])),
            ))
        },
        |item| drop(info(item).insert("audit".into(), text("a"))),
        |item| drop(info(item).insert("rank".into(), text("2"))),
        |item| drop(item.insert("info".into(), text("a"))),
    ];
    let mut seen = vec![created];
    for (number, change) in changes.into_iter().enumerate() {
        let etag = etag(change).await;
        assert!(
            !seen.contains(&etag),
            "change {number} does not change the ETag"
        );
        seen.push(etag);
    }
}

async fn write_returns_the_etag_of_the_next_read(entry_point: EntryPoint) {
    let app = edited(entry_point).await;
    let same = async |response: Response| {
        assert_eq!(
            app.send(get()).await.etag(),
            response.etag(),
            "{response:?}"
        )
    };
    same(app.send(patch(json!({ "rating": 8.30 }))).await).await;
    same(
        app.send(put(json!({ "rating": 8.30, "rank": 1.0e2 })))
            .await,
    )
    .await;
    same(app.send(put(json!({}))).await).await;
    app.send(delete()).await;
    same(app.create(&rush()).await).await;
}

async fn item_with_only_its_key_can_be_read_listed_patched_and_deleted(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    app.write(key()).await;
    assert_eq!(
        app.send(get()).await.json(),
        json!({ "year": 2013, "title": "Rush", "info": {} })
    );
    assert_eq!(
        app.ask("GET", "/movies?year=2013").await.json()["movies"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        app.send(get().header("If-None-Match", "*")).await.status,
        304
    );
    app.send(get().header("If-None-Match", "\""))
        .await
        .assert_problem(400, "invalid_request");
    assert_eq!(app.send(patch(json!({ "rank": 1 }))).await.status, 200);
    assert_eq!(app.send(delete()).await.status, 204);
}

/// Starts the service with a table that another writer edits between a read and its write, once
/// each time the flag is set. The edit sets the rank to 9 and does not change the stored ETag.
async fn raced(entry_point: EntryPoint, app: &App) -> (TestApp, Arc<AtomicBool>, Server) {
    let armed = Arc::<AtomicBool>::default();
    let (client, table) = (app.tables.client.clone(), app.table().to_owned());
    let trigger = Arc::clone(&armed);
    let emulator = Arc::new(forward(&std::env::var("AWS_ENDPOINT_URL").unwrap()));
    let server = Server::http(move |request| {
        let edits = dynamodb::operation(&request) == "TransactWriteItems"
            && trigger.swap(false, Ordering::SeqCst);
        let (client, table, emulator) = (client.clone(), table.clone(), Arc::clone(&emulator));
        async move {
            if edits {
                let edit = client
                    .update_item()
                    .table_name(table)
                    .set_key(Some(key()))
                    .update_expression("SET info.#r = :r")
                    .expression_attribute_names("#r", "rank")
                    .expression_attribute_values(":r", AttributeValue::N("9".into()));
                edit.send().await.unwrap();
            }
            emulator(request).await
        }
    });
    let server = server.await.unwrap();
    let variables = [("AWS_ENDPOINT_URL", server.url())];
    let service = entry_point.start_on(&app.tables, &variables).await;
    (service, armed, server)
}

async fn edit_between_a_read_and_its_write_is_not_overwritten(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let (function, armed, _server) = raced(entry_point, &app).await;
    for request in [
        put(json!({ "plot": "x" })),
        patch(json!({ "plot": "x" })),
        delete(),
    ] {
        for name in ["If-Match", "If-None-Match"] {
            let _ = app.send(delete()).await;
            let etag = app.create(&rush()).await.etag();
            armed.store(true, Ordering::SeqCst);
            let value = if name == "If-Match" { &etag } else { "\"0\"" };
            let response = function.send(request.clone().header(name, value)).await;
            if name == "If-Match" {
                response.assert_problem(412, "precondition_failed");
                let mut edited = rush();
                edited["info"]["rank"] = json!(9);
                assert_eq!(app.send(get()).await.json(), edited, "{request:?}");
            } else {
                // The precondition is still true after the edit, so the write is applied to it.
                assert!(matches!(response.status, 200 | 204), "{response:?}");
            }
        }
    }
    app.create(&rush()).await;
    armed.store(true, Ordering::SeqCst);
    let patched = function.send(patch(json!({ "plot": "x" }))).await.json();
    assert_eq!(
        (&patched["info"]["rank"], &patched["info"]["plot"]),
        (&json!(9), &json!("x")),
        "a patch keeps the edit"
    );
}
