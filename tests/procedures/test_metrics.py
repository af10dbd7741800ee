"""The server's figures over tRPC, beside `/metrics`."""

from prometheus_client.parser import text_string_to_metric_families as parse

from tests.kit import web
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered

EVENT = {"type": "metric.tried", "data": {}}


def scraped(server: Server) -> dict[str, float]:
    """The sum of the samples of each name."""
    sums: dict[str, float] = {}
    for family in parse(web.get(f"{server.url}/metrics", timeout=30).text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def test_the_most_important_numbers_are_those_of_metrics(keyed: Keyed) -> None:
    _, operator = keyed.key("audit:read", "events:write", workspaces=(keyed.workspace(),))
    for _ in range(3):
        answered(operator.mutate("events.log", EVENT))

    shown, sums = answered(operator.query("metrics.current")), scraped(operator)

    assert shown["eventsLastMinute"] == 3
    install, processes = shown["install"], shown["processes"]
    assert processes["eventsAppended"] == sums["synap_events_appended_total"]
    assert (processes["streams"], processes["queuedEvents"]) == (0, 0)
    assert processes["connectionsUsed"] + processes["connectionsIdle"] >= 1
    assert install["events"] == sums["synap_events"]
    assert install["workspaces"] == sums["synap_workspaces"]
    assert install["subscriptions"].keys() == {"active", "paused", "disabled"}
    assert install["databaseBytes"] > 2**20
    assert 0 < install["databaseConnections"] <= install["databaseMaxConnections"]
