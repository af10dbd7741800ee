"""The publish door's webhooks compared with its document. A test's name begins with the section that it tests."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil
import pytest
from msgspec import Struct
from standardwebhooks.webhooks import Webhook

from app.delivery.signature import x_signature
from tests.delivery.receiver import Received, receiving, status
from tests.kit import web
from tests.kit.servers import Server, cloned, serving, until
from tests.procedures.conftest import Keyed, answered
from tests.surfaces.conftest import Observed
from tests.surfaces.test_publish import EVENT, LIMIT_HEADERS, error_of, published

SETTINGS = {"webhook_allow_http": "true", "webhook_allow_networks": "127.0.0.0/8", "rate_publish": 0}

HOOK = "https://hooks.example/events"
"""A name that does not exist. It is not resolved when a subscription is created."""

DEAF = "http://127.0.0.1:9/hook"
"""An address at which nobody listens."""

STRONG = "a secret of twenty-four bytes or more"

WANTED: dict[str, Any] = {"eventTypes": ["code.*"], "webhookUrl": HOOK, "secret": STRONG}

SHOWN = {
    "subscriptionId",
    "eventTypes",
    "webhookUrl",
    "ordered",
    "status",
    "createdAt",
    "deliverySeq",
    "untried",
    "weakSecret",
}
"""The members of a shown webhook, without the optional `description`."""

MAX_ACTIVE = 10


class Org(Struct, frozen=True):
    """A workspace, as a key sees it at one server."""

    server: Server
    slug: str

    def call(self, method: str, path: str = "", body: object = None) -> httpx.Response:
        """Call `/v1/events/subscriptions`. A `body` that is bytes is sent unchanged."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        url = f"{self.server.url}/v1/events/subscriptions{path}"
        return web.request(
            method, url, params={"orgId": self.slug}, content=content, headers=self.server.headers, timeout=30
        )

    def subscribe(self, body: object) -> httpx.Response:
        """Make a `POST`."""
        return self.call("POST", body=body)

    def subscribed(self, *event_types: str, **members: object) -> dict[str, Any]:
        """Create a subscription, and return the answer."""
        answer = self.subscribe(WANTED | {"webhookUrl": DEAF, "eventTypes": event_types or ["code.*"]} | members)
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def listed(self) -> list[dict[str, Any]]:
        """List all subscriptions."""
        answer = self.call("GET")
        assert answer.status_code == 200, answer.text
        [(name, subscriptions)] = answer.json().items()
        assert name == "subscriptions"
        found: list[dict[str, Any]] = subscriptions
        return found

    def delete(self, id: str) -> httpx.Response:
        """Make a `DELETE`."""
        return self.call("DELETE", f"/{id}")

    def managed(self, name: str, id: str) -> dict[str, Any]:
        """Call a procedure that this door does not have, and return its output."""
        answer = self.server.mutate(f"subscriptions.{name}", {"subscriptionId": id}, **{"x-workspace-id": self.slug})
        body: dict[str, Any] = answered(answer)
        return body

    def triggered(self, **members: object) -> int:
        """Publish an event, and return how many workflows it triggers."""
        count: int = published(self.server, self.slug, **members)["workflowsTriggered"]
        return count


class Posting(Struct, frozen=True):
    """Two servers on one database that may post to this machine, and helpers that create keys and workspaces."""

    keyed: Keyed
    second: Server


@pytest.fixture(scope="module")
def posting(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posting]:
    """The servers for all tests of this module."""
    folder = tmp_path_factory.mktemp("webhooks")
    with (
        cloned(postgres_url, template, "test_subscriptions") as url,
        serving(folder, database_url=url, **SETTINGS) as first,
        serving(folder, database_url=url, **SETTINGS) as second,
    ):
        yield Posting(Keyed(first, url), second)


@pytest.fixture
def keyed(posting: Posting) -> Keyed:
    """The first of the two servers."""
    return posting.keyed


