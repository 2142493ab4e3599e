mock_provider "aws" {
  override_during = plan
  mock_resource "aws_wafv2_regex_pattern_set" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/regexpatternset/mvdb-test-movies-frozen/abc" }
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/mvdb-test-movies/abc" }
  }
  mock_resource "aws_wafv2_ip_set" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/ipset/mvdb-test-movies/abc" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:aws-waf-logs-mvdb-test-movies" }
  }
}

variables {
  name                = "mvdb-test-movies"
  stage_arn           = "arn:aws:apigateway:eu-west-1::/restapis/abc/stages/v1"
  requests_per_minute = { source = 1000, token = 3000 }
  cors_origins        = []
  key                 = { arn = "arn:aws:kms:eu-west-1:123456789012:key/logs" }
  log_retention_days  = 400
}

# Every title of the catalogue, where it lies beside the checkout, else of the sample: a movie's title is in the path and
# in the body. Our own rules look at no path, query or header, and at the length of a body, of which no movie has too much;
# only what is frozen is told by method or token, and of headers the length, and whatever that then hits, no title decides.
run "no_real_title_is_caught_by_our_own_rules" {
  command = plan
  variables {
    blocked_addresses = ["192.0.2.0/24"]
    allowed_countries = ["BE", "NL"]
  }
  assert {
    condition     = [for rule in aws_wafv2_web_acl.this.rule : rule.name if !contains(["frozen", "header-size"], rule.name) && length(rule.statement[0].managed_rule_group_statement) == 0 && length(regexall("\"(byte_match|regex_match|regex_pattern_set_reference|sqli_match|xss_match|label_match|asn_match|rule_group_reference)_statement\":\\[\\{|\"(uri_path|query_string|all_query_arguments|single_query_argument|single_header|headers|json_body|method|uri_fragment)\":\\[\\{", jsonencode(rule.statement))) > 0] == []
    error_message = "A rule of ours judges what is in a request: show for every title that it lets it pass."
  }
  assert {
    # Between two "year"s there is one movie, and white space where the file is not dense: no more than the movie at the most.
    condition = one([for rule in aws_wafv2_web_acl.this.rule : rule.statement[0].size_constraint_statement[0].size if rule.name == "body-size"]) >= max([
      for movie in split("\"year\"", file(fileexists("../../../../shared/data/moviedata.json") ? "../../../../shared/data/moviedata.json" : "../../../lambda/tools/loader/sample.json")) : length(base64encode(movie)) / 4 * 3
    ]...) && try(length(split("\"year\"", file("../../../../shared/data/moviedata.json"))) == 4610, true) # where the catalogue is there it was that, all of it
    error_message = "A real movie is longer than our own rule lets pass."
  }
}
