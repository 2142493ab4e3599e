"""The kill switch, for scripts/freeze and scripts/thaw: a set of patterns that a rule of the web ACL holds against the method and
the `Authorization` header of every request. One call to WAF changes it, and its description is the record: what, who, when, why.

Why this way: Cognito gives a consumer no new tokens at once, but one that it holds lives for an hour; a stage's throttles know
routes and no callers, and Terraform would put them back; WAF sees every request first, and asks nobody.
"""
import base64
import datetime
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.exceptions import ClientError

WRITES = "^(DELETE|PATCH|POST|PUT)$"  # of the method
NOTHING = "^nothing-is-frozen$"  # what modules/waf begins with
RECORD_CHARACTERS = 256  # WAF takes no longer description, and only these in it
NOT_IN_A_RECORD = re.compile(r"[^\w+=:#@/\-,.\s]", re.ASCII)
BITE_SECONDS, ALARM_SECONDS = 600, 300  # AWS: "from a few seconds to a number of minutes"


def fail(*lines):
    sys.exit("\n".join(f"mvdb: {line}" for line in lines))


def in_a_token(client_id):
    """A pattern that finds the id in a token. Its claims are base64, which takes three bytes at a time, and where in the three the
    id begins nobody knows beforehand: three spellings, each without the characters that depend on what stands around the id."""
    spellings = []
    for before in range(3):
        text = base64.urlsafe_b64encode(b"\0" * before + client_id.encode()).decode()
        spellings.append(text[-(-before * 8 // 6):(before + len(client_id)) * 8 // 6])
    return "|".join(spellings)


class Switch:
    def __init__(self, outputs):
        self.url, self.set, region = outputs["api_url"], {**outputs["switch"], "scope": "REGIONAL"}, outputs["region"]
        # What can be frozen, and its patterns: a consumer that rotates its secret has two clients.
        self.patterns = {"writes": [WRITES]}
        for client in outputs["consumers"].values():
            self.patterns.setdefault(f"consumer {client['consumer']}", []).append(in_a_token(client["client_id"]))
        (self.alarm,) = (name for name, alarm in outputs["alarms"].items() if alarm["heading"] == "frozen")
        self.waf, self.cloudwatch, self.sts = (boto3.client(service, region_name=region) for service in ("wafv2", "cloudwatch", "sts"))

    def read(self):
        """The patterns in the set, and the token without which it cannot be changed."""
        found = self.waf.get_regex_pattern_set(Name=self.set["name"], Scope=self.set["scope"], Id=self.set["id"])
        return [each["RegexString"] for each in found["RegexPatternSet"]["RegularExpressionList"] if each["RegexString"] != NOTHING], found["LockToken"]

    def names(self, patterns):
        known = {pattern: name for name, patterns in self.patterns.items() for pattern in patterns}
        return list(dict.fromkeys(known.get(pattern, "what the stack does not know") for pattern in patterns))

    def turn(self, change, reason):
        """Changes the set by change(patterns); again where somebody else changed it meanwhile. What is frozen then."""
        who, now = self.sts.get_caller_identity()["Arn"], datetime.datetime.now(datetime.timezone.utc).strftime("%FT%TZ")
        while True:
            before, token = self.read()
            after = change(before)
            done = " ".join([*(f"Froze {name}." for name in self.names(after) if name not in self.names(before)),
                             *(f"Thawed {name}." for name in self.names(before) if name not in self.names(after))]) or "Nothing changed."
            frozen = f"Frozen: {', '.join(self.names(after))}." if after else "Nothing is frozen."
            record = NOT_IN_A_RECORD.sub(" ", f"{frozen} {done} By {who} at {now}: {reason}")[:RECORD_CHARACTERS].strip()
            try:
                self.waf.update_regex_pattern_set(Name=self.set["name"], Scope=self.set["scope"], Id=self.set["id"], LockToken=token, Description=record,
                                                  RegularExpressionList=[{"RegexString": each} for each in after or [NOTHING]])
            except ClientError as error:
                if error.response["Error"]["Code"] != "WAFOptimisticLockException":
                    raise
                continue
            print(record, flush=True)
            return after

    def refuses(self, pattern):
        """Whether the switch refuses a request that nobody answers well: without a token, or with one that nobody signed."""
        method, token = ("POST", None) if pattern == WRITES else ("GET", f"Bearer e30.{pattern.split('|')[0]}.e30")
        request = urllib.request.Request(f"{self.url}/movies", method=method, headers={"Authorization": token} if token else {})
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except urllib.error.HTTPError as answer:
            return answer.code == 503 and answer.headers["Retry-After"] == "300"
        except OSError:
            return None
        return False

    def wait_until(self, refused, patterns):
        """Three times in a row, since WAF tells its machines one after the other; a pattern that bites is not asked again for one that does not."""
        started = time.monotonic()
        for pattern in patterns:
            in_a_row = 0
            while in_a_row < 3:
                in_a_row = in_a_row + 1 if self.refuses(pattern) is refused else 0
                if time.monotonic() - started > BITE_SECONDS:
                    fail(f"{'No' if refused else 'Still a'} refusal of {self.names([pattern])[0]} seen after {BITE_SECONDS} s.",
                         f"The set is changed; is {self.url} open to where you are? Look yourself: curl -i -X POST {self.url}/movies")
                time.sleep(0.1)
        return time.monotonic() - started

    def tell(self, frozen):
        """Puts how much is frozen where the alarm reads it, until it says the same: it looks at whole minutes, and once only."""
        started, wanted = time.monotonic(), "ALARM" if frozen else "OK"
        (alarm,) = self.cloudwatch.describe_alarms(AlarmNames=[self.alarm])["MetricAlarms"]
        while True:
            self.cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[
                {"MetricName": alarm["MetricName"], "Dimensions": alarm.get("Dimensions", []), "Value": len(frozen)}])
            (alarm,) = self.cloudwatch.describe_alarms(AlarmNames=[self.alarm])["MetricAlarms"]
            if alarm["StateValue"] == wanted:
                return time.monotonic() - started
            if time.monotonic() - started > ALARM_SECONDS:
                fail(f"The switch is turned, but the alarm {self.alarm} is {alarm['StateValue']} after {ALARM_SECONDS} s.", "Is its metric the one of the stack? make plan")
            time.sleep(5)


def main(verb, what, consumer, reason):
    outputs = {name: output["value"] for name, output in json.loads(os.environ["OUTPUTS"]).items()}
    environment = os.environ["ENV"]
    if "switch" not in outputs:
        fail(f"Nothing is deployed in {environment}, or an older stack without the switch.", f"Start it: make up (local) or make deploy ENV={environment}")
    switch = Switch(outputs)
    if what and consumer or what not in ("", "writes"):
        fail("Freeze WHAT=writes or CONSUMER=NAME, one at a time.", f"For instance: make {verb} WHAT=writes REASON=\"the import runs wild\" ENV={environment}")
    named = f"consumer {consumer}" if consumer else "writes"
    if named not in switch.patterns:
        known = sorted({client["consumer"] for client in outputs["consumers"].values()})
        fail(f"{environment} has no consumer {consumer}.", f"It is one of: {', '.join(known)}")
    if verb == "freeze" and not reason:
        fail("Nothing is frozen: say why, it is kept.", f"make freeze {f'CONSUMER={consumer}' if consumer else 'WHAT=writes'} REASON=\"the import runs wild\" ENV={environment}")

    named_patterns = switch.patterns[named]
    before, _ = switch.read()
    if verb == "freeze":
        after = switch.turn(lambda patterns: patterns + [each for each in named_patterns if each not in patterns], reason)
        print(f"bites after {switch.wait_until(True, named_patterns):.1f} s", flush=True)
    else:
        one = what or consumer
        after = switch.turn(lambda patterns: [each for each in patterns if one and each not in named_patterns], reason or "it is over")
        print(f"lets through after {switch.wait_until(False, [each for each in before if each not in after]):.1f} s", flush=True)
    print(f"{switch.alarm} {'rings' if after else 'is quiet'} after {switch.tell(after):.1f} s")
    if after:
        print(f"\n  make thaw ENV={environment}")


if __name__ == "__main__":
    main(sys.argv[1], *(os.environ.get(name, "") for name in ("WHAT", "CONSUMER", "REASON")))
