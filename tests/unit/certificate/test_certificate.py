from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from replicator.certificate import (
    Certificate,
    ChainRange,
    Digest,
    ForgedCertificateError,
    ReadObject,
    TableProof,
    Trouble,
    Verdict,
    believe,
    check,
    decode,
    encode,
    sign,
)
from replicator.config import Control
from replicator.errors import RefusedError
from replicator.points import Keys, new_key, public_pem
from replicator.segment.container import Segment
from replicator.storage import ErrorKind, StorageError
from replicator.storage.memory import MemoryStore
from tests.unit.verify.segments import CHAIN, put, segment

KEY = new_key()
SIGNING = Control(signing_key=SecretStr(KEY))
CHECKING = Keys(Control(public_keys=[public_pem(KEY)]))
SEGMENTS = (segment(0, 5), segment(5, 9), segment(9, 14))


def read(one: Segment, source: str = "primary", upto: int | None = None) -> ReadObject:
    taken = ((one.name.first, upto or one.name.next),)
    return ReadObject(one.name.key(), source, len(one.body), one.sha256, taken)


MADE = Certificate(
    "shop", "cluster", 1_763_790_000_000, 1_763_790_009_000, "the latest complete moment",
    {"commit": 7, "lsn": "0/28", "xid": 771, "time": "2026-11-22 12:00:00+00:00"},
    tuple(read(one) for one in SEGMENTS),
    (ChainRange(CHAIN.topic, CHAIN.topic_id, CHAIN.partition, 0, 14),),
    (TableProof("public.guests", 9, 12, 2),),
    {"transactions": 7, "unproven": []},
    {"replicator": "0.1.0", "postgresql": "17.2"},
    None,
    (Digest("public.guests", 9, "12:-5"),),
)  # fmt: skip


def stored(*segments: Segment) -> MemoryStore:
    store = MemoryStore()
    put(store, *segments)
    return store


def troubles(verdict: Verdict) -> list[tuple[Trouble, str]]:
    return [(kind, what) for kind, what, _ in verdict.found]


def test_a_certificate_comes_back_as_it_was_and_is_believed_by_the_public_half_alone() -> None:
    signed = decode(encode(sign(MADE, SIGNING)), "a.json")
    assert signed.certificate == MADE
    assert signed.key_id is not None
    assert signed.key_id in believe(signed, CHECKING, "a.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["certificate"].update(target="the LSN 0/29"),
        lambda said: said["certificate"]["cut"].update(commit=8),
        lambda said: said["certificate"]["objects"].pop(),
        lambda said: said["certificate"]["tables"][0].update(rows=10),
        lambda said: said["certificate"].pop("chains"),
        lambda said: said.update(signature="no base64!"),
        lambda said: said.pop("sha256"),
        lambda said: said["certificate"]["objects"][0].update(taken=[[1]]),
    ],
)
@pytest.mark.parametrize("control", [SIGNING, Control()])
def test_an_altered_certificate_is_refused_signed_or_not(
    change: Callable[[dict[str, Any]], object], control: Control
) -> None:
    said = json.loads(encode(sign(MADE, control)))
    change(said)
    with pytest.raises(ForgedCertificateError, match=r"a\.json"):
        decode(json.dumps(said), "a.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"certificate": 3}', "\x00"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ForgedCertificateError, match="no certificate"):
        decode(text, "a.json")


def test_a_certificate_whose_digest_was_made_to_fit_is_not_what_the_key_signed() -> None:
    signed = sign(MADE, SIGNING)
    forged = replace(signed, certificate=replace(MADE, target="the LSN 0/29"))
    with pytest.raises(ForgedCertificateError, match="altered"):
        believe(decode(encode(forged), "a.json"), CHECKING, "a.json")


def test_a_later_format_is_told_from_an_altered_one() -> None:
    said = json.loads(encode(sign(MADE, SIGNING)))
    said["certificate"] = {"format": 2, "whatever": True}
    with pytest.raises(RefusedError, match="format 2"):
        decode(json.dumps(said), "a.json")


def test_an_unsigned_certificate_is_believed_only_where_nobody_could_have_signed_it() -> None:
    unsigned = decode(encode(sign(MADE, Control())), "a.json")
    assert "nobody vouches" in believe(unsigned, Keys(Control()), "a.json")
    assert "control.unsigned" in believe(unsigned, Keys(Control(unsigned=True)), "a.json")
    with pytest.raises(ForgedCertificateError, match="isn't signed"):
        believe(unsigned, CHECKING, "a.json")
    signed = decode(encode(sign(MADE, SIGNING)), "a.json")
    for keys in (Keys(Control()), Keys(Control(public_keys=[public_pem(new_key())]))):
        with pytest.raises(ForgedCertificateError, match="unknown key"):
            believe(signed, keys, "a.json")


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_as_it_was_stands(deep: bool) -> None:
    store = stored(*SEGMENTS, segment(14, 16))
    verdict = check(MADE, {"primary": store}, deep=deep)
    assert verdict.stands
    assert verdict.read == (MADE.size if deep else 0)
    assert not [call for call in store.calls if call[0] == "get"] or deep


def test_what_is_gone_is_named_and_what_another_destination_has_is_not_gone() -> None:
    first, second, third = SEGMENTS
    verdict = check(MADE, {"primary": stored(first, third)})
    assert troubles(verdict) == [(Trouble.GONE, second.name.key())]
    both = check(MADE, {"primary": stored(first, third), "second": stored(second)})
    assert both.stands
    assert both.elsewhere == 1


def test_a_shortened_or_altered_object_is_named() -> None:
    store = stored(*SEGMENTS)
    short, altered, _ = SEGMENTS
    store.damage(short.name.key(), short.body[:-3])
    store.damage(altered.name.key(), altered.body[:-1] + b"\xff")
    verdict = check(MADE, {"primary": store}, deep=True)
    assert troubles(verdict) == [(Trouble.ALTERED, short.name.key()), (Trouble.ALTERED, altered.name.key())]


def test_objects_that_do_not_give_every_offset_are_incomplete() -> None:
    objects = (MADE.objects[0], read(SEGMENTS[1], upto=7), MADE.objects[2])
    verdict = check(replace(MADE, objects=objects), {"primary": stored(*SEGMENTS)})
    assert troubles(verdict) == [(Trouble.INCOMPLETE, str(CHAIN))]
    assert "7 to 8" in verdict.found[0][2]


def test_an_object_cannot_give_more_than_its_name_says() -> None:
    claimed = replace(MADE.objects[0], taken=((0, 9),))
    made = replace(MADE, objects=(claimed, MADE.objects[2]))
    assert [str(lost) for _, lost in made.lacking()] == ["5 to 8"]


def test_a_hash_that_is_not_the_names_own_is_a_contradiction() -> None:
    objects = (replace(MADE.objects[0], sha256="0" * 64), *MADE.objects[1:])
    verdict = check(replace(MADE, objects=objects), {"primary": stored(*SEGMENTS)})
    assert Trouble.CONTRADICTED in {kind for kind, _, _ in verdict.found}


def test_a_destination_that_does_not_answer_says_nothing_about_the_certificate() -> None:
    store = stored(*SEGMENTS)
    store.fail("list", StorageError("away", kind=ErrorKind.TRANSIENT))
    with pytest.raises(StorageError, match="away"):
        check(MADE, {"primary": store})
