mock_provider "aws" {}

variables {
  name          = "mvdb-test-movies"
  domain_prefix = "mvdb-test-movies-123456789012"
  scopes        = yamldecode(file("../../../lambda/services/movies/openapi.yaml")).components.securitySchemes.oauth2.flows.clientCredentials.scopes
  consumers = {
    reader = { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.org", expires_on = "9999-12-31" }
    writer = { scopes = ["movies/write"], owner = "Writing", contact = "writing@example.org", expires_on = "9999-12-31" }
  }
  deletion_protection = true
}

run "the_scopes_are_those_of_the_contract" {
  command = plan
  assert {
    condition     = aws_cognito_resource_server.this.identifier == "movies" && toset([for scope in aws_cognito_resource_server.this.scope : scope.scope_name]) == toset(["read", "write"])
    error_message = "The resource server does not have the contract's scopes."
  }
  assert {
    condition     = toset([for scope in aws_cognito_resource_server.this.scope : "${aws_cognito_resource_server.this.identifier}/${scope.scope_name}"]) == toset(keys(var.scopes))
    error_message = "A scope is spelled otherwise than in the contract."
  }
}

run "each_consumer_has_its_own_client_and_no_scope_but_its_own" {
  command = plan
  assert {
    condition     = { for name, client in aws_cognito_user_pool_client.this : name => tolist(client.allowed_oauth_scopes) } == { operations = tolist(["movies/read", "movies/write"]), reader = tolist(["movies/read"]), writer = tolist(["movies/write"]) }
    error_message = "A consumer has another scope than it was given."
  }
}

run "c06_a_client_gets_tokens_by_its_secret_and_by_nothing_else" {
  command = plan
  assert {
    condition     = alltrue([for client in aws_cognito_user_pool_client.this : client.generate_secret && toset(client.allowed_oauth_flows) == toset(["client_credentials"]) && client.access_token_validity == 60 && client.token_validity_units[0].access_token == "minutes"])
    error_message = "A client has another flow than client credentials, or tokens that live for another time than an hour."
  }
}

run "nobody_signs_up_or_in" {
  command = plan
  assert {
    condition     = alltrue([for client in aws_cognito_user_pool_client.this : tolist(client.explicit_auth_flows) == tolist(["ALLOW_REFRESH_TOKEN_AUTH"])])
    error_message = "People can sign in, as users of a pool that is for programs."
  }
  assert {
    condition     = aws_cognito_user_pool.this.admin_create_user_config[0].allow_admin_create_user_only
    error_message = "Strangers can sign up."
  }
}

run "the_pool_is_protected_as_asked" {
  command = plan
  assert {
    condition     = aws_cognito_user_pool.this.deletion_protection == "ACTIVE"
    error_message = "The pool can be deleted, and every consumer's credentials with it."
  }
}

run "a_scope_that_the_contract_does_not_declare_is_refused" {
  command = plan
  variables {
    consumers = { reader = { scopes = ["movies/reed"], owner = "Reading", contact = "reading@example.org", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.consumers]
}

run "a_consumer_without_scopes_is_refused" {
  command = plan
  variables {
    consumers = { reader = { scopes = [], owner = "Reading", contact = "reading@example.org", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.consumers]
}

run "a_consumer_without_an_owner_is_refused" {
  command = plan
  variables {
    consumers = { reader = { scopes = ["movies/read"], owner = " ", contact = "reading@example.org", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.consumers]
}

run "a_consumer_that_cannot_be_written_to_is_refused" {
  command = plan
  variables {
    consumers = { reader = { scopes = ["movies/read"], owner = "Reading", contact = "nobody", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.consumers]
}

# The function rejects it from that day on. A plan in the middle of an incident must not fail because a day has come.
run "an_expired_consumer_fails_no_plan" {
  command = plan
  variables {
    consumers = { reader = { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.org", expires_on = "2020-01-01" } }
  }
  assert {
    condition     = contains(keys(aws_cognito_user_pool_client.this), "reader")
    error_message = "A consumer that has expired loses its client without anybody having decided it."
  }
}

run "the_client_of_our_own_tools_is_no_consumers" {
  command = plan
  variables {
    consumers = { operations = { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.org", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.consumers]
}

run "the_second_client_of_our_own_tools_is_no_consumers" {
  command = plan
  variables {
    consumers = { operations-next = { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.org", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.consumers]
}

run "a_name_that_the_functions_environment_cannot_hold_is_refused" {
  command = plan
  variables {
    consumers = { "reader=a:b,c" = { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.org", expires_on = "9999-12-31" } }
  }
  expect_failures = [var.consumers]
}

run "a_consumer_without_a_day_of_expiry_is_refused" {
  command = plan
  variables {
    consumers = { reader = { scopes = ["movies/read"], owner = "Reading", contact = "reading@example.org", expires_on = "never" } }
  }
  expect_failures = [var.consumers]
}
