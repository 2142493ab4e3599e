mock_provider "aws" {}

variables {
  name         = "mvdb-test-telemetry"
  description  = "Ships traces off the request path."
  package      = { path = "main.tf" } # any file: only its hash is taken
  architecture = "arm64"
}

run "c18_only_a_supported_runtime_may_use_it" {
  command = plan
  assert {
    condition     = aws_lambda_layer_version.this.compatible_runtimes == toset(["provided.al2023"])
    error_message = "The layer is offered to a runtime that it was not built for."
  }
}

run "only_its_own_architecture_may_use_it" {
  command = plan
  assert {
    condition     = aws_lambda_layer_version.this.compatible_architectures == toset(["arm64"])
    error_message = "The layer is offered to functions on which it cannot run."
  }
}

run "a_changed_package_is_a_new_version" {
  command = plan
  assert {
    condition     = aws_lambda_layer_version.this.source_code_hash == filebase64sha256("main.tf") && aws_lambda_layer_version.this.filename == "main.tf"
    error_message = "A changed package would not be published."
  }
}

run "c23_a_signed_package_is_taken_from_where_it_lies" {
  command = plan
  variables {
    package = { path = "main.tf", signed = { bucket = "mvdb-test-packages", key = "signed/telemetry-1.zip" } }
  }
  assert {
    condition     = aws_lambda_layer_version.this.s3_bucket == "mvdb-test-packages" && aws_lambda_layer_version.this.s3_key == "signed/telemetry-1.zip" && aws_lambda_layer_version.this.filename == null
    error_message = "The unsigned package would be published, and every function that wants signed code would refuse it."
  }
}

run "the_plug_is_the_versions_arn" {
  assert {
    condition     = output.layer == { arn = aws_lambda_layer_version.this.arn }
    error_message = "The function would be given another layer."
  }
}

run "an_unknown_architecture_is_refused" {
  command = plan
  variables {
    architecture = "aarch64"
  }
  expect_failures = [var.architecture]
}
