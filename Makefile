# Each target is one line that calls a script; `scripts/NAME --help` tells the rest.
export ENV ?= local
export PORT ARCH WHAT CONSUMER REASON RPS HIT
# Bash would read the one and prefer the other in every script.
unexport BASH_ENV CDPATH SHELLOPTS

.DEFAULT_GOAL := help
.PHONY: help new up down logs doctor url token build load smoke plan save-plan fetch-plan reminders plan-risk deploy drift price cost evidence-before evidence try try-down destroy release rollback freeze thaw restore restore-drill test test-mutations checkov secrets validate contract sbom repro audit workflows bench bench-gate parity alarm-drill deploy-drill smoke-drill privilege-drill fault-drill hostile schemathesis fuzz recipes mutants freeze-drill fmt lint ci init verify passed publish

##@ On this machine

up: ## Bring everything up on this machine: build, local AWS, infrastructure, movies, checks [PORT=4566]
	@scripts/up

down: ## Destroy it and stop the local AWS
	@scripts/down

doctor: ## Check every prerequisite
	@scripts/doctor

url: ## Print the API's base URL [ENV=local]
	@scripts/url

token: ## Print a bearer token [SCOPE=movies/read|movies/write] [CONSUMER=name] [ENV=local]
	@scripts/token "$(SCOPE)"

load: ## Load movies: FILE=... [ENV=local]
	@scripts/load "$(FILE)"

smoke: ## Check what is deployed, API and infrastructure; with ROLLBACK=1 take a failing release back [ENV=local] [JUNIT=file]
	@scripts/smoke $(if $(ROLLBACK),--or-rollback) $(if $(JUNIT),--junit "$(JUNIT)")

logs: ## Show the logs of the function and of the API [ENV=local]
	@scripts/logs

help: ## List the targets
	@awk -F ':.*## ' '/^##@/ { print "\n" substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Develop

new: ## Create a service from the template service: NAME=demo
	@scripts/new "$(NAME)"

build: ## Build the functions' packages [ARCH=x86_64|arm64]
	@scripts/build

fmt: ## Format Rust and Terraform
	@cargo fmt --all --manifest-path lambda/Cargo.toml && terraform fmt -recursive infra

lint: ## Check formatting and lints
	@scripts/lint

test: ## Run every test
	@scripts/test

contract: ## Lint the contract, and check that it breaks no client of the previous one [BASE=origin/main] [OFFLINE=1]
	@scripts/contract

ci: ## Do what CI does: both README commands and every check, on a port of its own
	@.ci/run

##@ Deploy

init: ## Tell a checkout where the state of ENV lies [BACKEND_CONFIG=bootstrap's output]
	@scripts/terraform $(ENV) init $(BACKEND_CONFIG)

try: ## A first look in an account of your own: check it, tell the price, deploy, load samples, check all [ENV=local]
	@scripts/try $(ENV)

try-down: ## Destroy it, and look whether anything is left [ENV=local]
	@scripts/try-down $(ENV)

plan: ## Show what a deployment would change, and save it as .mvdb/ENV/plan [ENV=local]
	@scripts/plan

save-plan: ## Save the plan in the state bucket under its digest, and print that [ENV]
	@scripts/saved-plan save

fetch-plan: ## Fetch the plan with this digest from the state bucket: DIGEST=... [ENV]
	@scripts/saved-plan fetch "$(DIGEST)"

plan-risk: ## Judge the saved plan, as a pull request's comment [ENV=local]
	@scripts/plan-risk $(ENV)

price: ## Tell what the saved plan costs by merely being there [ENV=local]
	@scripts/price $(ENV)

deploy: ## Build, apply the infrastructure, release the function; with PLAN=FILE just what was saved and built [ENV=local]
	@scripts/deploy "$(PLAN)"

release: ## Let callers reach the newest function version, once it passes its checks [ENV=local]
	@scripts/release $(ENV)

rollback: ## Let callers reach the version before, at once [VERSION=] [ENV=local]
	@scripts/rollback $(ENV) $(if $(VERSION),"$(VERSION)")

verify: ## Verify that the packages were built by the pipeline from this commit
	@scripts/verify

publish: ## Make a GitHub release [TAG=v1.2.3]
	@scripts/publish "$(TAG)"

destroy: ## Destroy what is deployed, and look for what is left [ENV=local]
	@scripts/destroy $(ENV)

