use crate::Response;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

const METHODS: [&str; 8] = [
    "get", "head", "put", "post", "patch", "delete", "options", "trace",
];

/// An OpenAPI 3.0 document that responses are checked against.
pub struct Contract {
    /// The document, with its references.
    pub document: Value,
    validators: BTreeMap<String, jsonschema::Validator>,
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("info", &self.document["info"])
            .finish_non_exhaustive()
    }
}

impl Contract {
    /// Reads an OpenAPI document in YAML.
    ///
    /// # Panics
    /// It is not YAML, or a schema of it is not one.
    #[must_use]
    pub fn new(yaml: &str) -> Self {
        let document: Value = serde_saphyr::from_str(yaml).unwrap();
        let mut validators = BTreeMap::new();
        for name in document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
        {
            let reference = format!("#/components/schemas/{name}");
            let mut schema = json!({ "$ref": reference, "components": document["components"] });
            nullable_to_json_schema(&mut schema);
            let options = jsonschema::draft4::options().should_validate_formats(true);
            validators.insert(reference, options.build(&schema).unwrap());
        }
        Self {
            document,
            validators,
        }
    }

    /// The value that a reference leads to, or `value` itself.
    ///
    /// # Panics
    /// The reference leads nowhere.
    #[must_use]
    pub fn follow<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self
                .document
                .pointer(reference.trim_start_matches('#'))
                .expect("a reference"),
            None => value,
        }
    }

    /// A schema by its name.
    #[must_use]
    pub fn schema(&self, name: &str) -> &Value {
        &self.document["components"]["schemas"][name]
    }

    /// Every method, in upper case, with the path template that has it.
    ///
    /// # Panics
    /// The document has no paths.
    #[must_use]
    pub fn operations(&self) -> Vec<(String, String)> {
        let mut operations = Vec::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                if METHODS.contains(&method.as_str()) {
                    operations.push((method.to_uppercase(), path.clone()));
                }
            }
        }
        operations
    }

    /// The scopes of access tokens.
    ///
    /// # Panics
    /// The document has no OAuth 2.0 client credentials flow.
    #[must_use]
    pub fn scopes(&self) -> Vec<String> {
        let flows = &self.document["components"]["securitySchemes"]["oauth2"]["flows"];
        flows["clientCredentials"]["scopes"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    /// The operation of a method and a path.
    #[must_use]
    pub fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let paths = self.document["paths"].as_object()?;
        let template = paths.keys().find(|template| matches(template, path))?;
        paths[template].get(method.to_ascii_lowercase())
    }

    /// A path of a template, in which every parameter is its example.
    ///
    /// # Panics
    /// A parameter has no example.
    #[must_use]
    pub fn path(&self, template: &str) -> String {
        let parameters = self.document["paths"][template]["parameters"].as_array();
        parameters
            .into_iter()
            .flatten()
            .fold(template.to_owned(), |path, parameter| {
                let parameter = self.follow(parameter);
                let name = parameter["name"].as_str().unwrap();
                path.replace(&format!("{{{name}}}"), &example(parameter))
            })
    }

    /// The parameters of an operation in one place (`path`, `query` or `header`), in their order.
    ///
    /// # Panics
    /// There is no such operation.
    #[must_use]
    pub fn parameters(&self, method: &str, template: &str, place: &str) -> Vec<&Value> {
        let item = &self.document["paths"][template];
        let lists = [
            &item["parameters"],
            &item[method.to_ascii_lowercase()]["parameters"],
        ];
        let all = lists.into_iter().filter_map(Value::as_array).flatten();
        all.map(|parameter| self.follow(parameter))
            .filter(|one| one["in"] == place)
            .collect()
    }

    /// The name of every header that a response may have.
    #[must_use]
    pub fn response_headers(&self) -> BTreeSet<String> {
        fn collect(value: &Value, names: &mut BTreeSet<String>) {
            match value {
                Value::Object(members) => {
                    let headers = members.get("headers").and_then(Value::as_object);
                    let headers = headers.into_iter().flat_map(Map::keys);
                    names.extend(headers.map(|name| name.to_ascii_lowercase()));
                    members.values().for_each(|member| collect(member, names));
                }
                Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
                _ => {}
            }
        }
        let mut names = BTreeSet::new();
        collect(&self.document["paths"], &mut names);
        collect(&self.document["components"]["responses"], &mut names);
        names
    }

    /// The schema of a request body with its media type, or `None` if the operation takes none.
    ///
    /// # Panics
    /// There is no such operation.
    #[must_use]
    pub fn request_body(&self, method: &str, template: &str) -> Option<(&str, &Value)> {
        let operation = &self.document["paths"][template][method.to_ascii_lowercase()];
        let content = self.follow(&operation["requestBody"])["content"].as_object()?;
        let (media_type, content) = content.iter().next()?;
        Some((media_type, self.follow(&content["schema"])))
    }

    /// The properties of an object's schema, references followed.
    #[must_use]
    pub fn properties<'a>(&'a self, schema: &'a Value) -> BTreeMap<String, &'a Value> {
        let properties = self.follow(schema)["properties"].as_object();
        let properties = properties.into_iter().flatten();
        properties
            .map(|(name, schema)| (name.clone(), self.follow(schema)))
            .collect()
    }

    /// A valid value of each property of an object's schema. Properties of one schema get different
    /// values.
    ///
    /// # Panics
    /// A property is of a kind that needs an `example` and has none.
    #[must_use]
    pub fn samples(&self, schema: &Value) -> Map<String, Value> {
        let sample = |(number, (name, schema)): (usize, (String, &Value))| {
            let has_pattern = schema["pattern"].is_string();
            let value = match (schema["type"].as_str().unwrap(), &schema["example"]) {
                (_, example) if !example.is_null() => example.clone(),
                ("array", _) => json!([format!("name {number}")]),
                ("integer" | "number", _) => {
                    json!(schema["minimum"].as_u64().unwrap() + 1 + number as u64 % 5)
                }
                ("string", _) if is_url(schema) => json!(format!("https://example.org/{number}")),
                ("string", _) if !has_pattern => json!(format!("text {number}")),
                _ => panic!("{name} needs an example in the contract: {schema}"),
            };
            (name, value)
        };
        self.properties(schema)
            .into_iter()
            .enumerate()
            .map(sample)
            .collect()
    }

    /// Values at the limits of a schema, and values beyond them.
    ///
    /// # Panics
    /// The schema has no limits.
    #[must_use]
    pub fn limits(&self, schema: &Value) -> (Vec<Value>, Vec<Value>) {
        let limit = |schema: &Value, name: &str| {
            let limit = schema[name].as_i64();
            limit.unwrap_or_else(|| panic!("no {name}: {schema}"))
        };
        let length = |schema: &Value| usize::try_from(limit(schema, "maxLength")).unwrap();
        match schema["type"].as_str().unwrap() {
            "array" => {
                let item = self.follow(&schema["items"]);
                let (length, count) = (length(item), limit(schema, "maxItems"));
                let list = |count: i64, length| {
                    json!(vec!["é".repeat(length); usize::try_from(count).unwrap()])
                };
                let invalid = vec![list(count + 1, 1), list(1, length + 1), list(1, 0)];
                (vec![list(count, length), json!([])], invalid)
            }
            "integer" | "number" => {
                let (low, high) = (limit(schema, "minimum"), limit(schema, "maximum"));
                (
                    vec![json!(low), json!(high)],
                    vec![json!(low - 1), json!(high + 1)],
                )
            }
            "string" if is_url(schema) => {
                let url = |length: usize| json!(format!("https://{}", "x".repeat(length - 8)));
                (
                    vec![url(length(schema))],
                    vec![url(length(schema) + 1), json!("")],
                )
            }
            "string" if schema["pattern"].is_string() => {
                (vec![schema["example"].clone()], vec![json!("")])
            }
            "string" => {
                let text = |length| json!("é".repeat(length));
                (
                    vec![text(length(schema))],
                    vec![text(length(schema) + 1), json!("")],
                )
            }
            other => panic!("limits of {other}"),
        }
    }

    /// The example of each error code that has one.
    #[must_use]
    pub fn problems(&self) -> BTreeMap<String, &Value> {
        let components = &self.document["components"];
        let examples = components["examples"]
            .as_object()
            .into_iter()
            .flat_map(Map::values);
        let examples = examples.map(|example| &example["value"]);
        let examples = examples.chain([&components["schemas"]["Problem"]["example"]]);
        let codes = examples.filter_map(|value| Some((value["code"].as_str()?.to_owned(), value)));
        codes.collect()
    }

    fn is_problem(&self, response: &Response) -> bool {
        self.validate("#/components/schemas/Problem", response);
        response.header("content-type") == Some("application/problem+json")
    }

    #[track_caller]
    fn validate(&self, schema: &str, response: &Response) {
        let body = response.json();
        let errors = self.validators[schema].iter_errors(&body);
        let errors: Vec<_> = errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{schema}: {errors:?}: {response:?}");
    }
}

