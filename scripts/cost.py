"""What a stack costs, for scripts/price and scripts/cost: standing, from the resources that a plan has; by use, from a model of one
request. Prices and the model's figures are infra/prices.json's, nothing is priced here."""
import json
import math
import re
from pathlib import Path

FILE = json.loads((Path(__file__).parent.parent / "infra/prices.json").read_text())
PRICES, REQUEST = FILE["prices"], FILE["request"]
MONTH_HOURS = 730
WHOLE_CPU_MB = 1769  # the memory with which Lambda gives a function one CPU; with less its share is smaller
MEMORY_SIZES = (128, 256, 512, 1024, 1769)
LOG_LINE_BYTES = 26  # CloudWatch counts so many more for each line
LOG_COMPRESSION = 0.15  # of what was written, so much is paid for as kept
# X-Ray's own rule, which decides for API Gateway and Lambda: the first request of a second, and of the others so many.
TRACED_SHARE = 0.05
PARTITION_UNITS = {"read": 3000, "write": 1000}  # a second, of one of DynamoDB's partitions
PAGE_MOVIES = 100
LARGEST_YEAR = 432 / 4609  # of the catalogue's movies: 2013
# CloudWatch is paid for each metric of the access log by function, by route (`none` is one) and by consumer.
SERVICE = Path(__file__).parent.parent / "lambda/services/movies"
ACCESS_LOG = SERVICE.parent.parent / "crates/inbound/src/access_log.rs"
# A metric is written out there, or named by its constant.
METRICS = len(re.findall(r"Metric \{|\b[A-Z]{2,}\b", re.search(r"const METRICS: &\[Metric\] = &\[(.*?)\];", ACCESS_LOG.read_text(), re.S)[1]))
ROUTES = len(re.findall(r"^  /\S*:$", (SERVICE / "openapi.yaml").read_text(), re.M)) + 1


def resources(module):
    """Type and values of all that a plan, or a state, makes."""
    yield from ((resource["type"], resource["values"]) for resource in module.get("resources", []) if resource["mode"] == "managed")
    for child in module.get("child_modules", []):
        yield from resources(child)


class Stack:
    def __init__(self, made):
        self.made = list(made)
        functions, acls = self.of("aws_lambda_function"), self.of("aws_wafv2_web_acl")
        self.memory_mb, self.architecture = (functions[0]["memory_size"], functions[0]["architectures"][0]) if functions else (512, "arm64")
        self.consumers = len(self.of("aws_cognito_user_pool_client"))
        self.log_days = max((group["retention_in_days"] for group in self.of("aws_cloudwatch_log_group")), default=0)
        self.masked = bool(self.of("aws_cloudwatch_log_data_protection_policy"))
        self.keys = len(self.of("aws_kms_key"))
        alarms = [alarm.get("metric_query") or [{"metric": [{}]}] for alarm in self.of("aws_cloudwatch_metric_alarm")]
        self.counts = {
            "customer key": self.keys,
            "web ACL": len(acls),
            "rule of a web ACL": sum(len(acl["rule"]) for acl in acls),
            "consumer": self.consumers,
            # A band of what is usual counts as two.
            "metric in an alarm": sum(2 if "ANOMALY_DETECTION_BAND" in (query.get("expression") or "") else bool(query.get("metric")) for alarm in alarms for query in alarm),
            "composite alarm": len(self.of("aws_cloudwatch_composite_alarm")),
            "metric of our own": METRICS * (1 + ROUTES + self.consumers) + 1 if functions else 0,
            "dashboard": len(self.of("aws_cloudwatch_dashboard")),
            "network endpoint in a zone": sum(endpoint["vpc_endpoint_type"] == "Interface" for endpoint in self.of("aws_vpc_endpoint")) * len(self.of("aws_subnet")),
        }

    def of(self, kind):
        return [values for found, values in self.made if found == kind]

    def standing(self):
        """USD a month, before the first request, by what it is for."""
        return {what: count * PRICES[what]["usd"] for what, count in self.counts.items()}


def price(what, millions=0):
    """USD; where AWS has steps, the mean over so many millions a month."""
    steps = PRICES[what]["usd"]
    if not isinstance(steps, list):
        return steps
    paid, done = 0, 0
    for end, usd in steps:
        part = min(millions, end or millions) - done
        if part > 0:
            paid, done = paid + part * usd, done + part
    return paid / millions


def milliseconds(memory_mb):
    """Billed for one read."""
    return math.ceil(REQUEST["cpu_milliseconds"] * max(1, WHOLE_CPU_MB / memory_mb) + REQUEST["table_milliseconds"])


def function(stack, memory_mb):
    return milliseconds(memory_mb) / 1000 * memory_mb / 1024 * price(f"Lambda {stack.architecture}") * 1e6


