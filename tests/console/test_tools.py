"""Compose, the API and Erase: what a person does by hand that programs do otherwise."""

import json

from tests.console.conftest import Console
from tests.console.test_sign_in import new_key
from tests.kit.servers import until


def log(console: Console, **event: object) -> str:
    """Log an event; returns its id."""
    answer = console.server.mutate("events.log", {"type": "tools.tested", "data": {}, **event})
    return str(answer.json()["result"]["data"]["id"])


def test_an_event_is_composed_while_the_server_judges_it(console: Console) -> None:
    console.open("/default/compose")
    console.whole.label("Type").fill("nodots")
    console.whole.text("must follow dot notation").nth(1).wait()
    assert not console.page.enabled("Log it")
    console.whole.label("Data").fill('{"amount": ')
    console.whole.text("This is no JSON.").wait()

    console.whole.label("Type").fill("tools.composed")
    console.whole.label("Data").fill('{"amount": 5}')
    console.whole.role("button", "Add Metadata").click()
    console.whole.role("button", "Add Review").click()
    review = console.whole.role("group", "Review", exact=True)
    review.label("Stars").fill("9")
    stars = review.role("alert")
    stars.wait()
    assert "must be a whole number of stars from 1 to 5" in stars.content()
    review.label("Stars").fill("4")
    console.whole.text("The server would log it.").wait()
    assert json.loads(console.whole.label("As JSON").value()) == {
        "type": "tools.composed",
        "data": {"amount": 5},
        "metadata": {"review": {"stars": 4, "verdict": "approved"}},
    }
    console.looks_fine("compose", height=1000)
    console.looks_fine("compose-narrow", width=360)
    console.whole.role("button", "Log it").click()
    console.whole.role("status").text("Logged:").wait()
    console.whole.role("main").role("link").click()
    console.whole.role("region", "Facts").wait()

    assert console.whole.role("heading", "tools.composed", level=1).count() == 1
    assert console.whole.role("region", "review").count() == 1


def test_the_data_of_a_registered_type_has_a_form_and_json_that_change_together(console: Console) -> None:
    console.open("/default/compose")
    console.whole.label("Type").fill("reading.taken")
    data = console.whole.role("group", "Data", exact=True)
    data.label("Sensor").fill("s-1")
    data.label("Celsius").fill("21.5")
    data.label("Medium").select("water")
    data.label("Calibrated").select("false")
    data.role("button", "Add Tags").click()
    for number, tag in enumerate(("cold", "wet"), 1):
        data.role("button", f"Add Tags {number}", exact=True).click()
        data.label(f"Tags {number}").fill(tag)
    data.role("button", "Remove Tags 1").click()
    data.role("button", "Add Place").click()
    data.role("group", "Place").label("Floor").fill("first")
    data.role("group", "Place").role("alert").nth(1).wait()
    written = json.loads(console.whole.label("As JSON").value())
    assert written["data"] == {
        "sensor": "s-1",
        "celsius": 21.5,
        "medium": "water",
        "calibrated": False,
        "tags": ["wet"],
        "place": {"room": "", "floor": "first"},
    }

    written["data"] |= {"place": {"room": "12", "floor": 3}, "raw": {"adc": 7}, "mistyped": 1}
    console.whole.label("As JSON").fill(json.dumps(written))
    until(lambda: data.label("Floor").value() == "3")
    assert json.loads(data.label("Raw").value()) == {"adc": 7}
    until(lambda: [alert for alert in data.role("alert").contents() if "mistyped" in alert])
    console.looks_fine("compose-typed", height=1400)
    del written["data"]["mistyped"]
    console.whole.label("As JSON").fill(json.dumps(written))
    console.whole.text("The server would log it.").wait()
    console.page.press("Tab")
    console.whole.role("button", "Log it").click()
    console.whole.role("status").text("Logged:").wait()