/// Returns a parameter's example as a string.
fn example(parameter: &Value) -> String {
    match &parameter["example"] {
        Value::Null => panic!("no example: {parameter}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns whether a string's pattern is that of a URL.
fn is_url(schema: &Value) -> bool {
    schema["pattern"]
        .as_str()
        .is_some_and(|pattern| pattern.starts_with("^http"))
}

/// Returns whether a path matches a template. The last parameter matches the rest of the path, with
/// slashes.
fn matches(template: &str, path: &str) -> bool {
    let Some((fixed, rest)) = template.split_once('{') else {
        return template == path;
    };
    let Some(path) = path.strip_prefix(fixed) else {
        return false;
    };
    match rest.split_once('}') {
        Some((_, "")) => !path.is_empty(),
        Some((_, rest)) => path
            .find('/')
            .is_some_and(|end| end > 0 && matches(rest, &path[end..])),
        None => false,
    }
}

/// Asserts that the contract declares this response: its status, headers, media type and body. A
/// declared header must be there unless it is declared with `required: false`; `without` is one
/// that, as an exception, must not. A path or method that the contract lacks may only get a
/// problem.
///
/// # Panics
/// The contract does not declare it.
#[track_caller]
pub fn assert_contract(
    contract: &Contract,
    method: &str,
    path: &str,
    without: Option<&str>,
    response: &Response,
) {
    let context = || format!("{method} {path} -> {response:?}");
    let id = response.header("x-request-id");
    let id = id.unwrap_or_else(|| panic!("no X-Request-Id: {}", context()));
    let media_type = response.header("content-type");
    if media_type == Some("application/problem+json") && method != "HEAD" {
        let body = response.json();
        let expected = (&json!(id), &json!(response.status));
        assert_eq!(
            (&body["request_id"], &body["status"]),
            expected,
            "{}",
            context()
        );
        // One text for each code; a 403 names the scope of its operation.
        if let Some(example) = contract
            .problems()
            .get(body["code"].as_str().unwrap_or_default())
            .filter(|_| response.status != 403)
        {
            assert_eq!(body["detail"], example["detail"], "{}", context());
        }
    }
    let Some(operation) = contract.operation(method, path) else {
        let preflight = method == "OPTIONS" && response.status == 204;
        let problem = matches!(response.status, 400 | 404 | 405)
            && (method == "HEAD" || contract.is_problem(response));
        assert!(preflight || problem, "{}", context());
        return;
    };
    let declared = declared_response(&operation["responses"], response.status);
    let declared = declared.unwrap_or_else(|| panic!("undeclared status: {}", context()));
    let declared = contract.follow(declared);
    for (name, header) in declared["headers"].as_object().unwrap_or(&Map::new()) {
        let header = contract.follow(header);
        let found = response.header(&name.to_ascii_lowercase());
        let good = match found {
            None => without == Some(name) || header["required"] == false,
            Some(_) => without != Some(name),
        };
        assert!(good, "{name}: {}", context());
        let fits = |found: &str| {
            let number = found.parse::<u64>().map(|number| json!(number));
            jsonschema::is_valid(&header["schema"], &number.unwrap_or_else(|_| json!(found)))
        };
        assert!(found.is_none_or(fits), "{name}: {}", context());
    }
    match declared["content"]
        .as_object()
        .and_then(|content| content.iter().next())
    {
        None => assert_eq!(response.text, "", "{}", context()),
        Some((declared, content)) => {
            assert_eq!(media_type, Some(declared.as_str()), "{}", context());
            contract.validate(content["schema"]["$ref"].as_str().unwrap(), response);
        }
    }
}

/// The response that an operation declares for a status: that of the status, else that of its range
/// (`4XX`).
fn declared_response(responses: &Value, status: u16) -> Option<&Value> {
    let range = format!("{}XX", status / 100);
    responses
        .get(status.to_string())
        .or_else(|| responses.get(range))
}

/// OpenAPI 3.0 has `nullable` where JSON Schema has a type of its own.
fn nullable_to_json_schema(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(nullable_to_json_schema);
            if map.remove("nullable") == Some(json!(true)) {
                let inner = std::mem::take(map);
                map.insert("anyOf".into(), json!([inner, { "type": "null" }]));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(nullable_to_json_schema),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_declares_the_statuses_that_are_not_declared_themselves() {
        let responses = json!({ "200": "ok", "404": "not found", "4XX": "problem" });
        let declared = |status| declared_response(&responses, status).and_then(Value::as_str);
        assert_eq!(
            [200, 404, 405, 500].map(declared),
            [Some("ok"), Some("not found"), Some("problem"), None]
        );
    }

    #[test]
    fn last_parameter_of_a_template_takes_slashes() {
        for path in ["/movies/2013/Rush", "/movies/2013/50/50", "/movies/x//a"] {
            assert!(matches("/movies/{year}/{title}", path), "{path}");
        }
        for path in [
            "/movies",
            "/movies/",
            "/movies/2013",
            "/movies/2013/",
            "/movies//a",
            "/health",
            "",
        ] {
            assert!(!matches("/movies/{year}/{title}", path), "{path}");
        }
        assert!(matches("/movies", "/movies") && !matches("/movies", "/movies/"));
    }
}
