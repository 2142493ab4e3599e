"""What scripts/evidence gathers and shows. A fact that nobody recorded is None in the record, and said to be so on the page."""
import argparse
import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as ElementTree
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import boto3
import jinja2
import markupsafe

ENV, ROOT = os.environ.get("ENV", "local"), Path(__file__).resolve().parent.parent


def now():
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def ask(*command):
    """What a command prints, or None if it fails or is not there."""
    try:
        run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        return None
    return run.stdout.strip() if run.returncode == 0 else None


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def cases(file):
    """The test cases of a JUnit file."""
    for case in ElementTree.parse(file).iter("testcase"):
        bad = next((case.find(kind) for kind in ("failure", "error", "skipped") if case.find(kind) is not None), None)
        result = {None: "passed", "failure": "failed", "error": "failed", "skipped": "skipped"}[bad if bad is None else bad.tag]
        message = None if bad is None else (bad.get("message") or bad.text or "").strip() or None
        yield {"name": case.get("name"), "result": result, "seconds": case.get("time"), "at": case.get("timestamp"), "message": message}


def commit():
    if not (ROOT / ".git").exists():  # a source archive: git would answer for any repository around it
        return dict.fromkeys(("id", "subject", "committed_at", "uncommitted_changes", "revision_of_the_code"))
    return {"id": ask("git", "rev-parse", "HEAD"), "subject": ask("git", "log", "-1", "--format=%s"), "committed_at": ask("git", "log", "-1", "--format=%cI"),
            "uncommitted_changes": bool(ask("git", "status", "--porcelain")), "revision_of_the_code": ask("git", "log", "-1", "--format=%H", "--", "lambda")}