@pytest.fixture
def org(keyed: Keyed) -> Org:
    """A workspace of the test's own."""
    return Org(keyed.server, keyed.workspace())


@pytest.fixture
def plain(observed: Observed) -> Org:
    """A workspace of a server without settings for webhooks."""
    return Org(observed.server, Keyed(observed.server, observed.database_url).workspace())


def left_of(answer: httpx.Response) -> int:
    """How many more subscriptions an answer allows, by its headers, which must be consistent."""
    limit, remaining, reset = (int(answer.headers[name]) for name in LIMIT_HEADERS)
    assert limit == MAX_ACTIVE
    assert 0 < reset - time.time() <= 61
    return remaining


def test_subscribe_returns_201_with_what_was_requested(org: Org) -> None:
    wanted = WANTED | {"eventTypes": ["code.*", "lead.*", "contract.*"], "description": "All platform events"}

    answer = org.subscribe(wanted)

    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == SHOWN | {"description", "standardWebhooksSecret"}
    assert {name: body[name] for name in wanted if name != "secret"} == {
        name: value for name, value in wanted.items() if name != "secret"
    }
    assert body["subscriptionId"].startswith("sub_")
    assert (body["status"], body["ordered"], body["deliverySeq"], body["untried"]) == ("active", False, 0, 0)
    assert abs((datetime.fromisoformat(body["createdAt"]) - datetime.now(UTC)).total_seconds()) < 60


def test_subscribe_takes_a_filter_and_shows_it(org: Org) -> None:
    wanted = {"OR": [{"data.score": {"gte": 0.9}}, {"producer": "crm"}], "NOT": {"metadata.custom.tags": None}}

    made = org.subscribed("lead.*", filter=wanted)
    org.subscribed("lead.*", filter=None)

    assert set(made) == SHOWN | {"filter", "standardWebhooksSecret"}
    assert made["filter"] == wanted
    assert [each.get("filter", "absent") for each in org.listed()] == [wanted, "absent"]


def test_subscribe_takes_the_documents_example(org: Org) -> None:
    answer = org.subscribe(
        {
            "eventTypes": ["code.*", "lead.*", "contract.*"],
            "webhookUrl": "https://your-app.com/webhooks/events",
            "secret": "whsec_xxxxxxxx",
            "description": "All platform events",
        }
    )

    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("secret", "weak"), [("whsec_xxxxxxxx", True), (STRONG, False)], ids=["the document's", "a long one"]
)
def test_subscribe_does_not_echo_a_secret_and_says_whether_it_is_weak(org: Org, secret: str, *, weak: bool) -> None:
    body = org.subscribed(secret=secret)

    assert "secret" not in body
    assert body["weakSecret"] is weak
    assert body["standardWebhooksSecret"].startswith("whsec_")


def test_subscribe_without_a_secret_shows_the_one_that_it_made_once(org: Org) -> None:
    made = org.subscribed(secret=None)

    assert set(made) == SHOWN | {"secret", "standardWebhooksSecret"}
    assert made["secret"] == made["standardWebhooksSecret"]
    assert made["weakSecret"] is False
    [listed] = org.listed()
    assert set(listed) == SHOWN
    assert made["secret"] not in org.call("GET").text


@pytest.mark.parametrize("member", ["eventTypes", "webhookUrl"])
@pytest.mark.parametrize("absent", [True, False], ids=["absent", "null"])
def test_request_body_missing_required_field(org: Org, member: str, *, absent: bool) -> None:
    wanted = {name: value for name, value in WANTED.items() if name != member} | ({} if absent else {member: None})

    error = error_of(org.subscribe(wanted), 400)

    assert (error["code"], error["field"]) == ("missing_required_field", member)
    assert org.listed() == []


