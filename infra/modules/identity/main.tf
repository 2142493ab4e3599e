# Who may call: a Cognito user pool without users, and one client per consumer that gets tokens by its id and secret
# (OAuth 2.0 client credentials). The secrets are in the Terraform state: whoever reads the state can call the API.
# No threat protection (Cognito's "advanced security"): it judges people's sign-ins, and nobody can sign in.
resource "aws_cognito_user_pool" "this" {
  name                = var.name
  deletion_protection = var.deletion_protection ? "ACTIVE" : "INACTIVE"

  admin_create_user_config {
    allow_admin_create_user_only = true # nobody signs up: consumers are programs
  }
}

resource "aws_cognito_resource_server" "this" {
  user_pool_id = aws_cognito_user_pool.this.id
  identifier   = local.resource_server
  name         = local.resource_server

  dynamic "scope" {
    for_each = var.scopes
    content {
      scope_name        = split("/", scope.key)[1]
      scope_description = substr(scope.value, 0, 256)
    }
  }
}

locals {
  # Cognito spells a scope <resource server>/<scope>; so does the contract.
  resource_server = one(distinct([for scope in keys(var.scopes) : split("/", scope)[0]]))
}

# The prefix is unique in a region across all of AWS's customers.
resource "aws_cognito_user_pool_domain" "this" {
  user_pool_id = aws_cognito_user_pool.this.id
  domain       = var.domain_prefix
}

locals {
  # Our own tools (smoke checks, tokens for operators, evidence, releases) are a client like any consumer, and no consumer's.
  clients = merge({ for name, consumer in var.consumers : name => consumer.scopes }, { operations = keys(var.scopes) })
}

resource "aws_cognito_user_pool_client" "this" {
  for_each = local.clients

  name                                 = each.key
  user_pool_id                         = aws_cognito_user_pool.this.id
  generate_secret                      = true
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["client_credentials"]
  allowed_oauth_scopes                 = each.value
  explicit_auth_flows                  = ["ALLOW_REFRESH_TOKEN_AUTH"] # unsaid, Cognito allows users to sign in by their password
  supported_identity_providers         = ["COGNITO"]
  prevent_user_existence_errors        = "ENABLED"
  enable_token_revocation              = true
  access_token_validity                = 60

  token_validity_units {
    access_token = "minutes"
  }

  # A client may only name scopes that exist.
  depends_on = [aws_cognito_resource_server.this]
}
