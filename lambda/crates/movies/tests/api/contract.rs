//! The contract as a judge of answers, and as a list of what must be there.

use super::{Answer, Ask, World};
use movies::domain::{Info, ListQuery, Title, Year};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::OnceLock};

pub(super) struct Contract {
    document: Value,
    validators: BTreeMap<String, jsonschema::Validator>,
}

impl Contract {
    pub(super) fn get() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| {
            let document: Value = serde_saphyr::from_str(include_str!("../../openapi.yaml")).unwrap();
            let mut validators = BTreeMap::new();
            for name in document["components"]["schemas"].as_object().unwrap().keys() {
                let mut schema = json!({ "$ref": format!("#/components/schemas/{name}"), "components": document["components"] });
                null_as_json_schema(&mut schema);
                let validator = jsonschema::draft4::options().should_validate_formats(true).build(&schema).unwrap();
                validators.insert(format!("#/components/schemas/{name}"), validator);
            }
            Self { document, validators }
        })
    }

    /// The value that references lead to.
    fn follow<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let template = match path {
            "/movies" | "/health" | "/version" => path,
            _ if path.strip_prefix("/movies/").is_some_and(|rest| rest.contains('/')) => "/movies/{year}/{title}",
            _ => return None,
        };
        self.document["paths"][template].get(method.to_ascii_lowercase())
    }

    pub(super) fn operations(&self) -> Vec<(String, String)> {
        let methods = ["get", "head", "put", "post", "patch", "delete", "options", "trace"];
        let paths = self.document["paths"].as_object().unwrap();
        let operations =
            paths.iter().flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone())));
        operations.filter(|(method, _)| methods.contains(&method.to_ascii_lowercase().as_str())).collect()
    }

    /// Panics if the contract does not have this answer. Where it has no operation, only a problem may come.
    /// `without` is a header that this answer, and no other, is to lack.
    #[track_caller]
    pub(super) fn check(&self, method: &str, path: &str, without: Option<&str>, answer: &Answer) {
        let context = || format!("{method} {path} -> {answer:?}");
        let id = answer.header("x-request-id").unwrap_or_else(|| panic!("no X-Request-Id: {}", context()));
        if answer.header("content-type") == Some("application/problem+json") && method != "HEAD" {
            let body = answer.json();
            assert_eq!((&body["request_id"], &body["status"]), (&json!(id), &json!(answer.status)), "{}", context());
        }
        let Some(operation) = self.operation(method, path) else {
            let preflight = method == "OPTIONS" && answer.status == 204;
            assert!(
                preflight || matches!(answer.status, 400 | 404 | 405) && (method == "HEAD" || self.is_problem(answer)),
                "{}",
                context()
            );
            return;
        };
        let declared = &operation["responses"][answer.status.to_string()];
        assert!(!declared.is_null(), "the contract has no such status: {}", context());
        let declared = self.follow(declared);
        for (name, header) in declared["headers"].as_object().unwrap_or(&Map::new()) {
            let found = answer.header(&name.to_ascii_lowercase());
            assert!(name == "Link" || found.is_some() != (without == Some(name)), "{name}: {}", context());
            let schema = &self.follow(header)["schema"];
            let fits =
                |found: &str| jsonschema::is_valid(schema, &found.parse().map_or_else(|_| json!(found), |number: u64| json!(number)));
            assert!(found.is_none_or(fits), "{name}: {}", context());
        }
        match declared["content"].as_object().and_then(|content| content.iter().next()) {
            None => assert_eq!(answer.text, "", "{}", context()),
            Some((media_type, content)) => {
                assert_eq!(answer.header("content-type"), Some(media_type.as_str()), "{}", context());
                self.validate(content["schema"]["$ref"].as_str().unwrap(), answer);
            }
        }
    }

    fn is_problem(&self, answer: &Answer) -> bool {
        self.validate("#/components/schemas/Problem", answer);
        answer.header("content-type") == Some("application/problem+json")
    }

    #[track_caller]
    fn validate(&self, schema: &str, answer: &Answer) {
        let body = answer.json();
        let errors: Vec<_> =
            self.validators[schema].iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{schema}: {errors:?}: {answer:?}");
    }

    fn schema(&self, name: &str) -> &Value {
        &self.document["components"]["schemas"][name]
    }
}