BAD: dict[str, tuple[Any, str, str | None]] = {
    "no JSON": (b"{bad", "malformed_json", None),
    "an array": (b"[]", "invalid_input", None),
    "an unknown field": (WANTED | {"events": 1}, "invalid_input", "events"),
    "orgId is in the query": (WANTED | {"orgId": "default"}, "invalid_input", "orgId"),
    "no types": (WANTED | {"eventTypes": []}, "invalid_input", "eventTypes"),
    "types are text": (WANTED | {"eventTypes": "code.*"}, "invalid_input", "eventTypes"),
    "a type is a number": (WANTED | {"eventTypes": ["code.*", 1]}, "invalid_input", "eventTypes.1"),
    "a wildcard within a segment": (WANTED | {"eventTypes": ["cod*"]}, "invalid_input", "eventTypes.0"),
    "101 types": (WANTED | {"eventTypes": ["a.b"] * 101}, "invalid_input", "eventTypes"),
    "the URL is empty": (WANTED | {"webhookUrl": ""}, "invalid_input", "webhookUrl"),
    "the URL is a number": (WANTED | {"webhookUrl": 1}, "invalid_input", "webhookUrl"),
    "the URL is too long": (WANTED | {"webhookUrl": f"{HOOK}/{'x' * 2048}"}, "invalid_input", "webhookUrl"),
    "no URL": (WANTED | {"webhookUrl": "hooks.example"}, "invalid_input", "webhookUrl"),
    "another scheme": (WANTED | {"webhookUrl": "ftp://hooks.example"}, "invalid_input", "webhookUrl"),
    "the secret is empty": (WANTED | {"secret": ""}, "invalid_input", "secret"),
    "the secret is a number": (WANTED | {"secret": 1}, "invalid_input", "secret"),
    "the secret has U+0000": (WANTED | {"secret": "a\x00"}, "invalid_input", "secret"),
    "the description is too long": (WANTED | {"description": "x" * 1025}, "invalid_input", "description"),
    "the description is a list": (WANTED | {"description": []}, "invalid_input", "description"),
    "the filter is a list": (WANTED | {"filter": []}, "invalid_input", "filter"),
    "no such field": (WANTED | {"filter": {"NOT": {"producers": "a"}}}, "invalid_input", "filter.NOT.producers"),
    "a field of metadata": (WANTED | {"filter": {"metadata.ai.x": 1}}, "invalid_input", "filter.metadata.ai.x"),
    "other events": (WANTED | {"filter": {"parent": {"some": {}}}}, "invalid_input", "filter"),
    "a large filter": (WANTED | {"filter": {"data.a": {"in": ["x" * 1000] * 66}}}, "invalid_input", "filter"),
}


@pytest.mark.parametrize(("wanted", "code", "field"), BAD.values(), ids=list(BAD))
def test_request_body_that_does_not_fit_is_named(org: Org, wanted: Any, code: str, field: str | None) -> None:
    answer = org.subscribe(wanted)

    error = error_of(answer, 400)
    assert (error["code"], error.get("field")) == (code, field)
    assert left_of(answer) == MAX_ACTIVE
    assert org.listed() == []


def test_request_body_takes_what_is_just_within_its_limits(org: Org) -> None:
    url = f"{HOOK}/".ljust(2048, "x")

    body = org.subscribed(*["a.b"] * 100, webhookUrl=url, secret="s" * 256, description="d" * 1024)

    assert (len(body["eventTypes"]), body["webhookUrl"], len(body["description"])) == (100, url, 1024)


def test_request_body_that_is_too_large_is_rejected(org: Org) -> None:
    assert error_of(org.subscribe(b"x" * (9 * 2**20)), 413)["code"] == "payload_too_large"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/events",
        "http://127.0.0.1:9/hook",
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://10.0.0.1/hook",
        "https://192.168.1.1/hook",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://0x7f.1/hook",
        "https://ann:secret@hooks.example/",
    ],
)
def test_webhook_url_is_an_https_endpoint_of_the_public_net(plain: Org, url: str) -> None:
    error = error_of(plain.subscribe(WANTED | {"webhookUrl": url}), 400)

    assert (error["code"], error["field"]) == ("invalid_input", "webhookUrl")
    assert plain.listed() == []


