"""As much of CloudWatch as tells whether an alarm of a plan rings at the end of a series: statistics, metric math, periods,
M of N, missing data, composites. Not here: expected ranges (ANOMALY_DETECTION_BAND), which AWS learns from weeks of traffic.
"""
import ast
import operator
import re
from math import ceil

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
             ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le}
COMPARISONS = {"GreaterThanThreshold": operator.gt, "LessThanThreshold": operator.lt}


class Missing(Exception):
    """The expression has no data point: its metric has none, or it divides by zero."""


def statistic(name, samples):
    """Of {value: how often}; None without samples."""
    if not samples:
        return None
    count = sum(samples.values())
    if name == "Sum":
        return sum(value * often for value, often in samples.items())
    if name == "Average":
        return statistic("Sum", samples) / count
    if name == "Maximum":
        return max(samples)
    if share := re.fullmatch(r"PR\(:(\d+)\)", name):
        return 100 * sum(often for value, often in samples.items() if value <= int(share[1])) / count
    if percentile := re.fullmatch(r"p(\d+)", name):
        values = sorted(value for value, often in samples.items() for _ in range(often))
        return values[ceil(len(values) * int(percentile[1]) / 100) - 1]
    raise ValueError(f"unknown statistic {name}")


def evaluate(expression, values, quota):
    def of(node):
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                if values[node.id] is None:
                    raise Missing
                return values[node.id]
            case ast.BinOp():
                try:
                    return OPERATORS[type(node.op)](of(node.left), of(node.right))
                except ZeroDivisionError:
                    raise Missing from None
            case ast.Compare(ops=[comparison]):
                return OPERATORS[type(comparison)](of(node.left), of(node.comparators[0]))
            case ast.BoolOp():
                return (all if isinstance(node.op, ast.And) else any)([of(value) for value in node.values])
            case ast.Call(func=ast.Name("IF"), args=[condition, then, otherwise]):
                return of(then) if of(condition) else of(otherwise)
            case ast.Call(func=ast.Name("FILL"), args=[ast.Name(id=metric), default]):
                return of(default) if values[metric] is None else values[metric]
            case ast.Call(func=ast.Name("SERVICE_QUOTA")):
                return quota
        raise ValueError(f"unknown metric math in {expression}")

    return of(ast.parse(expression.replace(" OR ", " or ").replace(" AND ", " and "), mode="eval").body)


def rings(alarm, minutes, quota):
    """Whether the alarm is in ALARM at the end of `minutes`, a list of {series: {value: how often}}."""
    metrics = {query["id"]: query["metric"][0] for query in alarm["metric_query"] if query["metric"]}
    expression = next((query["expression"] for query in alarm["metric_query"] if query["id"] == "result"), "metric")
    if not metrics:  # the alarm is on a metric itself
        metrics = {"metric": {**alarm, "stat": alarm["statistic"]}}
    if alarm["treat_missing_data"] == "ignore":  # it stays as the last data left it
        names = {series(metric) for metric in metrics.values()}
        while minutes and not names & minutes[-1].keys():
            minutes = minutes[:-1]
    (period,) = {metric["period"] // 60 for metric in metrics.values()}
    above = 0
    for back in range(alarm["evaluation_periods"]):
        window = minutes[max(0, len(minutes) - (back + 1) * period):len(minutes) - back * period]
        values = {name: statistic(metric["stat"], total(window, series(metric))) for name, metric in metrics.items()}
        try:
            above += COMPARISONS[alarm["comparison_operator"]](evaluate(expression, values, quota), alarm["threshold"])
        except Missing:
            above += alarm["treat_missing_data"] == "breaching"
    return above >= alarm["datapoints_to_alarm"]


def series(metric):
    """The metric's name in `minutes`: that of one version or one cause is its own, `Errors of 8`."""
    dimensions = metric["dimensions"] or {}
    of = dimensions.get("ExecutedVersion", dimensions.get("version", dimensions.get("cause")))
    return f"{metric['metric_name']} of {of}" if of else metric["metric_name"]


def total(window, name):
    samples = {}
    for minute in window:
        for value, often in minute.get(name, {}).items():
            samples[value] = samples.get(value, 0) + often
    return samples


def composite_rings(rule, ringing):
    """A rule of ALARM("name"), AND and OR."""
    return any(all(name in ringing for name in re.findall(r'ALARM\("([^"]+)"\)', part)) for part in rule.split(" OR "))