/// OpenAPI 3.0 writes `nullable` where JSON Schema has a type of its own.
fn null_as_json_schema(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(null_as_json_schema);
            if map.remove("nullable") == Some(json!(true)) {
                let inner = std::mem::take(map);
                map.insert("anyOf".into(), json!([inner, { "type": "null" }]));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(null_as_json_schema),
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_of_the_contract_is_routed() {
    let world = World::new().await;
    let operations = Contract::get().operations();
    assert_eq!(operations.len(), 12, "{operations:?}");
    for (method, path) in operations {
        let path = path.replace("{year}", "2013").replace("{title}", "Rush");
        let answer = world.ask(&method, &path).await;
        assert_ne!(answer.status, 405, "{method} {path}");
        if method != "HEAD" && answer.status == 404 {
            answer.refused(404, "movie_not_found");
        }
    }
}

#[tokio::test]
async fn an_operation_takes_the_scopes_that_the_contract_declares() {
    let world = World::new().await;
    let contract = Contract::get();
    for (method, template) in contract.operations() {
        let path = template.replace("{year}", "2013").replace("{title}", "Rush");
        let operation = contract.operation(&method, &path).unwrap();
        let security = operation.get("security").unwrap_or(&contract.document["security"]);
        let declared: Vec<&str> = security.as_array().unwrap().iter().map(|one| one["oauth2"][0].as_str().unwrap()).collect();
        for scope in [super::READ, super::WRITE] {
            let answer = world.send(Ask::new(&method, &path).scope(Some(scope))).await;
            assert_eq!(answer.status != 403, declared.contains(&scope), "{method} {path} with {scope}");
        }
        for scope in [None, Some(""), Some("movies/readwrite"), Some("openid movies/reads")] {
            assert_eq!(world.send(Ask::new(&method, &path).scope(scope)).await.status, 403, "{method} {path} with {scope:?}");
        }
    }
}

#[test]
fn the_codes_limits_follow_the_contract() {
    let contract = Contract::get();
    let year = contract.schema("MovieYear");
    assert_eq!((year["minimum"].as_u64(), year["maximum"].as_u64()), (Some(Year::MIN.into()), Some(Year::MAX.into())));
    assert_eq!(contract.schema("MovieTitle")["maxLength"], Title::MAX_BYTES);
    let parameters = &contract.document["components"]["parameters"];
    assert_eq!((&parameters["Year"]["schema"], &parameters["YearQuery"]["schema"]), (year, year));
    let limit = &parameters["Limit"]["schema"];
    assert_eq!(
        (&limit["maximum"], &limit["default"], &contract.schema("MoviePage")["properties"]["movies"]["maxItems"]),
        (&json!(ListQuery::MAX_LIMIT), &json!(ListQuery::DEFAULT_LIMIT), &json!(ListQuery::MAX_LIMIT))
    );

    // At a limit a field passes, one beyond it does not.
    let passes = |field: &str, value: Value| {
        let text = json!({ "year": 2013, "title": "a", "info": { field: value } }).to_string();
        movies::http::body::read_movie(&text).is_ok()
    };
    let properties = contract.schema("Info")["properties"].as_object().unwrap();
    for (field, schema) in properties {
        let schema = contract.follow(schema);
        match schema["type"].as_str().unwrap() {
            "array" => {
                let item = contract.follow(&schema["items"]);
                let (items, length) = (schema["maxItems"].as_u64().unwrap(), item["maxLength"].as_u64().unwrap());
                let list = |items: u64, length: u64| json!(vec!["é".repeat(length.try_into().unwrap()); items.try_into().unwrap()]);
                assert!(passes(field, list(items, length)) && !passes(field, list(items + 1, 1)), "{field}");
                assert!(!passes(field, list(1, length + 1)) && !passes(field, list(1, 0)) && passes(field, json!([])), "{field}");
            }
            "integer" | "number" => {
                let (low, high) = (schema["minimum"].as_i64().unwrap(), schema["maximum"].as_i64().unwrap());
                assert!(passes(field, json!(low)) && passes(field, json!(high)), "{field}");
                assert!(!passes(field, json!(low - 1)) && !passes(field, json!(high + 1)), "{field}");
            }
            "string" if field == "release_date" => {
                assert!(passes(field, schema["example"].clone()));
            }
            "string" => {
                let most = usize::try_from(schema["maxLength"].as_u64().unwrap()).unwrap();
                let text =
                    |length: usize| if field == "image_url" { format!("https://{}", "x".repeat(length - 8)) } else { "é".repeat(length) };
                assert!(passes(field, json!(text(most))) && !passes(field, json!(text(most + 1))) && !passes(field, json!("")), "{field}");
            }
            other => panic!("{field}: {other}"),
        }
    }
    // A field that the contract lacks would not be seen above.
    let Info { directors: _, release_date: _, rating: _, genres: _, image_url: _, plot: _, rank: _, running_time_secs: _, actors: _ } =
        Info::default();
    assert_eq!(properties.len(), 9);
}

#[test]
fn the_judge_refuses_what_the_contract_does_not_have() {
    let answer = |status: u16, body: Value| Answer {
        status,
        headers: json!({ "content-type": "application/json", "x-request-id": "request-1", "etag": format!("\"{}\"", "0".repeat(32)) }),
        text: body.to_string(),
    };
    let judged = |answer: Answer| std::panic::catch_unwind(|| Contract::get().check("GET", "/movies/2013/Rush", None, &answer)).is_ok();
    assert!(judged(answer(200, super::rush())));
    assert!(!judged(answer(418, super::rush())), "a status that is not declared");
    assert!(!judged(answer(200, json!({ "year": 2013 }))), "a body without title");
    assert!(!judged(answer(200, json!({ "year": 2013, "title": "a", "etag": "x" }))), "a field that is not declared");
    for (header, value) in
        [("etag", Value::Null), ("etag", json!("\"0\"")), ("x-request-id", Value::Null), ("content-type", json!("text/plain"))]
    {
        let mut wrong = answer(200, super::rush());
        wrong.headers[header] = value;
        assert!(!judged(wrong), "{header}");
    }
    let mut problem = answer(
        404,
        json!({ "type": "about:blank", "title": "Not Found", "status": 404, "code": "movie_not_found", "detail": "-", "request_id": "request-1" }),
    );
    problem.headers["content-type"] = json!("application/problem+json");
    assert!(judged(problem.clone()));
    assert!(!judged(Answer { text: problem.text.replace("404", "409"), ..problem.clone() }), "another status in the body");
    assert!(!judged(Answer { text: problem.text.replace("request-1", "request-2"), ..problem }), "another request's id in the body");
}
