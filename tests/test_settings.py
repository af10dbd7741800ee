"""The variables of the environment, and the messages for wrong ones."""

from pathlib import Path

import msgspec
import pytest

from app.settings import PREFIX, Settings, SettingsError

DEFAULTS: dict[str, object] = {
    "host": "127.0.0.1",
    "port": 8000,
    "ledger_port": 7777,
    "data_dir": Path("data"),
    "node_key_file": None,
    "secret_file": None,
    "origin": None,
    "database_url": None,
    "database_connections": 10,
    "workers": 1,
    "cors_origins": (),
    "public_logs": (),
    "witness_policy": None,
    "witness_fail": "open",
    "witness_grace_days": 30,
    "cors_headers": (),
    "transformer": "none",
    "sse_ping_seconds": 15,
    "sse_reconnect_seconds": 45,
    "max_event_bytes": 1_048_576,
    "max_body_bytes": 8_388_608,
    "max_batch_calls": 100,
    "rate_publish": 1000,
    "rate_query": 300,
    "max_streams": 500,
    "search_seconds": 60,
    "rate_read": 0,
    "rate_write": 0,
    "max_subscriptions": 10,
    "webhook_allow_http": False,
    "webhook_allow_networks": (),
    "webhook_schedule": (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400),
    "webhook_timeout_seconds": 15,
    "console": True,
    "log_calls": False,
    "extensions": (),
}

GOOD: list[tuple[str, str, object]] = [
    ("HOST", "0.0.0.0", "0.0.0.0"),
    ("HOST", "::1", "::1"),
    ("PORT", "1", 1),
    ("PORT", " 65535 ", 65535),
    ("LEDGER_PORT", "0", 0),
    ("LEDGER_PORT", "7778", 7778),
    ("ORIGIN", "events.example.org/a", "events.example.org/a"),
    ("DATA_DIR", "/var/lib/synap", Path("/var/lib/synap")),
    ("DATA_DIR", "a b", Path("a b")),
    ("NODE_KEY_FILE", "keys/node.key", Path("keys/node.key")),
    ("SECRET_FILE", "/run/secrets/install", Path("/run/secrets/install")),
    ("DATABASE_URL", "postgresql://u:p@db.example:5433/synap?sslmode=require", ...),
    ("DATABASE_URL", "postgres://db.example/synap", ...),
    ("DATABASE_URL", "postgresql:///synap?host=/run/postgresql", ...),
    ("DATABASE_URL", "postgresql://one.example,two.example/synap?target_session_attrs=read-write", ...),
    ("DATABASE_URL", "postgresql://[::1]:5432/synap", ...),
    ("DATABASE_CONNECTIONS", "4", 4),
    ("DATABASE_CONNECTIONS", "1000", 1000),
    ("WORKERS", "2", 2),
    ("CORS_ORIGINS", "https://app.example", ("https://app.example",)),
    ("CORS_ORIGINS", " https://a.example , ,https://b.example,", ("https://a.example", "https://b.example")),
    ("CORS_HEADERS", "x-b3-traceid, B3", ("x-b3-traceid", "B3")),
    ("CORS_HEADERS", "*", ("*",)),
    ("PUBLIC_LOGS", "default, _node", ("default", "_node")),
    ("WITNESS_FAIL", "closed", "closed"),
    ("WITNESS_GRACE_DAYS", "0", 0),
    ("WITNESS_GRACE_DAYS", "7.5", 7.5),
    ("WITNESS_POLICY", "/etc/synap/witnesses.txt", Path("/etc/synap/witnesses.txt")),
    ("TRANSFORMER", "superjson", "superjson"),
    ("TRANSFORMER", "none", "none"),
    ("SSE_PING_SECONDS", "0.5", 0.5),
    ("SSE_PING_SECONDS", "44", 44),
    ("SSE_RECONNECT_SECONDS", "15.5", 15.5),
    ("SSE_RECONNECT_SECONDS", "3600", 3600),
    ("MAX_EVENT_BYTES", "1", 1),
    ("MAX_BODY_BYTES", "1000000000", 1_000_000_000),
    ("MAX_BATCH_CALLS", "1", 1),
    ("RATE_PUBLISH", "0", 0),
    ("RATE_PUBLISH", "1000000000", 1_000_000_000),
    ("RATE_QUERY", "1", 1),
    ("MAX_STREAMS", "0", 0),
    ("SEARCH_SECONDS", "0", 0),
    ("SEARCH_SECONDS", "0.5", 0.5),
    ("RATE_READ", "1", 1),
    ("RATE_WRITE", "1", 1),
    ("MAX_SUBSCRIPTIONS", "0", 0),
    ("WEBHOOK_ALLOW_HTTP", "true", True),
    ("WEBHOOK_ALLOW_NETWORKS", "10.1.0.0/16, ::1/128", ("10.1.0.0/16", "::1/128")),
    ("WEBHOOK_SCHEDULE", "0, 0.5,2", (0.0, 0.5, 2.0)),
    ("WEBHOOK_TIMEOUT_SECONDS", "0.5", 0.5),
    ("CONSOLE", "false", False),
    ("LOG_CALLS", "true", True),
    ("LOG_CALLS", "TRUE", True),
    ("LOG_CALLS", "1", True),
    ("LOG_CALLS", "false", False),
    ("LOG_CALLS", "0", False),
    ("EXTENSIONS", "review, my.kinds", ("review", "my.kinds")),
]