##@ Operate

drift: ## Show what was changed in AWS past Terraform; with ISSUE=1 in a GitHub issue [ENV=local]
	@scripts/drift $(ENV) $(if $(ISSUE),--issue)

reminders: ## Show what expires within 30 days and who has not confirmed; with ISSUE=1 in a GitHub issue [ENV=local]
	@scripts/reminders $(ENV) $(if $(ISSUE),--issue)

evidence-before: ## Keep what is live and the alarms' state, before a deployment [ENV=local]
	@scripts/evidence $(ENV) --before

evidence: ## Make the auditor's page of what is deployed [PLAN=the applied plan] [UPLOAD=1] [ENV=local]
	@scripts/evidence $(ENV) $(if $(PLAN),--plan "$(PLAN)") $(if $(UPLOAD),--upload)

freeze: ## Have WAF refuse all writes, or one consumer, at once: REASON=... [WHAT=writes|CONSUMER=name] [ENV=local]
	@scripts/freeze

thaw: ## Let through again what was frozen, or what is named [WHAT=writes|CONSUMER=name] [REASON=...] [ENV=local]
	@scripts/thaw

restore: ## Restore the movies to a new table: TIME=2026-11-21T17:00:00Z [ENV=local]
	@scripts/restore $(ENV) "$(TIME)"

cost: ## Tell what a stack costs at so many reads a second, in USD a million and a month: RPS=... [HIT=0..1 of a cache] [ENV=local]
	@scripts/cost

##@ Check

test-mutations: ## Show that every control's test can fail; long: two minutes for every ten of them
	@scripts/test-mutations

checkov: ## Scan every environment's Terraform
	@scripts/checkov

secrets: ## Look for secrets, in the whole history too
	@scripts/secrets

validate: ## Validate the Terraform with the locked provider and with the newest [OFFLINE=1]
	@scripts/validate

audit: ## Check third-party code: licences, sources, duplicates, known holes [OFFLINE=1]
	@scripts/audit

workflows: ## Check the workflows
	@scripts/workflows

sbom: ## List what is in the built packages, as CycloneDX
	@scripts/sbom

repro: ## Show that two builds from nothing give equal packages [ARCH=arm64]; twenty minutes of an idle machine
	@scripts/repro

parity: ## Show how much of prod's plan the running local AWS shows
	@scripts/parity

hostile: ## Send the function what it should refuse, by the Runtime API, 35,000 times
	@scripts/hostile

schemathesis: ## Attack the HTTP entry with what the contract has and has not [EXAMPLES=100] [SEED=1]
	@scripts/schemathesis

fuzz: ## Fuzz the readers of events, titles, cursors and bodies, with AddressSanitizer [SECONDS=60, each]
	@$(if $(SECONDS),SECONDS_EACH=$(SECONDS)) scripts/fuzz

recipes: ## Show that no step of a recipe can be forgotten: a field, a route, a smoke check; half an hour
	@scripts/recipes $(RECIPE)

mutants: ## Show that the tests notice changed code: domain, cursors, preconditions, retries; an hour
	@scripts/mutants

passed: ## Tell whether every job of a pull request passed [NEEDS=GitHub's JSON]
	@scripts/passed

##@ Drill

alarm-drill: ## Force every alarm and hear what it tells [ENV=local]
	@scripts/alarm-drill

deploy-drill: ## Release bad versions to the running local AWS and see that none gets callers; time the way back
	@scripts/deploy-drill

smoke-drill: ## Break the running local AWS and see the smoke checks fail
	@scripts/smoke-drill

privilege-drill: ## Show that the function's role gives enough and no more
	@scripts/privilege-drill

fault-drill: ## Show that no write is lost or doubled under faults, and how load fares: many rounds [SEQUENCES=10000] [REQUESTS=20000]
	@scripts/fault-drill

freeze-drill: ## Freeze and thaw the running local AWS, with real tokens
	@scripts/freeze-drill

restore-drill: ## Restore the movies as of now, compare, serve them (local only), and tell RPO and RTO [ENV=local]
	@scripts/restore-drill $(ENV)

##@ Measure

bench: ## Measure the function beside others; a few minutes, without the builds
	@scripts/bench compare

bench-gate: ## Hold instruction counts, CPU ratios and sizes to the budgets
	@scripts/bench gate
