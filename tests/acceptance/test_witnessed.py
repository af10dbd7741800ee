"""A real server has its log `_node` cosigned by a real witness, and readers get the cosignature over every door."""

import json
from pathlib import Path

from app.ledger import checkpoint, policy
from app.ledger.chain import NODE_LOG
from app.ledger.policy import judge
from app.store.install.install import connect
from app.store.postgres.roles import OWNER, SERVER, grant_serving, make_server_role
from tests.kit import web
from tests.kit.command import synap
from tests.kit.servers import Server, cloned, environment, serving, until
from tests.kit.witness import make_witness, witnessing
from tests.procedures.conftest import answered
from tests.store.opened import opened


def test_a_server_is_cosigned_by_a_witness_of_another_install(postgres_url: str, template: str, tmp_path: Path) -> None:
    with (
        cloned(postgres_url, template, "test_witnessed") as url,
        cloned(postgres_url, template, "test_its_witness") as its,
    ):
        data_dir = tmp_path / "data"
        data_dir.mkdir()
        with opened(url, data_dir) as store:
            key = store.run(store.ledger().current(NODE_LOG)).vkey
        (tmp_path / "logs").write_text(f"log {key}\nquorum none\n")
        witness_key = make_witness(tmp_path / "witness", "witness.example/w", database_url=its)
        served_url, its_url = (for_the_role_that_serves(each) for each in (url, its))
        with witnessing(tmp_path / "witness", witness_key, tmp_path / "logs", database_url=its_url) as witness:
            text = f"log {key}\nwitness w {witness_key.spelled()} {witness.url}/\nquorum w\n"
            (tmp_path / "policy").write_text(text)
            with serving(
                data_dir, database_url=served_url, witness_policy=tmp_path / "policy", public_logs=NODE_LOG
            ) as server:
                event = answered(server.mutate("events.log", {"type": "note.created", "data": {}}))
                with connect(url) as connection:
                    connection.execute("UPDATE install SET headed_at = 'epoch'")  # the next turn is now

                def served() -> str:
                    return web.get(f"{server.url}/tiles/{NODE_LOG}/checkpoint", timeout=30).text

                def is_cosigned() -> bool:
                    return judge(policy.parse(text.encode()), checkpoint.parse(served())).is_accepted

                until(is_cosigned, seconds=120)
                (tmp_path / "event.tlog-proof").write_text(until(lambda: proof(server, event["id"]), seconds=120))
                verified = synap(
                    "verify", "event.tlog-proof", "--policy", "policy", env=environment(tmp_path), cwd=tmp_path
                )
                whole = environment(data_dir, database_url=url)
                exported = synap("export", "--workspace", NODE_LOG, "--to-seq", "0", env=whole, cwd=tmp_path)
                lines = web.get(f"{server.url}/metrics", timeout=30).text.splitlines()

        note = checkpoint.parse(json.loads(exported.stdout)["checkpoint"])
        assert judge(policy.parse(text.encode()), note).is_accepted
        [answers] = [float(line.split()[-1]) for line in lines if line.startswith("synap_witness_answers_total")]
        assert answers >= 1
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "which 1 witness cosigned: seq 0, node did:key:" in verified.stdout
    assert "by the witness w (witness.example/w)" in verified.stdout


def for_the_role_that_serves(url: str) -> str:
    """The URL of a database for a role with the rights of a server only, as the embedded database has it."""
    with connect(url) as owner:
        make_server_role(owner)
        grant_serving(owner, SERVER)
    return url.replace(f"{OWNER}:@", f"{SERVER}:@")


def proof(server: Server, event_id: str) -> str | None:
    """The proof of an event that travels; None until `_node` covers it."""
    wanted = server.headers | {"accept": "text/plain"}
    answer = web.get(f"{server.url}/ledger/v1/events/{event_id}/proof", headers=wanted, timeout=30)
    assert answer.status_code in {200, 404}, answer.text
    return answer.text if answer.status_code == 200 else None
