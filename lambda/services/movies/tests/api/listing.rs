use super::{App, EntryPoint, READ};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::RequestBuilder;

behaviours![
    year_is_listed_by_title_in_both_directions,
    title_prefix_filters_a_year,
    title_filter_returns_one_movie,
    pages_of_any_size_return_every_movie_once,
    last_page_has_no_next,
    changed_cursor_or_cursor_of_another_query_is_400,
    cursor_is_valid_after_the_remaining_movies_are_deleted,
    list_continues_after_many_malformed_items,
];

async fn app(entry_point: EntryPoint) -> App {
    let app = entry_point.start().await;
    for (year, title) in [
        (2013, "Rush"),
        (2013, "Ru"),
        (2013, "Room"),
        (2013, "Été"),
        (2013, "rush"),
        (2012, "Rush"),
        (1999, "A"),
        (1999, "B/C"),
        (1999, "Z"),
    ] {
        app.create(&json!({ "year": year, "title": title })).await;
    }
    app
}

fn titles(list: &Value) -> Vec<&str> {
    list["movies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|movie| movie["title"].as_str().unwrap())
        .collect()
}

/// Follows the Link headers of a list to its end, and compares them with `next`.
async fn walk(app: &App, query: &str) -> Vec<(u64, String)> {
    let (mut all, mut query) = (Vec::new(), query.to_owned());
    for _ in 0..100 {
        let response = app
            .send(RequestBuilder::new("GET", &format!("/movies{query}")).scope(Some(READ)))
            .await;
        assert_eq!(response.status, 200, "{response:?}");
        let list = response.json();
        let movies = list["movies"].as_array().unwrap();
        all.extend(movies.iter().map(|movie| {
            (
                movie["year"].as_u64().unwrap(),
                movie["title"].as_str().unwrap().to_owned(),
            )
        }));
        match list["next"].as_str() {
            None => {
                assert_eq!(response.header("link"), None);
                return all;
            }
            Some(next) => {
                let link = response.header("link").unwrap();
                query = link
                    .strip_prefix('<')
                    .unwrap()
                    .strip_suffix(">; rel=\"next\"")
                    .unwrap()
                    .to_owned();
                assert!(query.ends_with(&format!("cursor={next}")), "{query}");
            }
        }
    }
    panic!("the list has no end");
}

async fn year_is_listed_by_title_in_both_directions(entry_point: EntryPoint) {
    let app = app(entry_point).await;
    assert_eq!(
        titles(&app.ask("GET", "/movies?year=2013").await.json()),
        ["Room", "Ru", "Rush", "rush", "Été"]
    );
    assert_eq!(
        titles(&app.ask("GET", "/movies?year=2013&sort=title").await.json()),
        ["Room", "Ru", "Rush", "rush", "Été"]
    );
    assert_eq!(
        titles(&app.ask("GET", "/movies?year=2013&sort=-title").await.json()),
        ["Été", "rush", "Rush", "Ru", "Room"]
    );
    assert_eq!(
        app.ask("GET", "/movies?year=1950").await.json(),
        json!({ "movies": [], "next": null })
    );
}

async fn title_prefix_filters_a_year(entry_point: EntryPoint) {
    let app = app(entry_point).await;
    assert_eq!(
        titles(
            &app.ask("GET", "/movies?year=2013&title_prefix=Ru")
                .await
                .json()
        ),
        ["Ru", "Rush"]
    );
    assert_eq!(
        titles(
            &app.ask("GET", "/movies?year=2013&title_prefix=%C3%89")
                .await
                .json()
        ),
        ["Été"]
    );
    assert_eq!(
        titles(
            &app.ask("GET", "/movies?year=1999&title_prefix=B%2F")
                .await
                .json()
        ),
        ["B/C"]
    );
}

async fn title_filter_returns_one_movie(entry_point: EntryPoint) {
    let app = app(entry_point).await;
    assert_eq!(
        titles(&app.ask("GET", "/movies?year=2012&title=Rush").await.json()),
        ["Rush"]
    );
    assert_eq!(
        app.ask("GET", "/movies?year=2011&title=Rush").await.json(),
        json!({ "movies": [], "next": null })
    );
}

async fn pages_of_any_size_return_every_movie_once(entry_point: EntryPoint) {
    let app = app(entry_point).await;
    for limit in [1, 2, 3, 4, 5, 9, 100] {
        let year = walk(&app, &format!("?year=2013&limit={limit}")).await;
        assert_eq!(
            year.iter()
                .map(|(_, title)| title.as_str())
                .collect::<Vec<_>>(),
            ["Room", "Ru", "Rush", "rush", "Été"]
        );
        let backwards = walk(&app, &format!("?year=2013&limit={limit}&sort=-title")).await;
        assert_eq!(
            backwards.iter().rev().collect::<Vec<_>>(),
            year.iter().collect::<Vec<_>>()
        );
        assert_eq!(
            walk(&app, &format!("?year=2013&title_prefix=Ru&limit={limit}"))
                .await
                .len(),
            2
        );
        let all = walk(&app, &format!("?limit={limit}")).await;
        assert_eq!(
            (all.len(), all.into_iter().collect::<BTreeSet<_>>().len()),
            (9, 9),
            "limit {limit}"
        );
    }
}

async fn last_page_has_no_next(entry_point: EntryPoint) {
    let app = app(entry_point).await;
    let page = app.ask("GET", "/movies?year=2013&limit=5").await.json();
    assert_eq!((titles(&page).len(), &page["next"]), (5, &Value::Null));
    assert_eq!(
        titles(&app.ask("GET", "/movies?year=2013&limit=2").await.json()).len(),
        2
    );
}

async fn changed_cursor_or_cursor_of_another_query_is_400(entry_point: EntryPoint) {
    let app = app(entry_point).await;
    let cursor = app.ask("GET", "/movies?year=2013&limit=1").await.json()["next"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        app.ask("GET", &format!("/movies?year=2013&limit=3&cursor={cursor}"))
            .await
            .status,
        200
    );
    let foreign = [
        "",
        "year=2012&",
        "year=2013&sort=-title&",
        "year=2013&title_prefix=R&",
    ];
    for query in foreign {
        let response = app
            .ask("GET", &format!("/movies?{query}cursor={cursor}"))
            .await;
        assert_eq!(
            response.assert_problem(400, "invalid_request"),
            ["cursor"],
            "{query}"
        );
    }
    let mut changed = cursor.clone().into_bytes();
    for position in 0..changed.len() {
        let before = changed[position];
        changed[position] = if before == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(changed.clone()).unwrap();
        let response = app
            .ask("GET", &format!("/movies?year=2013&cursor={text}"))
            .await;
        assert_eq!(
            response.assert_problem(400, "invalid_request"),
            ["cursor"],
            "{text}"
        );
        changed[position] = before;
    }
    for text in [
        "",
        "x",
        "%00",
        "é",
        &cursor[..cursor.len() - 1],
        &format!("{cursor}="),
        &format!("{cursor}A"),
        &"A".repeat(5000),
    ] {
        let response = app
            .ask("GET", &format!("/movies?year=2013&cursor={text}"))
            .await;
        assert_eq!(
            response.assert_problem(400, "invalid_request"),
            ["cursor"],
            "{text}"
        );
    }
}

async fn cursor_is_valid_after_the_remaining_movies_are_deleted(entry_point: EntryPoint) {
    let app = app(entry_point).await;
    let cursor = app.ask("GET", "/movies?year=1999&limit=1").await.json()["next"]
        .as_str()
        .unwrap()
        .to_owned();
    for title in ["A", "B%2FC", "Z"] {
        app.ask("DELETE", &format!("/movies/1999/{title}")).await;
    }
    assert_eq!(
        app.ask("GET", &format!("/movies?year=1999&cursor={cursor}"))
            .await
            .json(),
        json!({ "movies": [], "next": null })
    );
}

async fn list_continues_after_many_malformed_items(entry_point: EntryPoint) {
    use aws_sdk_dynamodb::types::AttributeValue;
    let app = entry_point.start().await;
    for title in ["c", "d"] {
        app.create(&json!({ "year": 2013, "title": title })).await;
    }
    // Titles and years that this API rejects. An import with a bug could write hundreds of them.
    let titles = (1..32).flat_map(|one| {
        [0x80, 0x81, 0x82, 0x83].map(|two| format!("c{}{}", char::from(one), char::from(two)))
    });
    let keys = titles
        .map(|title| ("2013".to_owned(), title))
        .chain([("1".into(), "x".into()), ("2013.5".into(), "y".into())]);
    for (year, title) in keys {
        let put = app
            .tables
            .client
            .put_item()
            .table_name(app.table())
            .item("year", AttributeValue::N(year));
        put.item("title", AttributeValue::S(title))
            .send()
            .await
            .unwrap();
    }
    for query in [
        "?",
        "?year=2013",
        "?year=2013&sort=-title",
        "?year=2013&title_prefix=c",
    ] {
        for limit in [1, 2, 20, 100] {
            let mut found = walk(&app, &format!("{query}&limit={limit}")).await;
            found.sort();
            let titles: Vec<_> = found.iter().map(|(_, title)| title.as_str()).collect();
            let expected: &[&str] = if query.contains("prefix") {
                &["c"]
            } else {
                &["c", "d"]
            };
            assert_eq!(titles, expected, "{query} {limit}");
        }
    }
}