def test_webhook_url_may_be_what_the_settings_allow_and_no_more(org: Org) -> None:
    assert org.subscribe(WANTED | {"webhookUrl": DEAF}).status_code == 201
    assert org.subscribe(WANTED | {"webhookUrl": "http://hooks.example"}).status_code == 201
    for url in ("http://10.0.0.1/hook", "http://[::1]/hook"):
        assert error_of(org.subscribe(WANTED | {"webhookUrl": url}), 400)["field"] == "webhookUrl"


def test_list_subscriptions_shows_all_oldest_first_without_secrets(org: Org) -> None:
    made = [org.subscribed("code.*"), org.subscribed("lead.*", description="Leads"), org.subscribed("*", secret=None)]

    listed = org.listed()

    secrets = {"secret", "standardWebhooksSecret"}
    assert listed == [{name: value for name, value in each.items() if name not in secrets} for each in made]


def test_list_subscriptions_of_none_is_empty(org: Org) -> None:
    assert org.listed() == []


def test_delete_subscription_answers_204_then_404(org: Org) -> None:
    first, second = org.subscribed(), org.subscribed()

    deleted = org.delete(first["subscriptionId"])

    assert (deleted.status_code, deleted.content) == (204, b"")
    error = error_of(org.delete(first["subscriptionId"]), 404)
    assert (error["code"], error["field"]) == ("not_found", "subscriptionId")
    assert [each["subscriptionId"] for each in org.listed()] == [second["subscriptionId"]]


@pytest.mark.parametrize("id_", ["sub_nosuch", "x" * 3000, "%C3%A4", "%FF"])
def test_delete_subscription_that_is_not_there_is_404(org: Org, id_: str) -> None:
    assert error_of(org.delete(id_), 404)["code"] == "not_found"


@pytest.mark.parametrize("id_", ["%00", "sub_%00"])
def test_delete_subscription_with_an_invalid_id_is_rejected(org: Org, id_: str) -> None:
    answer = org.delete(id_)

    assert answer.status_code in {400, 404}, answer.text
    assert error_of(answer, answer.status_code).get("field") == "subscriptionId"


def test_delete_subscription_of_another_workspace_is_404(keyed: Keyed, org: Org) -> None:
    theirs = org.subscribed()
    _, holder = keyed.key("*", workspaces=(keyed.workspace(),))
    mine = Org(holder, keyed.workspace())
    own = Org(keyed.server, keyed.workspace())

    assert error_of(own.delete(theirs["subscriptionId"]), 404)["code"] == "not_found"
    assert own.listed() == []
    assert error_of(Org(holder, org.slug).delete(theirs["subscriptionId"]), 403)["field"] == "orgId"
    assert error_of(mine.call("GET"), 403)["field"] == "orgId"
    assert org.listed()[0]["status"] == "active"


def test_error_codes_unauthorized_for_webhooks(org: Org) -> None:
    url = f"{org.server.url}/v1/events/subscriptions"
    for headers in ({}, {"authorization": "Bearer nosuch"}):
        for method, path in (("POST", ""), ("GET", ""), ("DELETE", "/sub_nosuch")):
            answer = web.request(method, url + path, headers=headers)

            assert error_of(answer, 401)["code"] == "unauthorized"


def test_error_codes_forbidden_without_subscriptions_manage(keyed: Keyed, org: Org) -> None:
    made = org.subscribed()
    _, stranger = keyed.key("events:read", "events:write", workspaces=(org.slug,))
    _, manager = keyed.key("subscriptions:manage", workspaces=(org.slug,))
    refused, allowed = Org(stranger, org.slug), Org(manager, org.slug)

    answers = [refused.subscribe(WANTED), refused.call("GET"), refused.delete(made["subscriptionId"])]

    assert [error_of(answer, 403)["code"] for answer in answers] == ["forbidden"] * 3
    assert len(allowed.listed()) == 1
    assert allowed.subscribe(WANTED).status_code == 201
    assert allowed.delete(made["subscriptionId"]).status_code == 204


