"""`deploy/compose.yaml`: by the schema of Compose and by what it mounts. `make soak` starts what it starts."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml

from app.settings import Settings
from tests.kit import web
from tests.kit.command import synap
from tests.kit.examples import ALL
from tests.kit.packages import deploy_tools, run
from tests.kit.paths import ROOT
from tests.kit.servers import environment, serving
from tests.store.states import postgres_15, programs_15

DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
SETTINGS = {f"SYNAP_{field.name.upper()}" for field in msgspec.structs.fields(Settings)}
PASSWORD = "secret0"
VARIABLE = re.compile(r"\$\{(\w+):[?-]([^}]*)\}")
SERVICES = yaml.safe_load(VARIABLE.sub(lambda found: PASSWORD if "PASSWORD" in found[1] else found[2], TEXT))[
    "services"
]


def of_image() -> dict[str, dict[str, Any]]:
    """The services that run our image."""
    return {name: service for name, service in SERVICES.items() if service["image"] == "synap-events"}


def test_compose_accepts_the_file() -> None:
    run(ROOT, deploy_tools() / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_every_file_that_is_mounted_exists() -> None:
    mounted = re.findall(r"(\./[\w./-]+):", TEXT)

    assert len(mounted) > 6
    assert [path for path in mounted if not (DEPLOY / path).is_file()] == []


def test_every_variable_has_its_place() -> None:
    example = set(re.findall(r"^(\w+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE))

    assert {name for name, _ in VARIABLE.findall(TEXT)} == example
    assert {name for service in of_image().values() for name in service["environment"]} <= SETTINGS
    assert [line for line in TEXT.splitlines() if "PASSWORD" in line and ":?" not in line] == []


@pytest.mark.parametrize("name", of_image())
def test_a_service_of_ours_has_no_right_that_it_does_not_need(name: str) -> None:
    service = of_image()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [volume for volume in service.get("volumes", ()) if "keys" in volume and not volume.endswith(":ro")] == (
        ["keys:/etc/synap"] if name == "init" else []
    )


def test_only_the_proxy_is_reachable_from_other_machines() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert ports.pop("caddy") == ["80:80", "443:443", "443:443/udp"]
    assert [port for published in ports.values() for port in published if not port.startswith("127.0.0.1:")] == []
    assert SERVICES["postgres"]["networks"] == ["database"]


@pytest.mark.skipif(not ALL, reason="only in make soak")
def test_what_compose_starts_serves(tmp_path: Path) -> None:
    """The services with their commands and settings, in their order, without Docker."""
    with database() as url, ExitStack() as stack:
        settings = {name: here(service["environment"], url, tmp_path) for name, service in of_image().items()}
        command(settings["migrate"], tmp_path, *SERVICES["migrate"]["command"])
        for _ in range(2):  # as with each `docker compose up`
            command(settings["init"], tmp_path, *SERVICES["init"]["command"])
        token = command(settings["init"], tmp_path, "keys", "create", "--user", "prometheus", "--scope", "audit:read")
        urls = [
            stack.enter_context(serving(data_dir_of(name, tmp_path), (), **settings[name])).url
            for name in ("synap-1", "synap-2")
        ]

        reader = {"authorization": f"Bearer {token}", "host": "synap-1:8000"}
        assert [web.get(f"{each}/metrics", headers=reader).status_code for each in urls] == [200, 200]
        assert web.get(f"{urls[0]}/metrics", headers={"host": "synap-1:8000"}).status_code == 401


def command(settings: dict[str, str], folder: Path, *arguments: str) -> str:
    """Run the command of a service. Returns what it prints."""
    ran = synap(*arguments, env=environment(folder / "keys", **settings), cwd=folder)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def data_dir_of(name: str, folder: Path) -> Path:
    """The data directory of a server, with the token that `serving` reads."""
    made = folder / name
    made.mkdir()
    (made / "control.token").write_bytes((folder / "keys" / "control.token").read_bytes())
    return made


@contextmanager
def database() -> Iterator[str]:
    """A PostgreSQL with the roles of `roles.sh`. Yields the URL of the role that serves."""
    programs = programs_15()
    assert programs is not None
    with postgres_15(programs) as url:
        folder = urlsplit(url).query.removeprefix("host=")
        passwords = {"SYNAP_OWNER_PASSWORD": PASSWORD, "SYNAP_PASSWORD": PASSWORD}
        subprocess.run([DEPLOY / "postgresql" / "roles.sh"], env=passwords | {"PGHOST": folder}, check=True)
        yield f"postgresql://synap:{PASSWORD}@/synap?host={folder}"


def here(given: dict[str, str], url: str, folder: Path) -> dict[str, str]:
    """The settings of a service, with this machine's database and folders."""
    settings = {
        name.removeprefix("SYNAP_").lower(): str(value) for name, value in given.items() if name != "SYNAP_DATA_DIR"
    }
    user = urlsplit(settings["database_url"]).username
    places = {name: value.replace("/etc/synap", f"{folder}/keys") for name, value in settings.items()}
    return places | {"database_url": url.replace("synap:", f"{user}:", 1)}