BAD: list[tuple[str, str]] = [
    *[("MAX_STREAMS", value) for value in ("-1", "many", "1.5")],
    *[("MAX_SUBSCRIPTIONS", value) for value in ("-1", "many", "1.5")],
    *[("WEBHOOK_ALLOW_NETWORKS", value) for value in ("localhost", "10.0.0.1/8", "fe80::1%eth0")],
    *[("WEBHOOK_SCHEDULE", value) for value in (",", "0,now", "0,-1", "0,inf", "nan", "31536001")],
    *[("WEBHOOK_TIMEOUT_SECONDS", value) for value in ("0", "-1", "301", "nan", "soon")],
    *[("PORT", value) for value in ("http", "0", "65536", "-1", "80.5", "0x50", "1 2")],
    *[("LEDGER_PORT", value) for value in ("8000", "65536", "-1", "none")],
    *[("ORIGIN", value) for value in ("a b", "a+b", "é", "x" * 201)],
    *[("CORS_HEADERS", value) for value in ("x mine", "x:mine", "é", "a\tb", "x-mine, (y)")],
    *[("DATABASE_CONNECTIONS", value) for value in ("3", "1001", "many", "5.5")],
    *[("WORKERS", value) for value in ("0", "-1", "two", "1.5")],
    *[("MAX_EVENT_BYTES", value) for value in ("0", "-5", "1MiB", "1.5")],
    *[("MAX_BODY_BYTES", value) for value in ("0", "8M", "none")],
    *[("MAX_BATCH_CALLS", value) for value in ("0", "10001", "many")],
    *[("RATE_PUBLISH", value) for value in ("-1", "1000000001", "1k", "0.5", "none")],
    *[("RATE_QUERY", value) for value in ("-300", "10000000000000000000000", "off")],
    *[("SEARCH_SECONDS", value) for value in ("-1", "nan", "inf", "1 min")],
    *[("SSE_PING_SECONDS", value) for value in ("0", "-1", "often", "nan", "inf")],
    *[("SSE_RECONNECT_SECONDS", value) for value in ("15", "0", "never", "nan", "inf")],
    *[("LOG_CALLS", value) for value in ("maybe", "2", "on!", "ja")],
    *[("TRANSFORMER", value) for value in ("yaml", "SuperJSON", "superjson,none")],
    *[
        ("DATABASE_URL", value)
        for value in (
            "mysql://u:s3cr3t@db.example/synap",
            "db.example",
            "host=db.example password=s3cr3t",
            "postgresql+psycopg://u:s3cr3t@db.example/synap",
            "http://db.example",
            "postgresql://u:s3cr3t@[::1/synap",
            "postgresql://u:s3cr3t@[nonsense]/synap",
        )
    ],
]


def test_the_tables_have_every_setting() -> None:
    assert set(DEFAULTS) == set(Settings.__struct_fields__)
    assert {name.lower() for name, *_ in GOOD} == set(DEFAULTS)


def test_an_empty_environment_gives_the_defaults() -> None:
    assert msgspec.structs.asdict(Settings.from_environment({})) == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("text", ["", "  ", "\n"], ids=["empty", "blanks", "a newline"])
def test_an_empty_variable_is_unset(name: str, text: str) -> None:
    settings = Settings.from_environment({f"{PREFIX}{name.upper()}": text})

    assert getattr(settings, name) == DEFAULTS[name]


@pytest.mark.parametrize(("name", "text", "value"), GOOD, ids=[f"{name} {text}" for name, text, _ in GOOD])
def test_a_variable_sets_only_its_setting(name: str, text: str, value: object) -> None:
    settings = Settings.from_environment({f"{PREFIX}{name}": text, "HOME": "/nowhere", "PORT": "9", "SYNAPORT": "9"})

    expected = DEFAULTS | {name.lower(): text if value is ... else value}
    assert msgspec.structs.asdict(settings) == expected


@pytest.mark.parametrize(("name", "text"), BAD, ids=str)
def test_a_bad_value_is_one_sentence_that_names_the_variable(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({f"{PREFIX}{name}": text})

    sentence = str(refused.value)
    assert sentence.startswith(f"SYNAP_{name} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "mysql://u:s3cr3t@db.example/synap"),
        ("DATABASE_URL", "host=db.example password=s3cr3t"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@[::1/synap"),
        ("TRANSFORMER", "s3cr3t"),
        ("PORT", "s3cr3t"),
        ("WORKERS", "s3cr3t"),
        ("LOG_CALLS", "s3cr3t"),
    ],
)
def test_a_bad_value_is_not_repeated(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({f"{PREFIX}{name}": text})

    assert "s3cr3t" not in str(refused.value)


def test_keys_and_secrets_are_in_the_data_directory_unless_set() -> None:
    settings = Settings.from_environment({"SYNAP_DATA_DIR": "/d"})
    moved = Settings.from_environment(
        {"SYNAP_DATA_DIR": "/d", "SYNAP_NODE_KEY_FILE": "/k/key", "SYNAP_SECRET_FILE": "s/secret"}
    )

    assert (settings.node_key_path, settings.secret_path) == (Path("/d/node.key"), Path("/d/install.secret"))
    assert (moved.node_key_path, moved.secret_path) == (Path("/k/key"), Path("s/secret"))
    assert settings.control_token_path == moved.control_token_path == Path("/d/control.token")