def test_rate_limits_state_is_in_the_headers_of_every_answer(org: Org) -> None:
    made = org.subscribe(WANTED)
    id_ = made.json()["subscriptionId"]
    second = org.subscribe(WANTED)
    listed, deleted, missing = org.call("GET"), org.delete(id_), org.delete(id_)
    refused = org.subscribe({})

    answers = [made, second, listed, deleted, missing, refused]
    assert [answer.status_code for answer in answers] == [201, 201, 200, 204, 404, 400]
    assert [left_of(answer) for answer in answers] == [9, 8, 8, 9, 9, 9]


def test_rate_limits_the_eleventh_active_subscription_is_rejected(keyed: Keyed, org: Org) -> None:
    made = [org.subscribe(WANTED) for _ in range(MAX_ACTIVE)]

    refused = org.subscribe(WANTED)

    assert [left_of(answer) for answer in made] == list(range(MAX_ACTIVE - 1, -1, -1))
    assert error_of(refused, 429)["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert left_of(refused) == 0
    assert len(org.listed()) == MAX_ACTIVE
    other = Org(org.server, keyed.workspace())
    assert left_of(other.subscribe(WANTED)) == MAX_ACTIVE - 1, "another workspace has a limit of its own"


@pytest.mark.parametrize("way", ["delete", "pause"])
def test_rate_limits_a_deleted_or_paused_subscription_makes_room(org: Org, way: str) -> None:
    first, *_ = [org.subscribed()["subscriptionId"] for _ in range(MAX_ACTIVE)]
    assert org.subscribe(WANTED).status_code == 429

    if way == "delete":
        assert left_of(org.delete(first)) == 1
    else:
        assert org.managed("pause", first)["status"] == "paused"

    assert left_of(org.call("GET")) == 1
    assert left_of(org.subscribe(WANTED)) == 0
    assert error_of(org.subscribe(WANTED), 429)["code"] == "rate_limit_exceeded"
    if way == "pause":
        resumed = org.server.mutate("subscriptions.resume", {"subscriptionId": first}, **{"x-workspace-id": org.slug})
        assert resumed.status_code == 429


def test_rate_limits_hold_for_calls_at_once_through_two_servers(posting: Posting, org: Org) -> None:
    doors = [org, Org(posting.second, org.slug)]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: doors[number % 2].subscribe(WANTED), range(20)))

    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(refused) == len(answers) - MAX_ACTIVE
    assert len(org.listed()) == MAX_ACTIVE
    for answer in refused:
        assert error_of(answer, 429)["code"] == "rate_limit_exceeded"
        assert left_of(answer) == 0


def test_webhook_payload_has_the_documents_members(org: Org) -> None:
    with receiving() as receiver:
        made = org.subscribed(webhookUrl=receiver.url("/hook?tenant=1"))
        sent = published(org.server, org.slug, metadata={"correlationId": "run-gh-001"})
        delivery = _only(receiver.received)

    body = delivery.json
    assert delivery.path == "/hook?tenant=1"
    assert delivery.headers["content-type"] == "application/json"
    assert set(body) == {"subscriptionId", "deliveredAt", "event", "seq", "hash", "deliverySeq"}
    assert body["subscriptionId"] == made["subscriptionId"]
    assert body["deliveredAt"] >= sent["timestamp"]
    assert body["event"] == {
        "eventId": sent["eventId"],
        "type": EVENT["type"],
        "source": EVENT["source"],
        "timestamp": sent["timestamp"],
        "data": EVENT["data"],
    }
    logged = org.server.query("events.get", {"eventId": sent["eventId"]}, **{"x-workspace-id": org.slug})
    event = answered(logged)
    assert (body["seq"], body["hash"], body["deliverySeq"]) == (event["seq"], event["hash"], 1)


