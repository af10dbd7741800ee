"""The examples work as documented."""

import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kit import web
from tests.kit.paths import ROOT
from tests.kit.servers import Server, cloned, serving

EXAMPLE = ROOT / "examples" / "review.py"

REVIEW: dict[str, Any] = {"stars": 4, "verdict": "approved"}


@pytest.fixture(scope="module")
def reviewing(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has loaded the example."""
    folder = tmp_path_factory.mktemp("reviewing")
    shutil.copy(EXAMPLE, folder)
    with (
        cloned(postgres_url, template, "test_examples") as url,
        serving(folder, database_url=url, extensions="review") as server,
    ):
        yield server


def _log(server: Server, review: object) -> httpx.Response:
    event = {"type": "order.reviewed", "data": {}, "metadata": {"review": review, "custom": {"x": 1}}}
    return server.mutate("events.log", event)


@pytest.mark.parametrize(
    "review",
    [
        REVIEW,
        {**REVIEW, "stars": 1, "comment": ""},
        {**REVIEW, "stars": 5, "comment": "Fine.", "wouldRecommend": False},
    ],
    ids=["what is required", "a comment", "everything"],
)
def test_a_review_is_stored_as_sent(reviewing: Server, review: dict[str, Any]) -> None:
    response = _log(reviewing, review)

    assert response.status_code == 200, response.text
    event = response.json()["result"]["data"]
    assert event["metadata"] == {"review": review, "custom": {"x": 1}}
    assert reviewing.query("events.get", {"eventId": event["id"]}).json()["result"]["data"] == event


def test_null_is_absent_in_a_review_too(reviewing: Server) -> None:
    response = _log(reviewing, {**REVIEW, "comment": None, "wouldRecommend": None})

    assert response.json()["result"]["data"]["metadata"]["review"] == REVIEW


@pytest.mark.parametrize(
    ("review", "path", "message"),
    [
        ({**REVIEW, "stars": 6}, "stars", "must be a whole number of stars from 1 to 5"),
        ({**REVIEW, "stars": 0}, "stars", "must be a whole number of stars from 1 to 5"),
        ({**REVIEW, "stars": "5"}, "stars", "must be a whole number of stars from 1 to 5"),
        ({**REVIEW, "stars": 4.5}, "stars", "must be a whole number of stars from 1 to 5"),
        ({"verdict": "approved"}, "stars", "is required"),
        ({**REVIEW, "verdict": "maybe"}, "verdict", "must be one of: approved, changes_requested, rejected"),
        ({**REVIEW, "comment": "\x00"}, "comment", "must not contain U+0000"),
        ({**REVIEW, "wouldRecommend": "yes"}, "wouldRecommend", "must be true or false, not text"),
        (
            {**REVIEW, "would_recommend": True},
            "would_recommend",
            "is not a known field; known are: comment, stars, verdict, wouldRecommend",
        ),
    ],
    ids=["6 stars", "no star", "text", "a half", "absent", "a verdict", "U+0000", "a flag", "snake case"],
)
def test_a_wrong_review_is_rejected_like_the_built_in_kinds(
    reviewing: Server, review: dict[str, Any], path: str, message: str
) -> None:
    response = _log(reviewing, review)

    assert response.status_code == 400
    assert response.json()["error"]["data"]["issues"] == [{"path": f"metadata.review.{path}", "message": message}]


def test_all_that_is_wrong_is_named_at_once(reviewing: Server) -> None:
    event = {"type": "reviewed", "data": {}, "metadata": {"review": {"stars": 9}, "ai": {}, "nosuch": {}}}

    data = reviewing.mutate("events.log", event).json()["error"]["data"]

    assert sorted(issue["path"] for issue in data["issues"]) == [
        "metadata.ai.agent",
        "metadata.nosuch",
        "metadata.review.stars",
        "metadata.review.verdict",
        "type",
    ]
    (unknown,) = [issue for issue in data["issues"] if issue["path"] == "metadata.nosuch"]
    assert unknown["message"].endswith("known are: ai, automation, custom, import, review, synap, sync")


def test_a_review_is_found_by_having_metadata(reviewing: Server) -> None:
    event = _log(reviewing, REVIEW).json()["result"]["data"]

    page = reviewing.query("events.page", {"hasMetadata": True, "limit": 1}).json()["result"]["data"]

    assert page["events"] == [event]


def test_the_contract_types_a_review(reviewing: Server) -> None:
    contract = web.get(f"{reviewing.url}/trpc/contract.ts").text

    review = contract.split("export interface Review {\n", 1)[1].split("\n}\n", 1)[0]
    assert "  stars: number;" in review
    assert '  verdict: "approved" | "changes_requested" | "rejected";' in review
    assert "  comment?: string" in review
    assert "  wouldRecommend?: boolean" in review
    assert "review?: Review" in contract.split("export interface Metadata {\n", 1)[1].split("\n}\n", 1)[0]


def test_without_the_setting_a_review_is_unknown(server: Server) -> None:
    response = _log(server, REVIEW)

    assert [issue["path"] for issue in response.json()["error"]["data"]["issues"]] == ["metadata.review"]