def test_a_procedure_is_called_with_an_input_of_its_schema(console: Console) -> None:
    console.open("/default/api")
    console.whole.label("Find").fill("events.")
    procedures = console.whole.role("list", "Procedures").role("listitem")
    until(lambda: 5 < procedures.count() < 20)
    console.whole.role("link", "events.types").click()
    call = console.whole.role("region", "events.types")
    call.label("Prefix").fill("task.")
    assert json.loads(call.label("Input").value()) == {"prefix": "task."}
    call.label("Input").fill('{"prefix": "task.", "limit": 1}')
    until(lambda: call.label("Limit").value() == "1")
    call.label("Limit").fill("")
    call.role("button", "Call").click()
    answer = console.whole.role("status", "Answer")
    answer.wait()
    assert {each["type"] for each in json.loads(console.page.text(".answer")[0])["types"]} == {
        "task.created",
        "task.done",
    }
    console.looks_fine("api", height=1000)
    console.looks_fine("api-narrow", width=360)

    console.whole.role("link", "events.get", exact=True).click()
    other = console.whole.role("region", "events.get")
    assert json.loads(other.label("Input").value()) == {"eventId": ""}
    other.label("Event id").fill("nothing")
    other.role("button", "Call").click()
    other.role("alert").nth(0).wait()
    console.page.problems()  # the browser writes down that a call was refused


def test_several_of_a_list_are_ticked_in_a_form(console: Console) -> None:
    console.open("/default/api/keys.create")
    scopes = console.whole.role("region", "keys.create").role("group", "Scopes")
    scopes.role("checkbox", "audit:read").click()

    assert json.loads(console.whole.label("Input").value()) == {"scopes": ["events:read", "audit:read"]}
    console.looks_fine("api-lists", height=1000)


def test_what_a_key_may_not_call_has_no_button(console: Console) -> None:
    console.open("/default/api/keys.create", token=new_key(console.server, "events:read-own")["token"])
    console.whole.text("Your key may not call it.").wait()
    assert console.whole.role("button", "Call").count() == 0

    console.go("/default/api/events.list")
    console.whole.role("button", "Call").wait()
    console.go("/default/erase")
    console.whole.text("There is no such page.").wait()


def test_events_of_a_subject_are_erased_after_a_word(console: Console) -> None:
    ids = [log(console, subjectId="to-erase") for _ in range(3)]
    console.open("/default/erase")
    console.whole.label("Erase").select("subjectId")
    console.whole.label("Subject").fill("to-erase")
    console.whole.role("button", "Show how many").click()
    console.whole.text("3 events would be erased.").wait()
    console.whole.label("Type “erase” to confirm").fill("eras")
    assert not console.page.enabled("Erase for good")
    console.looks_fine("erase")
    console.looks_fine("erase-narrow", width=360)
    console.whole.label("Type “erase” to confirm").fill("erase")
    console.whole.role("button", "Erase for good").click()
    console.whole.text("3 events were erased.").wait()

    events = console.server.query("events.list", {"filter": {"id": {"in": ids}}}).json()["result"]["data"]
    assert [event.get("erased") for event in events] == [True, True, True]
    console.whole.role("link", "The event that says so").click()
    console.whole.role("heading", "synap.event.erased", level=1).wait()


def test_ids_of_which_one_names_no_event_erase_nothing(console: Console) -> None:
    known = log(console)
    console.open("/default/erase")
    console.whole.label("Erase").select("ids")
    console.whole.label("Ids").fill(f"{known}\n01900000-0000-7000-8000-00000000ffff")
    console.whole.role("button", "Show how many").click()
    console.whole.text("2 ids.").wait()
    console.whole.label("Type “erase” to confirm").fill("erase")
    console.whole.role("button", "Erase for good").click()
    console.whole.role("alert").nth(0).wait()
    console.page.problems()  # the browser writes down that a call was refused

    event = console.server.query("events.get", {"eventId": known}).json()["result"]["data"]
    assert "erased" not in event