@pytest.mark.parametrize(
    "secret", ["whsec_xxxxxxxx", STRONG, "schlüssel 🔑", None], ids=["weak", "strong", "ü", "made"]
)
def test_webhook_payload_is_signed_over_its_raw_bytes(org: Org, secret: str | None) -> None:
    with receiving() as receiver:
        made = org.subscribed(webhookUrl=receiver.url(), secret=secret)
        published(org.server, org.slug, data={"text": "Grüße 🔑 \x00", "n": 1.0})
        delivery = _only(receiver.received)

    assert delivery.headers["x-signature"] == x_signature(secret or made["secret"], delivery.body)
    assert x_signature("another", delivery.body) != delivery.headers["x-signature"]
    Webhook(made["standardWebhooksSecret"]).verify(delivery.body.decode(), delivery.headers, json_parse=False)


def test_webhook_payloads_are_of_matching_events_and_end_with_the_subscription(org: Org) -> None:
    with receiving() as receiver:
        id_ = org.subscribed("lead.*", webhookUrl=receiver.url())["subscriptionId"]
        for type_ in ("code.analysis.complete", "lead.scored", "leads.scored", "lead.enriched.twice"):
            published(org.server, org.slug, type=type_)
        until(lambda: len(receiver.answered) == 2)
        org.delete(id_)
        org.subscribed("*", webhookUrl=receiver.url("/next"))
        published(org.server, org.slug, type="lead.scored")
        until(lambda: len(receiver.answered) == 3)

    types = [(delivery.path, delivery.json["event"]["type"]) for delivery in receiver.received]
    assert sorted(types[:2]) == [("/hook", "lead.enriched.twice"), ("/hook", "lead.scored")]
    assert types[2:] == [("/next", "lead.scored")]


def test_workflows_triggered_counts_the_matching_active_subscriptions(org: Org) -> None:
    counts = [org.triggered()]
    for patterns in (["code.*"], ["lead.*", "code.analysis.complete"], ["lead.*"], ["*.analysis.*"]):
        org.subscribed(*patterns)
        counts.append(org.triggered())

    assert counts == [0, 1, 2, 2, 3]
    assert org.triggered(type="lead.scored") == 2
    assert org.triggered(type="contract.created") == 0


def test_workflows_triggered_counts_a_subscription_once_though_two_patterns_match(org: Org) -> None:
    org.subscribed("code.*", "*", "code.analysis.complete")

    assert org.triggered() == 1


def test_workflows_triggered_counts_those_whose_filter_is_met(org: Org) -> None:
    org.subscribed("code.*")
    for wanted in (
        {"data.score": {"gte": 0.5}},
        {"metadata.custom.tags": {"isNull": False}, "userId": "ann"},
        {"NOT": {"producer": "crm"}, "correlationId": "run-1"},
        {
            "id": {"isNull": False},
            "hash": {"isNull": False},
            "seq": {"gte": 0},
            "timestamp": {"lt": "2100-01-01T00:00:00Z"},
        },
    ):
        org.subscribed("code.*", filter=wanted)

    assert org.triggered(data={"score": "high"}, source="crm") == 2
    assert org.triggered(data={"score": 0.5}, source="crm") == 3
    assert org.triggered(data={"score": 1}, metadata={"tags": ["a"], "userId": "ann"}) == 4
    assert org.triggered(data={}, metadata={"tags": ["a"], "userId": "bob", "correlationId": "run-1"}) == 3
    assert org.triggered(type="lead.scored", data={"score": 1}) == 0


def test_webhook_payloads_are_of_events_that_meet_the_filter(org: Org) -> None:
    with receiving() as receiver:
        org.subscribed("*", filter={"data.score": {"gte": 0.5}, "producer": "crm"}, webhookUrl=receiver.url())
        sent = [published(org.server, org.slug, data={"score": n / 10}, source="crm")["eventId"] for n in range(10)]
        published(org.server, org.slug, data={"score": 1}, source="desk")
        until(lambda: len(receiver.answered) == 5)

    assert {delivery.json["event"]["eventId"] for delivery in receiver.received} == set(sent[5:])


