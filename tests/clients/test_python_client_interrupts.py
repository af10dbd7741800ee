"""A signal handler may interrupt the Python client at any moment. It may log events itself, and it may raise."""

from pathlib import Path

import pytest
from synap_client import Synap

from tests.clients.scripts import script, stored_numbers
from tests.kit.examples import ALL
from tests.kit.servers import Server

MOMENTS = """
import dis, functools, itertools, os, sys, threading, time
import httpx, synap_client

client = Synap(client.url, token, http=functools.partial(httpx.Client, verify=False))  # the fastest to make

NAMES = ("CALL", "CALL_FUNCTION_EX", "CALL_KW", "RESUME", "JUMP_BACKWARD")
FILES = (os.path.dirname(synap_client.__file__), threading.__file__)

def interrupted(moment, handler, work):
    '''Run `work`; at its moment number `moment` run `handler`. Answers whether there was such a moment.

    A moment is where CPython runs signal handlers: after a call, at the start of a function, at the end of a loop.
    '''
    left, last = moment, {}
    def trace(frame, event, _):
        nonlocal left
        if not frame.f_code.co_filename.startswith(FILES):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            if last.get(frame) in NAMES:
                left -= 1
                if left == 0:
                    handler()
            last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        return trace
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return left <= 0

def log(recorder, n):
    recorder.log("recorded.cut", {"n": n}, correlation_id=run)
"""

RAISED = """
class TooLong(Exception):
    pass

def raise_too_long():
    raise TooLong

def senders():
    return sum(each.name == "synap-recorder" and each.is_alive() for each in threading.enumerate())

def work(recorder, moment):
    log(recorder, -moment)
    assert recorder.flush(60)

def is_cut(recorder, moment):
    try:
        came = interrupted(moment, raise_too_long, lambda: work(recorder, moment))
    except TooLong:
        return True
    assert not came, f"nobody heard of the exception at moment {moment}"
    return False

for moment in itertools.count(1, step):
    with client.recorder(spool=spool, fsync="never", batch_seconds=0.0, max_bytes=1500) as recorder:
        was_cut = is_cut(recorder, moment)
        other = threading.Thread(target=log, args=(recorder, moment), daemon=True)
        other.start()
        other.join(60)
        assert not other.is_alive(), f"after moment {moment} another thread waits for ever"
        assert recorder.flush(60), f"after moment {moment} nothing is sent"
        deadline = time.monotonic() + 60
        while senders() > 1:
            assert time.monotonic() < deadline, f"after moment {moment} two threads send"
            time.sleep(0.01)
        assert recorder.pending == 0
        if spool is None:
            recorder.log("recorded.large", {"text": "x" * 1200})
    print(moment)
    if not was_cut:
        break
"""


@pytest.mark.parametrize("on_disk", [True, False])
def test_an_exception_at_any_moment_spoils_no_other_event(
    client: Synap,
    server: Server,
    spool: Path,
    run: str,
    on_disk: bool,  # noqa: FBT001
) -> None:
    ran = script(server, MOMENTS + RAISED, run=run, token=server.token, **_where(spool, on_disk=on_disk))

    assert ran.returncode == 0, ran.stderr
    moments = [int(n) for n in ran.stdout.split()]
    assert len(moments) > 50
    assert set(moments) <= set(stored_numbers(client, run))


LOGGED = """
def log_if_it_can(recorder, n):
    try:
        log(recorder, n)
    except SpoolError as error:
        assert "a signal handler logged the event while" in str(error)
    else:
        print(n)

for moment in itertools.count(1, step):
    with client.recorder(spool=spool, fsync="never", batch_seconds=0.0) as recorder:
        came = interrupted(moment, lambda: log_if_it_can(recorder, -moment), lambda: log(recorder, moment))
        print(moment)
        assert recorder.flush(60), f"after moment {moment} nothing is sent"
        assert recorder.pending == 0
    if not came:
        break
"""


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_signal_handler_may_log_at_any_moment_of_a_log(
    client: Synap,
    server: Server,
    spool: Path,
    run: str,
    on_disk: bool,  # noqa: FBT001
) -> None:
    ran = script(server, MOMENTS + LOGGED, run=run, token=server.token, **_where(spool, on_disk=on_disk))

    assert ran.returncode == 0, ran.stderr
    logged = [int(n) for n in ran.stdout.split()]
    # A handler that interrupts the writing of a line cannot write another one. At any other moment it can.
    assert len(logged) > 50
    assert sum(n < 0 for n in logged) > len(logged) / 3
    assert set(logged) == set(stored_numbers(client, run))


