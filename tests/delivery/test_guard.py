"""Which addresses a webhook may call."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.delivery import guard as module
from app.delivery.guard import Guard, SystemResolver, Target, TargetRefused, Unresolved, special
from app.settings import networks
from tests.delivery.names import Names
from tests.kit.examples import examples
from tests.kit.servers import until

SPECIAL_V4 = [network for network, _ in module._SPECIAL[4]]  # noqa: SLF001 - this table is tested
SPECIAL_V6 = [network for network, _ in module._SPECIAL[6]]  # noqa: SLF001

REFUSED = {
    "this network": "0.0.0.0",
    "this network, last": "0.255.255.255",
    "private 10, first": "10.0.0.0",
    "private 10, last": "10.255.255.255",
    "carrier NAT, first": "100.64.0.0",
    "carrier NAT, a cloud's metadata": "100.100.100.200",
    "carrier NAT, last": "100.127.255.255",
    "loopback": "127.0.0.1",
    "loopback, last": "127.255.255.255",
    "link local": "169.254.0.1",
    "link local, metadata": "169.254.169.254",
    "link local, container credentials": "169.254.170.2",
    "private 172, first": "172.16.0.0",
    "private 172, last": "172.31.255.255",
    "protocol assignments": "192.0.0.1",
    "port control anycast": "192.0.0.9",
    "TURN anycast": "192.0.0.10",
    "NAT64 discovery": "192.0.0.170",
    "a cloud's metadata": "192.0.0.192",
    "documentation 1": "192.0.2.1",
    "AS112 redirection": "192.31.196.1",
    "multicast tunnels": "192.52.193.1",
    "6to4 relays": "192.88.99.1",
    "private 192, first": "192.168.0.0",
    "private 192, last": "192.168.255.255",
    "AS112": "192.175.48.6",
    "benchmarking, first": "198.18.0.0",
    "benchmarking, last": "198.19.255.255",
    "documentation 2": "198.51.100.1",
    "documentation 3": "203.0.113.255",
    "multicast, first": "224.0.0.0",
    "multicast, last": "239.255.255.255",
    "reserved, first": "240.0.0.0",
    "broadcast": "255.255.255.255",
    "v6 unspecified": "::",
    "v6 loopback": "::1",
    "v6 in the block of loopback": "::2",
    "v4-compatible loopback": "::127.0.0.1",
    "v4-compatible public": "::8.8.8.8",
    "v4-mapped loopback": "::ffff:127.0.0.1",
    "v4-mapped metadata": "::ffff:a9fe:a9fe",
    "v4-mapped private": "::ffff:10.0.0.1",
    "v4-translated loopback": "::ffff:0:127.0.0.1",
    "NAT64 of loopback": "64:ff9b::127.0.0.1",
    "NAT64 of metadata": "64:ff9b::a9fe:a9fe",
    "NAT64 of private": "64:ff9b::192.168.1.1",
    "beside NAT64": "64:ff9b:0:0:0:1:808:808",
    "NAT64, local": "64:ff9b:1::808:808",
    "discard only": "100::1",
    "dummy prefix": "100:0:0:1::1",
    "v6 outside of unicast": "200::1",
    "Teredo of public": "2001:0:808:808::1",
    "Teredo of loopback": "2001::80ff:fffe",
    "port control anycast v6": "2001:1::1",
    "TURN anycast v6": "2001:1::2",
    "benchmarking v6": "2001:2::1",
    "AMT": "2001:3::1",
    "AS112 v6": "2001:4:112::1",
    "ORCHID": "2001:10::1",
    "ORCHID v2": "2001:20::1",
    "drone ids": "2001:30::1",
    "protocol assignments v6, last": "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "documentation v6": "2001:db8::1",
    "6to4 of public": "2002:808:808::1",
    "6to4 of loopback": "2002:7f00:1::1",
    "6to4 of private": "2002:a00:1::1",
    "AS112 direct v6": "2620:4f:8000::1",
    "documentation v6, the new one": "3fff::1",
    "documentation v6, the new one, last": "3fff:fff:ffff::1",
    "above unicast": "4000::1",
    "segment routing": "5f00::1",
    "unique local, first": "fc00::1",
    "unique local, a cloud's metadata": "fd00:ec2::254",
    "link local v6": "fe80::1",
    "site local v6": "fec0::1",
    "multicast v6, this node": "ff01::1",
    "multicast v6, all routers": "ff02::2",
}

ALLOWED = {
    "public": "8.8.8.8",
    "below this network's end": "1.0.0.0",
    "below private 10": "9.255.255.255",
    "above private 10": "11.0.0.0",
    "below carrier NAT": "100.63.255.255",
    "above carrier NAT": "100.128.0.0",
    "below loopback": "126.255.255.255",
    "above loopback": "128.0.0.0",
    "beside link local": "169.253.255.255",
    "above link local": "169.255.0.0",
    "below private 172": "172.15.255.255",
    "above private 172": "172.32.0.0",
    "above protocol assignments": "192.0.1.0",
    "above documentation 1": "192.0.3.0",
    "below private 192": "192.167.255.255",
    "above private 192": "192.169.0.0",
    "below benchmarking": "198.17.255.255",
    "above benchmarking": "198.20.0.0",
    "above documentation 3": "203.0.114.0",
    "below multicast": "223.255.255.255",
    "public v6": "2606:4700:4700::1111",
    "above protocol assignments v6": "2001:200::1",
    "beside documentation v6": "2001:db7:ffff::1",
    "above 6to4": "2003::1",
    "last of unicast before documentation": "3ffe:ffff::1",
    "above documentation v6, the new one": "3fff:1000::1",
    "NAT64 of public": "64:ff9b::8.8.8.8",
    "v4-mapped public": "::ffff:8.8.8.8",
}


def _url(address: str) -> str:
    return f"https://[{address}]/hook" if ":" in address else f"https://{address}/hook"


def _addresses(guard: Guard, url: str) -> tuple[object, ...]:
    return asyncio.run(guard.addresses(guard.target(url)))


def test_the_tables_are_long_enough() -> None:
    assert len(set(REFUSED.values())) >= 60
    assert len(set(ALLOWED.values())) == len(ALLOWED)


@pytest.mark.parametrize("address", REFUSED.values(), ids=list(REFUSED))
def test_a_special_address_is_rejected_as_written_and_as_resolved(address: str) -> None:
    with pytest.raises(TargetRefused, match="must not lead to"):
        Guard().target(_url(address))
    with pytest.raises(TargetRefused, match="not public") as refused:
        _addresses(Guard(resolve=Names([address])), "https://hooks.example.test/")
    assert address not in str(refused.value)


@pytest.mark.parametrize("address", ALLOWED.values(), ids=list(ALLOWED))
def test_a_public_address_is_allowed_as_written_and_as_resolved(address: str) -> None:
    plain = ip_address(address.removeprefix("::ffff:"))

    assert _addresses(Guard(), _url(address)) == (plain,)
    assert _addresses(Guard(resolve=Names([address])), "https://hooks.example.test/") == (plain,)


def _forms(address: IPv4Address) -> list[IPv6Address]:
    """All IPv6 addresses that lead to `address` in any known way."""
    number = int(address)
    return [
        IPv6Address(number),  # v4-compatible
        IPv6Address((0xFFFF << 32) | number),  # v4-mapped
        IPv6Address((0xFFFF << 48) | number),  # v4-translated
        IPv6Address((0x64FF9B << 96) | number),  # NAT64
        IPv6Address((0x64FF9B0001 << 80) | number),  # NAT64, local
        IPv6Address((0x2002 << 112) | (number << 80) | 1),  # 6to4
        IPv6Address((0x20010000 << 96) | (number << 64) | 1),  # Teredo, the server
        IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (number ^ 0xFFFFFFFF)),  # Teredo, the client
    ]


def _within(network: IPv4Network | IPv6Network) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.ip_addresses(network=str(network))


@given(st.sampled_from(SPECIAL_V4).flatmap(_within))
def test_a_special_address_is_rejected_in_every_form(address: IPv4Address) -> None:
    assert special(address) is not None
    for form in _forms(address):
        with pytest.raises(TargetRefused):
            Guard().target(f"https://[{form}]/")
        with pytest.raises(TargetRefused):
            Guard().target(f"https://[{form.exploded.upper()}]/")


@given(st.sampled_from(SPECIAL_V6).flatmap(_within))
def test_a_special_v6_address_is_rejected(address: IPv6Address) -> None:
    assert special(address) is not None


@settings(max_examples=examples(500))
@given(st.ip_addresses())
def test_what_python_knows_as_not_global_is_rejected(address: IPv4Address | IPv6Address) -> None:
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    assert address.is_global or mapped or special(address) is not None


@given(st.ip_addresses(v=4))
def test_mapped_and_translated_forms_are_judged_as_the_address_inside(address: IPv4Address) -> None:
    _, mapped, _, nat64, *others = _forms(address)

    assert special(mapped) == special(address)
    assert (special(nat64) is None) == (special(address) is None)
    assert all(special(form) is not None for form in others)


def test_one_rejected_address_among_many_rejects_them_all() -> None:
    for answer in (["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["2606:4700::1", "8.8.8.8", "::1"]):
        with pytest.raises(TargetRefused):
            _addresses(Guard(resolve=Names(answer)), "https://hooks.example.test/")


@pytest.mark.parametrize("answer", ["fe80::1%1", "2606:4700::1%eth0", "not an address", ""])
def test_an_answer_that_is_no_plain_address_rejects(answer: str) -> None:
    with pytest.raises(TargetRefused):
        _addresses(Guard(resolve=Names(["8.8.8.8", answer])), "https://hooks.example.test/")


def test_addresses_keep_the_order_of_the_resolver_without_repeats() -> None:
    guard = Guard(resolve=Names(["2606:4700::1", "8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1"]))

    found = _addresses(guard, "https://hooks.example.test/")

    assert found == (IPv6Address("2606:4700::1"), IPv4Address("8.8.8.8"))


@pytest.mark.parametrize("answer", [[], OSError("no such host"), UnicodeError("label too long")])
def test_a_name_without_an_address_is_unresolved(answer: list[str] | Exception) -> None:
    with pytest.raises(Unresolved, match="could not be resolved"):
        _addresses(Guard(resolve=Names(answer)), "https://hooks.example.test/")


NETWORKS = {
    "a CIDR": (["127.0.0.0/8"], "127.0.0.1", True),
    "beyond the CIDR": (["10.0.0.0/8"], "127.0.0.1", False),
    "an address": (["10.0.0.7"], "10.0.0.7", True),
    "beside the address": (["10.0.0.7"], "10.0.0.8", False),
    "the second of two": (["10.0.0.0/8", "192.168.0.0/16"], "192.168.1.1", True),
    "v6": (["fd00::/8"], "fd00::1", True),
    "v4 does not open v6": (["0.0.0.0/0"], "::1", False),
    "v6 does not open v4": (["::/0"], "127.0.0.1", False),
    "mapped is v4": (["127.0.0.0/8"], "::ffff:127.0.0.1", True),
    "translated is not v4": (["127.0.0.0/8"], "64:ff9b::127.0.0.1", False),
    "translated by its own name": (["64:ff9b::/96"], "64:ff9b::10.0.0.1", True),
    "6to4 is not v4": (["10.0.0.0/8"], "2002:a00:1::1", False),
}


@pytest.mark.parametrize(("texts", "address", "allowed"), NETWORKS.values(), ids=list(NETWORKS))
def test_a_setting_lets_networks_through(texts: list[str], address: str, *, allowed: bool) -> None:
    guard = Guard(allow_networks=networks(texts))

    assert (guard.refusal(ip_address(address)) is None) is allowed


@pytest.mark.parametrize(
    "text", ["10.0.0.1/8", "10/8", "10.0.0.0/33", "0x7f.0.0.0/8", "fe80::1%eth0", "everything", ""]
)
def test_a_setting_that_is_no_network_is_reported(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|zone|host bits"):
        networks(["127.0.0.0/8", text])


BAD_URLS = {
    "http": ("http://example.com/", "must begin with https://"),
    "no scheme": ("example.com/hook", "must begin with https://"),
    "no scheme, two slashes": ("//example.com/hook", "must begin with https://"),
    "another scheme": ("ftp://example.com/", "must begin with https://"),
    "file": ("file:///etc/passwd", "must begin with https://"),
    "one slash": ("https:/example.com/", "must begin with https://"),
    "no slash": ("https:example.com", "must begin with https://"),
    "empty": ("", "must begin with https://"),
    "no host": ("https:///hook", "must have a host"),
    "a port alone": ("https://:443/", "must have a host"),
    "user": ("https://user@example.com/", "user name"),
    "user and password": ("https://user:password@example.com/", "user name"),
    "an empty user": ("https://@example.com/", "user name"),
    "a host before @": ("https://example.com@127.0.0.1/", "user name"),
    "percent-encoded @": ("https://example.com%40127.0.0.1/", "letters, digits"),
    "fragment": ("https://example.com/#top", "fragment"),
    "an empty fragment": ("https://example.com/#", "fragment"),
    "a fragment that hides": ("https://example.com#@127.0.0.1/", "fragment"),
    "white space before": (" https://example.com/", "plain ASCII"),
    "white space within": ("https://example.com/a b", "plain ASCII"),
    "newline": ("https://example.com/\r\nX: y", "plain ASCII"),
    "newline behind": ("https://example.com/\n", "plain ASCII"),
    "tab in the scheme": ("ht\ttps://example.com/", "plain ASCII"),
    "U+0000": ("https://example.com/\x00", "plain ASCII"),
    "backslash": ("https://example.com\\@127.0.0.1/", "plain ASCII"),
    "other letters in the host": ("https://exämple.com/", "xn--"),
    "full-width digits": ("https://\uff11\uff12\uff17.0.0.1/", "plain ASCII"),
    "circled digits": ("https://①②⑦.0.0.1/", "plain ASCII"),
    "an ideographic full stop": ("https://127。0。0。1/", "plain ASCII"),
    "half a percent": ("https://example.com/%2", "percent-encode"),
    "percent in the host": ("https://%31%32%37.0.0.1/", "letters, digits"),
    "hexadecimal, short": ("https://0x7f.1/", "four decimal numbers"),
    "hexadecimal": ("https://0x7f000001/", "four decimal numbers"),
    "hexadecimal in capitals": ("https://0X7F.0.0.0X1/", "four decimal numbers"),
    "hexadecimal, empty": ("https://127.0.0.0x/", "four decimal numbers"),
    "decimal": ("https://2130706433/", "four decimal numbers"),
    "zero": ("https://0/", "four decimal numbers"),
    "octal": ("https://0177.0.0.1/", "four decimal numbers"),
    "octal in one": ("https://017700000001/", "four decimal numbers"),
    "leading zeros": ("https://127.000.000.001/", "four decimal numbers"),
    "two parts": ("https://127.1/", "four decimal numbers"),
    "three parts": ("https://127.0.1/", "four decimal numbers"),
    "five parts": ("https://1.127.0.0.1/", "four decimal numbers"),
    "beyond 255": ("https://127.0.0.256/", "four decimal numbers"),
    "a dot behind an address": ("https://127.0.0.1./", "no dot at the end"),
    "a dot behind a name": ("https://example.com./", "no dot at the end"),
    "two dots": ("https://example..com/", "single dots"),
    "a dot before": ("https://.example.com/", "single dots"),
    "a hyphen before": ("https://-example.com/", "letters, digits"),
    "a long label": (f"https://{'a' * 64}.com/", "letters, digits"),
    "a long name": (f"https://{'a.' * 126}com/", "letters, digits"),
    "an exclamation mark": ("https://example!.com/", "letters, digits"),
    "a comma": ("https://example.com,127.0.0.1/", "letters, digits"),
    "v6 without brackets": ("https://::1/", "must have a host"),
    "v6 zone": ("https://[fe80::1%25eth0]/", "without a zone"),
    "v6 zone, not encoded": ("https://[fe80::1%eth0]/", "percent-encode"),
    "v6 zone of a public address": ("https://[2606:4700::1%251]/", "without a zone"),
    "v4 in brackets": ("https://[127.0.0.1]/", "between its brackets"),
    "a name in brackets": ("https://[example.com]/", "between its brackets"),
    "a version in brackets": ("https://[v1.fe80::a+en1]/", "between its brackets"),
    "nothing in brackets": ("https://[]/", "between its brackets"),
    "v6 with octal inside": ("https://[::ffff:0177.0.0.1]/", "between its brackets"),
    "a bracket open": ("https://[::1/", "must have a host"),
    "text behind the bracket": ("https://[2606:4700::1]x/", "must have a host"),
    "port 0": ("https://example.com:0/", "1 to 65535"),
    "port beyond": ("https://example.com:65536/", "1 to 65535"),
    "port with zeros": ("https://example.com:0443/", "1 to 65535"),
    "an empty port": ("https://example.com:/", "1 to 65535"),
    "a port of letters": ("https://example.com:https/", "1 to 65535"),
    "two ports": ("https://example.com:443:80/", "1 to 65535"),
    "localhost": ("https://localhost/", "loopback"),
    "below localhost": ("https://Hooks.LocalHost/", "loopback"),
    "too long": (f"https://example.com/{'a' * 2048}", "2,048"),
    "much too long": ("https://" + "a." * 1_000_000, "2,048"),
}


@pytest.mark.parametrize(("url", "message"), BAD_URLS.values(), ids=list(BAD_URLS))
def test_a_url_that_may_not_be_called_is_rejected_with_a_sentence(url: str, message: str) -> None:
    with pytest.raises(TargetRefused) as refused:
        Guard().target(url)

    said = str(refused.value)
    assert message in said
    assert said.startswith("must ")
    assert "\n" not in said
    assert "password@" not in said


GOOD_URLS = {
    "a name": ("https://example.com/hook", "example.com", 443, "example.com", "/hook"),
    "no path": ("https://example.com", "example.com", 443, "example.com", "/"),
    "a query alone": ("https://example.com?a=b", "example.com", 443, "example.com", "/?a=b"),
    "a query with odd signs": (
        "https://example.com/h?a[]=/?@:%20",
        "example.com",
        443,
        "example.com",
        "/h?a[]=/?@:%20",
    ),
    "capitals": ("HTTPS://Example.COM/Hook", "example.com", 443, "example.com", "/Hook"),
    "a port": ("https://example.com:8443/", "example.com", 8443, "example.com:8443", "/"),
    "the default port": ("https://example.com:443/", "example.com", 443, "example.com", "/"),
    "port 80": ("https://example.com:80/", "example.com", 80, "example.com:80", "/"),
    "@ in the path": ("https://example.com/@me", "example.com", 443, "example.com", "/@me"),
    "two slashes": ("https://example.com//a", "example.com", 443, "example.com", "//a"),
    "punycode": ("https://xn--exmple-cua.com/", "xn--exmple-cua.com", 443, "xn--exmple-cua.com", "/"),
    "an underscore": ("https://my_app.example.com/", "my_app.example.com", 443, "my_app.example.com", "/"),
    "one label": ("https://receiver/", "receiver", 443, "receiver", "/"),
    "numbers before the last label": ("https://0x7f.1.example/", "0x7f.1.example", 443, "0x7f.1.example", "/"),
    "v4": ("https://8.8.8.8/", "8.8.8.8", 443, "8.8.8.8", "/"),
    "v6": ("https://[2606:4700:0::1]:8443/", "2606:4700::1", 8443, "[2606:4700::1]:8443", "/"),
}


@pytest.mark.parametrize(("url", "host", "port", "authority", "path"), GOOD_URLS.values(), ids=list(GOOD_URLS))
def test_a_url_is_taken_apart(url: str, host: str, port: int, authority: str, path: str) -> None:
    target = Guard().target(url)

    assert (target.secure, target.host, target.port, target.authority, target.path) == (
        True,
        host,
        port,
        authority,
        path,
    )


def test_http_needs_the_setting() -> None:
    target = Guard(allow_http=True).target("http://example.com/")

    assert target == Target(secure=False, host="example.com", port=80, authority="example.com", path="/", address=None)
    with pytest.raises(TargetRefused, match="must begin with https:// or http://"):
        Guard(allow_http=True).target("ftp://example.com/")


def test_localhost_needs_a_loopback_network() -> None:
    assert Guard(allow_networks=networks(["127.0.0.0/8"])).target("https://localhost:8443/").host == "localhost"


@settings(max_examples=examples(300))
@given(st.one_of(st.text(max_size=60), st.text("htps:/[]@.%0x1278f?#\\", max_size=40).map("https://".__add__)))
def test_hostile_text_is_a_target_or_rejected(url: str) -> None:
    try:
        target = Guard().target(url)
    except TargetRefused:
        return
    assert target.host
    assert target.path.startswith("/")
    assert target.address is None or special(target.address) is None


def test_the_system_resolves_names() -> None:
    found = asyncio.run(_resolved(SystemResolver(), "localhost"))

    assert set(found) <= {"127.0.0.1", "::1"}
    assert found


def test_a_name_that_does_not_exist_is_unresolved() -> None:
    with pytest.raises(Unresolved):
        _addresses(Guard(), "https://no-such-host.invalid/")


async def _resolved(resolver: SystemResolver, host: str) -> Sequence[str]:
    return await resolver(host, 443)


def test_lookups_that_hang_are_bounded_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    hang, asked = threading.Event(), []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host == "slow.test":
            hang.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))]

    async def story() -> None:
        resolver = SystemResolver(max_lookups=2)
        slow = [asyncio.create_task(_resolved(resolver, "slow.test")) for _ in range(2)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_resolved(resolver, "third.test"), 0.2)
        await asyncio.to_thread(until, lambda: asked == ["slow.test", "slow.test"])
        for task in slow:  # nobody waits for them, but they still take up places
            task.cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_resolved(resolver, "third.test"), 0.2)
        hang.set()
        assert await asyncio.wait_for(_resolved(resolver, "third.test"), 60) == ["8.8.8.8"]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    asyncio.run(story())


def test_a_lookup_that_outlives_its_loop_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    hang = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hang.wait(20) and [])

    async def story() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_resolved(SystemResolver(), "slow.test"), 0.1)

    asyncio.run(story())
    (lookup,) = [thread for thread in threading.enumerate() if thread.name == "webhook-lookup"]
    hang.set()
    lookup.join(60)

    assert not lookup.is_alive()