def job():
    """Who deployed, as GitHub tells; nobody tells of a deployment by hand."""
    github = {name: os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID", "TRIGGERING_ACTOR")}
    if not github["RUN_ID"]:
        return {"url": None, "started_by": None, "approved_by": None, "pull_request": None}
    approvals = ask("gh", "api", f"repos/{github['REPOSITORY']}/actions/runs/{github['RUN_ID']}/approvals")
    approved_by = None if approvals is None else [{"who": found["user"]["login"], "comment": found["comment"]} for found in json.loads(approvals)
                                                  if found["state"] == "approved" and ENV in (environment["name"] for environment in found["environments"])]
    pulls = json.loads(ask("gh", "api", f"repos/{github['REPOSITORY']}/commits/{commit()['id']}/pulls") or "[]")
    pull = {"url": pulls[0]["html_url"], "labels": [label["name"] for label in pulls[0]["labels"]], "text": pulls[0]["body"] or ""} if pulls else None
    return {"url": "{SERVER_URL}/{REPOSITORY}/actions/runs/{RUN_ID}".format(**github), "started_by": github["TRIGGERING_ACTOR"], "approved_by": approved_by, "pull_request": pull}


def applied(plan, pull):
    """The plan, and whether it was applied, or at least begun: the state is then another than the one it was made on."""
    if plan is None:
        return None
    shown = subprocess.run([ROOT / "scripts/terraform", ENV, "show", "-json", plan.resolve()], stdout=subprocess.PIPE, check=True).stdout
    accepted = {"PLAN_RISK_LABELS": ",".join(pull["labels"]), "PLAN_RISK_TEXT": pull["text"]} if pull else {}
    judged = subprocess.run([ROOT / "scripts/plan-risk", "--json", "-"], input=shown, stdout=subprocess.PIPE, env=os.environ | accepted).stdout
    before = json.loads(zipfile.ZipFile(plan).read("tfstate"))
    after = json.loads(ask(ROOT / "scripts/terraform", ENV, "state", "pull"))
    judged = json.loads(judged)
    moved = after["serial"] > before["serial"] and before["lineage"] in ("", after["lineage"])
    return {"sha256": sha256(plan.read_bytes()), **judged, "state": {"planned_on": before["serial"], "now": after["serial"]}, "applied": moved or not judged["changes"]}


def compared(name, built, code_sha256, location):
    """Whether AWS runs the package that was built: the same bytes, or, where Lambda takes signed ones only, the same files in a signed copy."""
    deployed = base64.b64decode(code_sha256).hex()
    found = {"name": name, "deployed_sha256": deployed, "built_sha256": None, "verdict": None}
    if not built.exists():
        return found
    found["built_sha256"] = sha256(built.read_bytes())
    if found["built_sha256"] == deployed:
        return {**found, "verdict": "the bytes that were built"}
    with urllib.request.urlopen(location, timeout=60) as answer:
        content = answer.read()
    if sha256(content) != deployed:
        return {**found, "verdict": "differs"}
    ours, theirs = ({name: archive.read(name) for name in archive.namelist()} for archive in (zipfile.ZipFile(built), zipfile.ZipFile(io.BytesIO(content))))
    unsigned = {name: data for name, data in theirs.items() if not name.startswith("META-INF/")}
    return {**found, "verdict": "the files that were built, signed" if ours == unsigned else "differs"}


def function(outputs):
    client = boto3.client("lambda", region_name=outputs["region"])
    alias = client.get_alias(FunctionName=outputs["function_name"], Name=outputs["alias_name"])
    live = client.get_function(FunctionName=outputs["function_name"], Qualifier=alias["FunctionVersion"])
    said, packages = live["Configuration"], ROOT / "lambda/target/lambda"
    artefacts = [compared("movies", packages / "movies/bootstrap.zip", said["CodeSha256"], live["Code"]["Location"])]
    for layer in said.get("Layers", []):
        content = client.get_layer_version_by_arn(Arn=layer["Arn"])["Content"]
        artefacts.append(compared(layer["Arn"].split(":")[6], packages / "telemetry-extension/layer.zip", content["CodeSha256"], content["Location"]))
    boms = [{"name": str(file.relative_to(ROOT)), "sha256": sha256(file.read_bytes())} for file in sorted(packages.glob("**/*.cdx.json"))]
    noted = re.fullmatch(r"version (\d+), before it (\d+)", alias.get("Description", ""))
    answer = ask("curl", "-fsS", "-m", "20", "-H", f"Authorization: Bearer {ask(ROOT / 'scripts/token')}", f"{outputs['api_url']}/version")
    return {
        "function": {"name": said["FunctionName"], "version": alias["FunctionVersion"], "published_at": said["LastModified"],
                     "shifting_to": alias.get("RoutingConfig", {}).get("AdditionalVersionWeights") or None, "revision": json.loads(answer).get("revision") if answer else None},
        "artefacts": artefacts, "boms": boms or None,
        "rollback": {"version": noted[2]} if noted and noted[1] == alias["FunctionVersion"] else None,
    }


def deployment(outputs):
    """The newest deployment by CodeDeploy, where the environment has it."""
    group = outputs.get("deployment_group")
    if not group:
        return None
    client = boto3.client("codedeploy", region_name=outputs["region"])
    ids = client.list_deployments(applicationName=group["application"], deploymentGroupName=group["name"])["deployments"]
    if not ids:
        return None
    found = client.get_deployment(deploymentId=ids[0])["deploymentInfo"]
    return {"id": ids[0], "status": found["status"], "description": found.get("description"), "began_at": str(found["createTime"]),
            "ended_at": str(found["completeTime"]) if "completeTime" in found else None, "error": found.get("errorInformation", {}).get("message")}


def controls():
    """Each control of infra/CONTROLS.md, each of its assertions with what its test last said of this commit."""
    results = Path(os.environ["RESULTS"], "terraform")
    said = {(str(file.relative_to(results).with_suffix("")), case["name"]): case for file in results.glob("**/*.xml") for case in cases(file)}
    listed = ask(ROOT / "scripts/controls", "--json")
    if listed is None:
        sys.exit("mvdb: infra/CONTROLS.md and the tests disagree.\nmvdb: See where: scripts/controls")
    rows = json.loads(listed)
    for row in rows:
        for assertion in row["assertions"]:
            case = said.get((assertion["folder"], assertion["test"]), {})
            assertion |= {"result": case.get("result"), "at": case.get("at")}
    return rows


def scans():
    results = Path(os.environ["RESULTS"], "checkov")
    found = []
    for file in sorted(results.glob("**/*.xml")):
        told = [case["result"] for case in cases(file)]
        found.append({"what": str(file.relative_to(results).with_suffix("")), **{result: told.count(result) for result in ("passed", "failed", "skipped")}})
    return found or None


def smoke(state):
    file = state / "smoke.xml"
    file.unlink(missing_ok=True)
    began = now()
    subprocess.run([ROOT / "scripts/smoke", "--read-only", "--junit", file], stdout=subprocess.DEVNULL)
    return {"at": began, "cases": list(cases(file))} if file.exists() else None


def alarm_states(outputs):
    if not outputs.get("alarms"):
        return {}
    pages = boto3.client("cloudwatch", region_name=outputs["region"]).get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=outputs["function_name"], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return {alarm["AlarmName"]: alarm["StateValue"] for page in pages for alarm in page["MetricAlarms"] + page["CompositeAlarms"]}


def alarms(outputs, before):
    found = alarm_states(outputs)
    return [{"name": name, "severity": outputs["alarms"][name]["severity"], "before": before and before["alarms"].get(name), "after": found.get(name)} for name in sorted(outputs["alarms"])]


def glance(record):
    """One line for each part: what it comes to, and whether that is good (None: not recorded)."""
    plan, asserted = record["plan"], [assertion["result"] for row in record["controls"] for assertion in row["assertions"]]
    if plan:
        yield "Plan", f"{len(plan['changes'])} changes, {len(plan['risks'])} risks, {sum(risk['accepted'] for risk in plan['risks'])} accepted" + ("" if plan["applied"] else "; not applied"), plan["applied"] and all(risk["accepted"] for risk in plan["risks"])
    else:
        yield "Plan", "not recorded", None
    verdicts = [artefact["verdict"] for artefact in record["artefacts"]]
    verdicts += ["not the code of this commit"] if record["function"]["revision"] not in (None, record["commit"]["revision_of_the_code"]) else []
    yield "Artefacts", ", ".join(dict.fromkeys(verdict or "not compared" for verdict in verdicts)), (
        False if {"differs", "not the code of this commit"} & set(verdicts) else None if None in verdicts else True)
    yield "Controls", f"{asserted.count('passed')} of {len(asserted)} assertions passed" + (f", {asserted.count(None)} not recorded" if None in asserted else ""), (
        False if {"failed", "skipped"} & set(asserted) else None if None in asserted else True)
    for title, found in (("Scans", record["scans"]), ("Smoke", record["smoke"])):
        if found is None:
            yield title, "not recorded", None
            continue
        told = [case["result"] for case in found["cases"]] if title == "Smoke" else [result for scan in found for result in ("passed", "failed", "skipped") for _ in range(scan[result])]
        yield title, f"{told.count('passed')} passed, {told.count('failed')} failed, {told.count('skipped')} skipped", "failed" not in told and "passed" in told
    ringing = [alarm["name"] for alarm in record["alarms"] if alarm["after"] == "ALARM"]
    yield "Alarms", f"{len(ringing)} of {len(record['alarms'])} ring", not ringing


def page(record, digest):
    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.filters["code"] = lambda text: markupsafe.Markup(re.sub("`(.*?)`", r"<code>\1</code>", str(markupsafe.escape(text))))
    templates.filters["sentence"] = lambda test: re.sub(r"^(c\d\d_)+", "", test).replace("_", " ")
    return templates.get_template("evidence.html").render(record, glance=list(glance(record)), digest=digest)


def upload(record, files):
    bucket = os.environ.get("EVIDENCE_BUCKET") or sys.exit("mvdb: EVIDENCE_BUCKET does not say where to.\nmvdb: It is made by infra/bootstrap: terraform -chdir=infra/bootstrap output -raw evidence_bucket")
    client = boto3.client("s3", region_name=record["region"])
    at = datetime.strptime(record["made_at"], "%Y-%m-%dT%H:%M:%SZ")
    for file, kind in zip(files, ("application/json", "text/html; charset=utf-8")):
        key = f"{ENV}/{at:%Y/%m/%d/%H%M%SZ}-{(record['commit']['id'] or 'unknown')[:12]}{file.suffix}"
        client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes(), ContentType=kind, ChecksumAlgorithm="SHA256", IfNoneMatch="*")
        print(f"s3://{bucket}/{key}")