def _where(spool: Path, *, on_disk: bool) -> dict[str, object]:
    """The moments to interrupt. With a spool on disk there are more: a third by default, all in `make soak`."""
    return {"spool": str(spool) if on_disk else None, "step": 1 if ALL or not on_disk else 3}


INTERRUPTED = """
import signal, threading, time

class TooLong(Exception):
    pass

def senders():
    return sum(each.name == "synap-recorder" and each.is_alive() for each in threading.enumerate())

armed = False
def interrupt(*_):
    global armed
    if armed:
        armed = False
        raise TooLong
signal.signal(signal.SIGALRM, interrupt)

cut = 0
for _ in range(starts):
    with client.recorder() as recorder:
        try:
            armed = True
            signal.setitimer(signal.ITIMER_REAL, 0.0003)
            recorder.log("recorded.begun", {})
        except TooLong:
            cut += 1
        armed = False
        recorder.log("recorded.begun", {})
        assert recorder.flush(60)
        until = time.monotonic() + 60
        while senders() > 1:
            assert time.monotonic() < until
            time.sleep(0.01)

recorder = client.recorder(spool=spool, fsync="never", batch_seconds=0.05)
recorder.log("recorded.begun", {})
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.00037)
for n in range(logs):
    try:
        armed = n % 3 == 0
        recorder.log("recorded.cut", {"n": n, "text": "x" * (n % 100)}, correlation_id=run)
        armed = False
        print(n)
    except TooLong:
        cut += 1
signal.setitimer(signal.ITIMER_REAL, 0)
assert cut > 20
recorder.log("recorded.cut", {"n": logs}, correlation_id=run)
assert recorder.flush(60)
assert recorder.pending == 0
recorder.close()
"""


@pytest.mark.parametrize("on_disk", [True, False])
def test_an_exception_out_of_a_signal_handler_spoils_no_other_event(
    client: Synap,
    server: Server,
    spool: Path,
    run: str,
    on_disk: bool,  # noqa: FBT001
) -> None:
    """The signals come at random. `make soak` starts 60 recorders, and logs 4,000 events."""
    starts, logs = (60, 4000) if ALL else (20, 1500)

    ran = script(server, INTERRUPTED, spool=str(spool) if on_disk else None, run=run, starts=starts, logs=logs)

    assert ran.returncode == 0, ran.stderr
    stored = stored_numbers(client, run)
    assert {int(n) for n in ran.stdout.split()} | {logs} <= set(stored)
    assert stored == sorted(set(stored))
    assert not (spool / "damaged").exists()


SIGNALLED = """
import faulthandler, logging, signal
faulthandler.dump_traceback_later(120, exit=True)
recorder = client.recorder(spool=spool)
handler = SynapHandler(recorder, prefix=prefix)
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
signals = 0
def tell(*_):
    global signals
    signals += 1
    logger.info("a signal")
signal.signal(signal.SIGALRM, tell)
for n in range(400):
    # One signal for each line: signals that come faster than they are handled end in a RecursionError of `logging`.
    signal.setitimer(signal.ITIMER_REAL, 0.0002 * (1 + n % 20))
    logger.info("as ever")
signal.setitimer(signal.ITIMER_REAL, 0)
assert recorder.flush(60)
print(400 + signals, handler.dropped)
"""


def test_a_signal_handler_may_log_while_its_thread_does(client: Synap, server: Server, spool: Path, run: str) -> None:
    ran = script(server, SIGNALLED, spool=str(spool), prefix=run)

    assert ran.returncode == 0, ran.stderr
    logged, dropped = map(int, ran.stdout.split())
    assert logged > 400
    # Only a handler that interrupts the writing of a line cannot log its event. That is reported as dropped.
    dropped += sum(event.data["count"] for event in client.events(type=f"{run}.dropped"))
    assert dropped < logged - 400
    assert client.page(type=f"{run}.app").total == logged - dropped
