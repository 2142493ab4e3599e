//! Checks that every field of the contract is in the item, in the response and in the ETag.

use super::{EntryPoint, contract};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value, json};
use testkit::RequestBuilder;

behaviours![
    every_field_of_the_contract_is_stored_returned_and_in_the_etag,
    malformed_stored_value_is_omitted_and_can_be_replaced,
];

const PATH: &str = "/movies/2013/Rush";

/// A valid value of each field.
fn samples() -> Map<String, Value> {
    contract().samples(contract().schema("Info"))
}

async fn every_field_of_the_contract_is_stored_returned_and_in_the_etag(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    let put = |info: Value| RequestBuilder::new("PUT", PATH).json(&json!({ "info": info }));
    let patch = |info: Value| RequestBuilder::new("PATCH", PATH).json(&json!({ "info": info }));
    let bare = app.send(put(json!({}))).await.etag();
    let mut etags = vec![bare.clone()];
    for (name, value) in samples() {
        let written = app.send(put(json!({ name.clone(): value }))).await;
        assert_eq!(
            written.json()["info"],
            json!({ name.clone(): value }),
            "{name} is not in the response to PUT"
        );
        let read = app.ask("GET", PATH).await;
        assert_eq!(
            read.json()["info"],
            json!({ name.clone(): value }),
            "{name} is not returned"
        );
        assert!(!etags.contains(&read.etag()), "{name} is not in the ETag");
        etags.push(read.etag());
        let list = app.ask("GET", "/movies?year=2013").await;
        assert_eq!(
            list.json()["movies"][0],
            read.json(),
            "{name} is not in the list"
        );

        let items = app
            .tables
            .client
            .scan()
            .table_name(app.table())
            .send()
            .await
            .unwrap()
            .items
            .unwrap();
        let AttributeValue::M(info) = &items[0]["info"] else {
            panic!("{items:?}")
        };
        assert_eq!(
            info.keys().collect::<Vec<_>>(),
            [&name],
            "{name} is not in the item"
        );

        let removed = app.send(patch(json!({ name.clone(): null }))).await;
        assert_eq!(
            (
                removed.status,
                removed.json()["info"].clone(),
                removed.etag()
            ),
            (200, json!({}), bare.clone()),
            "{name}"
        );
        let set = app.send(patch(json!({ name.clone(): value }))).await;
        assert_eq!(
            (set.status, set.json(), set.etag()),
            (200, read.json(), read.etag()),
            "{name}"
        );
    }
    let all = app.send(patch(samples().into())).await;
    assert_eq!(all.json()["info"], json!(samples()));
    let cleared = app
        .send(RequestBuilder::new("PATCH", PATH).json(&json!({ "info": null })))
        .await;
    assert_eq!(
        (cleared.json()["info"].clone(), cleared.etag()),
        (json!({}), bare)
    );
}

async fn malformed_stored_value_is_omitted_and_can_be_replaced(entry_point: EntryPoint) {
    let app = entry_point.start().await;
    for (name, value) in samples() {
        app.send(RequestBuilder::new("PUT", PATH).json(&json!({ "info": samples() })))
            .await;
        let item = app
            .tables
            .client
            .scan()
            .table_name(app.table())
            .send()
            .await
            .unwrap()
            .items
            .unwrap()
            .remove(0);
        for malformed in [
            AttributeValue::Bool(true),
            AttributeValue::Null(true),
            AttributeValue::N("-1E125".into()),
            AttributeValue::S(String::new()),
            AttributeValue::B(b"a".to_vec().into()),
            AttributeValue::Ss(vec!["a".into()]),
            AttributeValue::L(vec![AttributeValue::Bool(true)]),
            AttributeValue::M([("a".to_owned(), AttributeValue::Null(true))].into()),
        ] {
            let mut item = item.clone();
            let Some(AttributeValue::M(info)) = item.get_mut("info") else {
                panic!("{item:?}")
            };
            info.insert(name.clone(), malformed.clone());
            app.tables
                .client
                .put_item()
                .table_name(app.table())
                .set_item(Some(item))
                .send()
                .await
                .unwrap();
            let read = app
                .send(RequestBuilder::new("GET", PATH).without_contract())
                .await;
            assert_eq!(read.status, 200, "{name} {malformed:?}");
            let mut expected = samples();
            expected.remove(&name);
            let mut found = read.json()["info"].clone();
            // A value of the right type that exceeds the limits is returned unchanged.
            found.as_object_mut().unwrap().remove(&name);
            assert_eq!(found, json!(expected), "{name} {malformed:?}");
            let patch = RequestBuilder::new("PATCH", PATH)
                .json(&json!({ "info": { name.clone(): value } }));
            let patched = app.send(patch.header("If-Match", &read.etag())).await;
            assert_eq!(
                (patched.status, &patched.json()["info"]),
                (200, &json!(samples())),
                "{name} {malformed:?}"
            );
        }
    }
}
