"""Trust policies: the example of C2SP, how they judge notes, and texts that are not policies."""

from itertools import chain, combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger import notes, policy
from app.ledger.checkpoint import Checkpoint, parse, sign
from app.ledger.cosignature import cosign, key_of
from app.ledger.policy import MalformedPolicyError, Policy, is_met, judge
from app.ledger.signer import Signer
from app.ledger.vkeys import ML_DSA_44, VerifierKey, of_kid
from tests.kit.examples import examples

ORIGIN = "log.example/_node"
LOG, NEXT_LOG = Signer(b"\x10" * 32), Signer(b"\x11" * 32)
SIGNERS = {name: Signer(bytes([number]) * 32) for number, name in enumerate(["X1", "X2", "X3", "Y1", "Y2", "Y3"], 1)}
KEYS = {name: key_of(f"witness.example/{name}", signer).spelled() for name, signer in SIGNERS.items()}
LOG_KEY, NEXT_KEY = of_kid(ORIGIN, LOG.kid).spelled(), of_kid(ORIGIN, NEXT_LOG.kid).spelled()
EXAMPLE = f"""\
log {LOG_KEY}

witness X1 {KEYS["X1"]}
witness X2 {KEYS["X2"]}
witness X3 {KEYS["X3"]}
group X-witnesses 2 X1 X2 X3

witness Y1 {KEYS["Y1"]}
witness Y2 {KEYS["Y2"]}
witness Y3 {KEYS["Y3"]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
NOTE = sign(Checkpoint(ORIGIN, 7, bytes(32)), LOG)
AT = 1_679_315_147


def read(text: str) -> Policy:
    return policy.parse(text.encode())


def cosigned(*names: str, note: str = NOTE) -> str:
    text = parse(note).text
    return note + "".join(cosign(text, f"witness.example/{name}", SIGNERS[name], AT) for name in names)


def test_the_example_is_read() -> None:
    found = read(EXAMPLE)

    assert [log.key.spelled() for log in found.logs] == [LOG_KEY]
    assert {witness.name: witness.key.spelled() for witness in found.witnesses} == KEYS
    assert {name: (group.threshold, len(group.members)) for name, group in found.groups.items()} == {
        "X-witnesses": (2, 3),
        "Y-witnesses": (1, 3),
        "X-and-Y": (2, 2),
    }
    assert found.quorum == "X-and-Y"


def test_the_quorum_of_the_example_is_two_and_one() -> None:
    found = read(EXAMPLE)
    subsets = chain.from_iterable(combinations(SIGNERS, count) for count in range(7))

    for names in subsets:
        expected = sum(name[0] == "X" for name in names) >= 2 and any(name[0] == "Y" for name in names)
        assert is_met(found, names) == expected, names


def test_a_note_is_judged_by_its_signatures() -> None:
    found = read(EXAMPLE)

    accepted = judge(found, parse(cosigned("X1", "X3", "Y2")))
    refused = judge(found, parse(cosigned("X1", "Y2", "Y3")))

    assert accepted.is_accepted
    assert [(each.witness.name, each.at) for each in accepted.cosigned] == [("X1", AT), ("X3", AT), ("Y2", AT)]
    assert (refused.is_log_known, refused.is_quorum_met, refused.is_accepted) == (True, False, False)


def test_signatures_that_the_policy_does_not_know_are_ignored() -> None:
    found = read(EXAMPLE)
    stranger = cosign(parse(NOTE).text, "witness.example/Z", Signer(bytes(32)), AT)
    unknown_kind = notes.signature_line("witness.example/X2", b"\0\0\0\0" + bytes(2428))

    judged = judge(found, parse(cosigned("X1", "X3", "Y2") + stranger + unknown_kind))

    assert judged.is_accepted
    assert len(judged.cosigned) == 3


def test_one_false_signature_of_a_known_key_spoils_the_note() -> None:
    found = read(EXAMPLE)
    false = notes.signature_line("witness.example/Y3", key_of("witness.example/Y3", SIGNERS["Y3"]).id + bytes(72))
    false_log = notes.signature_line(ORIGIN, of_kid(ORIGIN, LOG.kid).id + bytes(64))

    of_witness = judge(found, parse(cosigned("X1", "X3", "Y2") + false))
    of_log = judge(found, parse(cosigned("X1", "X3", "Y2") + false_log))

    assert (of_witness.is_quorum_met, of_witness.false_keys) == (True, ["witness.example/Y3"])
    assert not of_witness.is_accepted
    assert (of_log.is_quorum_met, of_log.false_keys) == (True, [ORIGIN])
    assert not of_log.is_accepted


def test_any_key_of_a_log_suffices() -> None:
    both = read(f"log {LOG_KEY}\nlog {NEXT_KEY} https://log.example/\nquorum none\n")
    checkpoint = parse(NOTE).checkpoint

    for signer in (LOG, NEXT_LOG):
        assert judge(both, parse(sign(checkpoint, signer))).is_accepted
    assert not judge(both, parse(sign(checkpoint, Signer(bytes(32))))).is_accepted
    assert not judge(both, parse(sign(Checkpoint("log.example/other", 7, bytes(32)), LOG))).is_accepted
    assert both.logs[1].url == "https://log.example/"


def test_a_policy_may_have_no_log_and_no_witness() -> None:
    judged = judge(read("quorum none\n"), parse(NOTE))

    assert (judged.is_log_known, judged.is_quorum_met) == (False, True)


def test_a_witness_alone_may_be_the_quorum() -> None:
    found = read(f"log {LOG_KEY}\nwitness X1 {KEYS['X1']} https://x1.example/\nquorum X1\n")

    assert judge(found, parse(cosigned("X1"))).is_accepted
    assert not judge(found, parse(cosigned("X2"))).is_accepted
    assert found.witnesses[0].url == "https://x1.example/"


def test_a_witness_of_another_kind_of_key_never_counts() -> None:
    key = VerifierKey("witness.example/P", ML_DSA_44, bytes(1312))
    found = read(f"log {LOG_KEY}\nwitness P {key.spelled()}\nwitness X1 {KEYS['X1']}\ngroup G any P X1\nquorum G\n")

    line = notes.signature_line(key.name, key.id + bytes(2428))

    assert not judge(found, parse(NOTE + line)).is_accepted
    assert judge(found, parse(cosigned("X1") + line)).is_accepted


def test_white_space_comments_and_strange_names_are_read() -> None:
    text = (
        f"\t \n# a comment \xff\n  # another\n\twitness\t\xe2\x84\xaa  {KEYS['X1']}\t\n"
        f"witness K {KEYS['X2']}\ngroup \xff\xfe 02 K\n"
    )

    with pytest.raises(MalformedPolicyError, match="Line 6"):
        policy.parse(text.encode("latin-1"))
    found = policy.parse((text.replace("02", "1") + "quorum \xff\xfe").encode("latin-1") + b" \n")

    assert [witness.name for witness in found.witnesses] == ["\N{KELVIN SIGN}", "K"]
    assert is_met(found, ["K"])
    assert not is_met(found, ["\N{KELVIN SIGN}"])


def test_thirty_two_of_each_are_read() -> None:
    lines = [f"log {of_kid(ORIGIN, Signer(bytes([number]) * 32).kid).spelled()}\n" for number in range(100, 132)]
    for number in range(32):
        key = key_of("a", Signer(bytes([number, 1]) * 16)).spelled()
        above = f" G{number - 1}" if number else ""
        lines.append(f"witness W{number} {key}\ngroup G{number} all W{number}{above}\n")

    found = read("".join(lines) + "quorum G31\n")

    assert is_met(found, [f"W{number}" for number in range(32)])
    assert not is_met(found, [f"W{number}" for number in range(1, 32)])


X1, X2 = f"witness X1 {KEYS['X1']}\n", f"witness X2 {KEYS['X2']}\n"
MALFORMED = {
    "nothing": ("", "no quorum line"),
    "no quorum": (X1, "no quorum line"),
    "no line feed at the end": ("quorum none", "may be cut off"),
    "carriage returns": ("quorum none\r\n", "Line 1 of the policy: it has a control character"),
    "U+0000": ("# \x00\nquorum none\n", "Line 1"),
    "an unknown line": ("quorum none\nwitnesses a\n", "Line 2 of the policy: it begins with none of"),
    "words in upper case": ("Quorum none\n", "Line 1"),
    "two quorums": ("quorum none\nquorum none\n", "Line 2 of the policy: a policy has one quorum line only"),
    "a quorum of two names": ("quorum a b\n", "a quorum line is"),
    "a quorum of nothing": ("quorum\n", "a quorum line is"),
    "a quorum that is not defined": ("quorum X1\n", "called X1"),
    "a quorum that is defined later": (f"quorum X1\n{X1}", "Line 1 of the policy: no witness or group before it"),
    "a witness called none": (X1.replace("X1", "none", 1) + "quorum none\n", "the name none is used already"),
    "two witnesses of one name": (X1 + X2.replace("X2", "X1", 1), "Line 2 of the policy: the name X1"),
    "a group of a witness's name": (f"{X1}group X1 all X1\n", "the name X1"),
    "a group called none": (f"{X1}group none all X1\n", "the name none"),
    "two witnesses of one key": (X1 + X1.replace("X1", "X9", 1), "Line 2 of the policy: another witness line"),
    "one key under two names": (
        f"{X1}witness X9 {key_of('b', SIGNERS['X1']).spelled()}\n",
        "another witness line has the same key",
    ),
    "two logs of one key": (f"log {LOG_KEY}\nlog {of_kid('b', LOG.kid).spelled()}\n", "another log line has the same"),
    "a witness with a log's key": (f"witness a {LOG_KEY}\n", "must be 0x04"),
    "a log with a witness's key": (f"log {KEYS['X1']}\n", "must be 0x01"),
    "a malformed key": ("log a+b+c\n", "Line 1 of the policy: A verifier key is"),
    "a log without a key": ("log\n", "a log line is"),
    "a log with a word too many": (f"log {LOG_KEY} url more\n", "a log line is"),
    "a witness without a key": ("witness a\n", "a witness line is"),
    "a comment behind a line": (f"witness a {KEYS['X1']} url # more\n", "a witness line is"),
    "a group of nobody": ("group g all\n", "a group line is"),
    "a group of somebody unknown": ("group g all X1\n", "called X1"),
    "a group of none": ("group g any none\n", "called none"),
    "a group of itself": (f"{X1}group g all X1 g\n", "called g"),
    "a threshold of 0": (f"{X1}group g 0 X1\n", "the number of a group"),
    "a threshold above its members": (f"{X1}group g 2 X1\n", r"\(1\)"),
    "a leading zero": (f"{X1}group g 01 X1\n", "the number of a group"),
    "another script's digit": (f"{X1}group g \u0661 X1\n", "the number of a group"),
    "a number without end": (f"{X1}group g {'9' * 10_000} X1\n", "the number of a group"),
    "a member twice": (f"{X1}group g all X1 X1\n", "X1 is a member of a group already"),
    "a member of two groups": (f"{X1}group g all X1\ngroup h all X1\n", "Line 3 of the policy: X1 is a member"),
    "1 MiB and more": ("#" * 2**20 + "\nquorum none\n", "at most 1048576 bytes"),
}


@pytest.mark.parametrize(("text", "message"), MALFORMED.values(), ids=list(MALFORMED))
def test_a_malformed_policy_is_rejected_with_its_line(text: str, message: str) -> None:
    with pytest.raises(MalformedPolicyError, match=message) as refused:
        read(text)

    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


words = st.sampled_from(
    ["log", "witness", "group", "quorum", "none", "all", "any", "1", "X1", "g", LOG_KEY, KEYS["X1"], "\n", "#", "\xff"]
)


@settings(max_examples=examples(200), deadline=None)
@given(st.one_of(st.binary(), st.lists(words).map(lambda parts: " ".join(parts).encode("latin-1") + b"\n")))
def test_hostile_policies_raise_only_our_error(text: bytes) -> None:
    try:
        found = policy.parse(text)
    except MalformedPolicyError:
        return
    judge(found, parse(NOTE))