def main():
    parser = argparse.ArgumentParser(prog=f"scripts/evidence {ENV}")
    parser.add_argument("state", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--before", action="store_true")
    parser.add_argument("--plan", type=Path)
    parser.add_argument("--upload", action="store_true")
    said = parser.parse_args()
    if said.plan and not said.plan.is_file():
        sys.exit(f"mvdb: There is no plan {said.plan}.\nmvdb: Save one, and apply that: make plan ENV={ENV} && make deploy ENV={ENV} PLAN=.mvdb/{ENV}/plan")
    outputs = {name: output["value"] for name, output in json.loads(os.environ["OUTPUTS"]).items()}
    kept = said.state / "before.json"
    if said.before:
        # Nothing is live before the first deployment.
        live = boto3.client("lambda", region_name=outputs["region"]).get_alias(FunctionName=outputs["function_name"], Name=outputs["alias_name"])["FunctionVersion"] if outputs else None
        kept.write_text(json.dumps({"at": now(), "version": live, "alarms": alarm_states(outputs)}))
        return print(f"Kept for the page after the deployment: version {live or 'none'} is live.")
    if "function_version" not in outputs:
        sys.exit(f"mvdb: Nothing is deployed in {ENV}.\nmvdb: Deploy first: make deploy ENV={ENV}")

    deployed_by, before = job(), json.loads(kept.read_text()) if kept.exists() else None
    record = {"environment": ENV, "region": outputs["region"], "account": boto3.client("sts", region_name=outputs["region"]).get_caller_identity()["Account"], "url": outputs["api_url"],
              "made_at": now(), "commit": commit(), "job": deployed_by, "before": before and {"at": before["at"], "version": before["version"]}, "plan": applied(said.plan, deployed_by["pull_request"]),
              **function(outputs), "deployment": deployment(outputs), "controls": controls(), "scans": scans(), "smoke": smoke(said.state), "alarms": alarms(outputs, before)}
    files = said.state / "evidence.json", said.state / "evidence.html"
    files[0].write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    files[1].write_text(page(record, sha256(files[0].read_bytes())))
    for title, told, good in glance(record):
        print(f"{'ok' if good else 'missing' if good is None else 'LOOK':9}{title:11}{told}")
    print(files[1])
    if said.upload:
        upload(record, files)


if __name__ == "__main__":
    main()