def per_million(stack, door, rps, hit):
    """USD for a million reads. A cache at the edge, where there is one, answers a share `hit` of them."""
    millions = rps * MONTH_HOURS * 3600 / 1e6
    edge = door == "CloudFront"
    behind = 1 - hit if edge else 1  # what reaches the function
    reached = behind * rps
    traced = min(1, (1 + TRACED_SHARE * max(0, reached - 1)) / reached) if reached else 0
    lines = REQUEST["function_log_bytes"] + LOG_LINE_BYTES + (0 if edge else REQUEST["access_log_bytes"] + LOG_LINE_BYTES)
    log = price("logs, written") + price("logs, masked") * stack.masked + price("logs, kept") * LOG_COMPRESSION * stack.log_days / 30
    return {
        "front door": price(door, millions) + (price("CloudFront function") if edge else 0),
        "WAF": 0 if door == "HTTP API" else price("WAF"),
        "function": behind * (price("Lambda") + function(stack, stack.memory_mb)),
        "table": behind * price("table, read") * math.ceil(REQUEST["item_bytes"] / 4096) / 2,
        "logs": behind * lines / 1e3 * log,
        "traces": behind * traced * price("trace"),
        "sent out": REQUEST["answer_bytes"] / 1e3 * price("sent by CloudFront" if edge else "sent to the internet"),
    }


def by_time(stack):
    """USD a month for what use takes by the hour: a token an hour for each consumer, each key asked every five minutes."""
    return {"tokens": stack.consumers * MONTH_HOURS * price("token") / 1000, "keys": stack.keys * MONTH_HOURS * 12 * price("key, used") / 10000}


NOTES = {
    "REST API": "as configured",
    "HTTP API": "no WAF, no validation, no gateway responses",
    "CloudFront": "function URL behind it, token checked at the edge; caches at the edge",
}


def table(head, rows):
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---", *["---:"] * (len(head) - 1)], *rows])


def report(stack, rps, hit):
    """As Markdown: the stack as it is configured, by memory, and behind other front doors."""
    millions = rps * MONTH_HOURS * 3600 / 1e6
    used = per_million(stack, "REST API", rps, hit)
    standing, hourly = stack.standing(), by_time(stack)
    rows = [[what, f"{usd:.2f}", f"{usd * millions:.2f}"] for what, usd in used.items()]
    rows += [[what, "", f"{usd:.2f}"] for what, usd in hourly.items()]
    rows += [[f"{stack.counts[what]} × {what}", "", f"{usd:.2f}"] for what, usd in standing.items() if usd]
    total = sum(used.values()) * millions + sum(hourly.values()) + sum(standing.values())
    rows += [["**all**", f"**{total / millions:.2f}**", f"**{total:.2f}**"]]
    memory = [[f"{size} MB{', as configured' if size == stack.memory_mb else ''}", f"{milliseconds(size)}", f"{function(stack, size):.3f}"] for size in MEMORY_SIZES]
    return "\n\n".join([
        f"{rps:g} reads a second, {millions:.1f} million a month; a cache at the edge answers {100 * hit:g} %:",
        table(["", "USD a million", "USD a month"], rows),
        "The function's time by its memory:",
        table(["", "ms billed", "USD a million"], memory),
        "Behind other front doors, the rest as it is:",
        doors(stack, rps, hit),
    ])


def scale():
    """As Markdown: what grows with the catalogue and what does not."""
    item, page = REQUEST["item_bytes"], math.ceil(PAGE_MOVIES * REQUEST["item_bytes"] / 4096) / 2
    rows = []
    for power in range(3, 8):
        movies = 10 ** power
        gb = movies * item / 1e9
        rows.append([f"10{'³⁴⁵⁶⁷'[power - 3]}", f"{gb * 1000:,.1f}", f"{gb * (price('table, stored') + price('table, recovery')):.2f}", f"{movies / 1e6 * math.ceil(item / 1024) * price('table, write'):.2f}",
                     f"{movies / PAGE_MOVIES / 1e6 * page * price('table, read'):.4f}", f"{movies * LARGEST_YEAR:,.0f}", f"{movies * LARGEST_YEAR * item / 1e6:,.1f}"])
    return table(["movies", "MB", "kept, USD a month", "loaded, USD", "listed whole, USD", "largest year, movies", "MB"], rows)


def heat(stack):
    """As Markdown: what the throttles let through, were all of it for one year, against what one partition takes."""
    limits = {path: settings["throttling_rate_limit"] for path, settings in
              ((made["method_path"], made["settings"][0]) for made in stack.of("aws_api_gateway_method_settings"))}
    one, page = (math.ceil(movies * REQUEST["item_bytes"] / 4096) / 2 for movies in (1, PAGE_MOVIES))
    write = 2 * math.ceil(REQUEST["item_bytes"] / 1024)  # in a transaction each unit counts twice
    rows = []
    for what, units, kind, limit in (("GET of a movie", one, "read", limits["*/*"]), ("GET of a page", page, "read", limits["~1movies/GET"]), ("PUT of a movie", write, "write", limits["*/*"])):
        rows.append([what, f"{units:g}", f"{PARTITION_UNITS[kind] / units:,.0f}", f"{limit:g}", f"{100 * limit * units / PARTITION_UNITS[kind]:.0f} %"])
    return table(["of one year", "units", "a second, one partition", "a second, throttle", "of the partition"], rows)


def doors(stack, rps, hit):
    rows = []
    for door, note in NOTES.items():
        used = per_million(stack, door, rps, hit)
        rows.append([f"{door}: {note}", *(f"{usd:.2f}" for usd in (used["front door"], used["WAF"], sum(used.values()) - used["front door"] - used["WAF"], sum(used.values())))])
    return table(["USD a million reads", "door", "WAF", "behind and out", "all"], rows)