def test_workflows_triggered_leaves_out_the_paused_and_the_deleted(org: Org) -> None:
    first, second = (org.subscribed()["subscriptionId"] for _ in range(2))
    assert org.triggered() == 2

    org.managed("pause", first)
    assert org.triggered() == 1
    org.delete(second)
    assert org.triggered() == 0
    org.managed("resume", first)
    assert org.triggered() == 1


def test_workflows_triggered_is_right_at_once_at_another_server(posting: Posting, org: Org) -> None:
    other = Org(posting.second, org.slug)
    ids = []

    for count in range(5):
        assert other.triggered() == org.triggered() == count
        ids.append(org.subscribed()["subscriptionId"])
    for count in range(5, 0, -1):
        assert org.triggered() == other.triggered() == count
        assert other.delete(ids.pop()).status_code == 204
    assert org.triggered() == 0


def test_workflows_triggered_counts_only_who_gets_the_event(keyed: Keyed, org: Org) -> None:
    _, holder = keyed.key("events:read-own", "subscriptions:manage", user="ann", workspaces=(org.slug,))
    Org(holder, org.slug).subscribed()

    assert org.triggered(metadata={"userId": "bob"}) == 0
    assert org.triggered(metadata={"userId": "ann"}) == 1


def _only(received: list[Received]) -> Received:
    """The only delivery."""
    until(lambda: received)
    [delivery] = received
    return delivery


def _audit(org: Org) -> list[dict[str, Any]]:
    page = answered(org.server.query("audit.list", {"limit": 1000}, **{"x-workspace-id": org.slug}))
    return [entry for entry in page["entries"] if entry["action"] != "audit.read"]


def test_what_is_subscribed_and_deleted_here_is_in_the_audit(org: Org) -> None:
    wanted = {"webhookUrl": f"{DEAF}?token=of-the-url", "filter": {"data.name": "Ann"}}
    id_ = org.subscribed("code.*", **wanted, secret=STRONG)["subscriptionId"]
    org.subscribe(WANTED | {"webhookUrl": "https://10.0.0.1/"})
    org.delete(id_)
    org.delete(id_)

    created, deleted = _audit(org)

    assert (created["action"], created["actor"]) == ("subscription.created", "control")
    assert created["detail"] == {
        "subscriptionId": id_,
        "eventTypes": ["code.*"],
        "host": "127.0.0.1",
        "filtered": True,
    }
    assert (deleted["action"], deleted["detail"]) == ("subscription.deleted", {"subscriptionId": id_})


def test_a_webhook_that_the_server_stops_is_in_the_audit_by_the_node(org: Org) -> None:
    with receiving() as receiver:
        receiver.behaviour = lambda _: status(410)
        id_ = org.subscribed("code.*", webhookUrl=receiver.url())["subscriptionId"]
        for _ in range(3):
            published(org.server, org.slug)
        [shown] = until(lambda: [each for each in org.listed() if each["status"] == "disabled"])

    _, disabled = _audit(org)

    assert (disabled["action"], disabled["actor"][:9]) == ("subscription.disabled", "did:key:z")
    assert disabled["detail"] == {"subscriptionId": id_, "reason": shown["reason"]}


def test_a_webhook_that_was_made_at_one_server_is_served_by_another_at_once(posting: Posting) -> None:
    """Without a notice, the other server finds it only within 30 seconds."""
    first = Org(posting.keyed.server, posting.keyed.workspace())
    with receiving() as receiver:
        first.subscribed("code.*", webhookUrl=receiver.url())
        until(lambda: first.listed()[0]["untried"] == 0)
        processes = [
            psutil.Process(first.server.process.pid),
            *psutil.Process(first.server.process.pid).children(recursive=True),
        ]
        for process in processes:
            process.suspend()
        try:
            published(posting.second, first.slug)
            until(lambda: receiver.answered, seconds=20)
        finally:
            for process in processes:
                process.resume()
