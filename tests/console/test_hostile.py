"""Events that attack whoever looks at them, keys that may see little, and paths that a proxy put before the console."""

from tests.browser.spot import Spot
from tests.console.conftest import Console
from tests.console.proxy import proxying
from tests.console.test_event import log, open_event
from tests.console.test_sign_in import new_key
from tests.kit.servers import until

MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><svg onload=window.hacked=1>'
HOSTILE = {
    "markup": MARKUP,
    "link": "javascript:window.hacked=1//",
    "data link": "data:text/html,<script>window.hacked=1</script>",
    "style": "</style><style>*{display:none}</style>",
    "template": "{{constructor.constructor('window.hacked=1')()}} ${window.hacked=1}",
    "bidi": "user\u202egpj.exe",
    "invisible": "pay\u200bpal\U000e0041",
    "control": "a\x00\x1b[31m",
    MARKUP: "a key",
    "k" * 5_000: "a long key",
    "__proto__": {"hacked": 1, "toString": "x"},
    "constructor": {"prototype": {"hacked": 1}},
    "hasOwnProperty": "x",
    "dangerouslySetInnerHTML": {"__html": MARKUP},
    "vnode": {
        "type": "script",
        "props": {"children": "window.hacked=1"},
        "key": None,
        "ref": None,
        "constructor": None,
    },
    "deep": [[[[[[[[MARKUP]]]]]]]],
}
METADATA = {
    "ai": {
        "agent": MARKUP,
        "confidence": {"score": 1, "reasoning": MARKUP},
        "reasoning": {"steps": [{"type": "thinking", "content": MARKUP}]},
        "relationships": {
            "relationships": [{"targetEntityId": "javascript:window.hacked=1", "type": "part_of", "confidence": 1}]
        },
    },
    "import": {"source": "other", "importedAt": "2026-01-01T00:00:00Z", "externalUrl": "javascript:window.hacked=1"},
    "custom": {MARKUP: MARKUP, "__proto__": MARKUP},
}


def test_a_hostile_event_is_shown_as_text(console: Console) -> None:
    names = {"userId": MARKUP, "subjectId": "javascript:alert(1)", "producer": MARKUP, "correlationId": MARKUP}
    hostile = log(console.server, data=HOSTILE, metadata=METADATA, causationId=MARKUP, **names)
    open_event(console, hostile)
    data = console.whole.role("region", "Data")
    data.wait()

    for code in ("U+202E", "U+200B", "U+E0041", "U+0000", "U+001B"):
        assert code in data.content()
    data.role("button", "Raw").click()
    assert "__proto__" in data.content()
    console.looks_fine("hostile", height=1600)
    console.go('/default/events?filter={"type":"console.tested"}&columns=time+type+user+subject+agent+correlation+data')
    console.whole.role("table", "Events").role("row").nth(1).wait()
    console.go(f"/default/trace/{hostile}")
    console.whole.role("tree").wait()
    console.go(f"/default/trace/{hostile}?view=lanes")
    console.whole.role("list", "Lanes").wait()

    assert console.page.evaluate("[window.hacked, ({}).hacked, document.querySelectorAll('img').length]") == [
        None,
        None,
        0,
    ]
    links = console.page.evaluate("[...document.querySelectorAll('a')].map((each) => each.getAttribute('href'))")
    assert [link for link in links if not link.startswith("#")] == []


def test_a_hostile_address_is_shown_as_text(console: Console) -> None:
    console.open("/default/events?filter=<script>&columns=data.<b>+time&at=x&range=__proto__&from=<i>")
    console.whole.role("alert").nth(0).wait()
    console.go("/constructor/__proto__/<img src=x onerror=window.hacked=1>")
    console.whole.text("Your key has no workspace").wait()

    assert console.page.evaluate("window.hacked") is None
    console.page.problems()  # the browser writes down that requests were refused


def test_a_key_for_own_events_sees_its_own_and_no_button_that_fails(console: Console) -> None:
    key = new_key(console.server, "events:read-own")
    console.open("/default/events", token=key["token"], width=1280, height=800)
    table: Spot = console.whole.role("table", "Events")
    table.role("row").nth(1).wait()
    console.whole.role("img", "events over time").wait()

    assert console.whole.role("navigation", "Screens").role("link").contents() == ["Events", "API"]
    assert {row.split("\t")[3].strip() for row in table.role("row").contents()[1:]} == {"ann"}
    table.role("row").nth(1).role("link").click()
    console.whole.role("region", "Facts").wait()
    assert console.whole.role("button", "verified").count() == 0
    console.whole.role("link", "Trace").click()
    console.whole.role("tree").wait()


def test_the_console_works_below_the_path_of_a_proxy(console: Console) -> None:
    with proxying(console.server.url, prefix="/base") as proxy:
        console.open(base=proxy.url, width=1280, height=800)
        console.whole.role("table", "Events").role("row").nth(1).role("link").click()
        console.whole.role("button", "verified", exact=True).wait()
        console.page.reload()
        console.whole.role("button", "verified", exact=True).wait()
        console.page.goto(f"{proxy.url}/console/#/default/events")
        console.whole.role("table", "Events").role("row").nth(1).wait()

        until(lambda: console.page.url == f"{proxy.url}/console#/default/events")
        assert proxy.strays == []
