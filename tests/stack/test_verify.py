"""Destinations that real sinks filled: damaged by hand, found out, compared, and mended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.local.endpoints import Endpoints
from replicator.cli.main import app
from replicator.errors import ReplicatorError
from replicator.storage import ObjectStore
from replicator.storage.file import FileStore
from replicator.storage.s3 import S3Store
from replicator.verify import holdings
from replicator.verify.holdings import DAMAGED, ROOT, Held
from tests.contract.clouds.s3 import S3Cloud, moto_server
from tests.faults.capture import ROOT as CHECKOUT
from tests.faults.place import server_of
from tests.faults.raw import RawInstallation, raw_installation
from tests.faults.sinks import Sink

TABLES = ("guests", "seats")
ROUND = 400


@dataclass
class Copies:
    """One installation in three destinations whose sinks ran at different times: they cut differently."""

    raw: RawInstallation
    config: Path
    s3: S3Cloud
    moto: S3Cloud
    buckets: dict[str, str]
    disk: Path

    def store(self, name: str) -> ObjectStore:
        if name == "disk":
            return FileStore(self.disk)
        server = self.s3 if name == "west" else self.moto
        return S3Store(server.destination(self.buckets[name]))

    def held(self, name: str) -> list[Held]:
        return list(holdings.read(self.store(name).list(ROOT)).all)

    def run(self, *arguments: str) -> tuple[int, Any, str]:
        """Exit status, what --json printed, and what was told beside it."""
        done = CliRunner().invoke(app, ["-c", str(self.config), *arguments, "--json"])
        if isinstance(done.exception, ReplicatorError):
            return done.exception.exit_code, None, str(done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout), done.stderr

    def overwrite(self, name: str, key: str, body: bytes | None, **more: Any) -> None:
        """Past the adapter, as a careless hand or a failing disk does."""
        if name == "disk":
            path = self.disk / key
            path.unlink() if body is None else path.write_bytes(body)
            return
        admin = (self.s3 if name == "west" else self.moto).admin()
        place = {"Bucket": self.buckets[name], "Key": key}
        if body is None:
            admin.delete_object(**place)
        else:
            admin.put_object(**place, Body=body, **more)


@pytest.fixture(scope="module")
def copies(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copies]:
    folder = tmp_path_factory.mktemp("verify")
    s3 = server_of(stack)
    disk = folder / "disk"
    disk.mkdir()
    with (
        raw_installation(stack, folder / "raw") as raw,
        # The one server of ours that keeps storage classes.
        moto_server() as moto,
        s3.container() as west,
        moto.container() as cold,
    ):
        raw.create(*TABLES)
        config = raw.write_config(
            "three",
            destinations={
                "west": _s3(s3, west),
                "cold": {**_s3(moto, cold), "storage_class": "STANDARD_IA"},
                "disk": {"type": "file", "path": str(disk)},
            },
            sink={"max_age_s": 0.5},
        )
        made = Copies(raw, config, s3, moto, {"west": west, "cold": cold}, disk)
        for turn, names in enumerate((("west",), ("west", "disk"), ("west", "disk", "cold"))):
            for table in TABLES:
                raw.produce(table, ROUND, first=turn * ROUND)
            for name in names:
                with Sink(config, name, "--once") as sink:
                    status = sink.wait(90)
                    assert status == 0, f"the sink of {name} ended with {status}:\n{sink.said[-4000:]}"
        yield made


def _s3(server: S3Cloud, bucket: str) -> dict[str, Any]:
    return {
        "type": "s3",
        "bucket": bucket,
        "endpoint_url": server.url,
        "region": "us-east-1",
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
    }


def alter(body: bytes) -> bytes:
    changed = bytearray(body)
    changed[len(changed) * 2 // 3] ^= 1
    return bytes(changed)


def kinds(report: dict[str, Any]) -> dict[str, int]:
    return {kind: count for kind, count in report["counts"].items() if count}


@pytest.mark.parametrize("name", ["west", "cold", "disk"])
@pytest.mark.parametrize("depth", [(), ("--deep",), ("--records",)])
def test_what_sinks_wrote_is_sound(copies: Copies, name: str, depth: tuple[str, ...]) -> None:
    status, report, told = copies.run("verify", name, "--committed", *depth)
    assert (status, report["findings"]) == (0, []), told
    assert report["segments"] >= 2
    assert report["chains"] == len(TABLES)


def test_destinations_that_were_cut_differently_hold_the_same_records(copies: Copies) -> None:
    status, report, told = copies.run("compare", "west", "disk", "--deep")
    assert (status, report["differences"]) == (0, []), told
    assert report["offsets_cut_differently"] > 0
    assert report["bytes_compared"] > 0
    assert copies.run("compare", "cold", "disk", "--deep")[0] == 0
    status, _, told = copies.run("compare", "west", "nowhere")
    assert status == 2
    assert "nowhere" in told


def test_each_kind_of_damage_in_a_bucket_is_found_told_apart_and_mended(copies: Copies) -> None:
    west = copies.store("west")
    guests = [each for each in copies.held("west") if each.name.topic.endswith("guests")]
    seats = [each for each in copies.held("west") if each.name.topic.endswith("seats")]
    first, middle, last = (each.name.key() for each in guests[:3])
    other, gone = seats[0].name.key(), seats[-1].name.key()
    whole = {key: west.get(key) for key in (first, middle, last, other, gone)}
    copies.overwrite("west", first, whole[first][: len(whole[first]) // 2])
    copies.overwrite("west", middle, None)
    copies.overwrite("west", last, whole[last])
    copies.overwrite("west", other, alter(whole[other]))
    copies.overwrite("west", gone, None)
    copies.overwrite("west", "v1/changes/notes.txt", b"mine")

    status, report, told = copies.run("verify", "west")
    assert status == 5, told
    assert kinds(report) == {"missing": 1, "short": 1, "altered": 1, "metadata_lost": 1, "unknown": 1}
    status, report, _ = copies.run("verify", "west", "--committed")
    assert kinds(report)["missing"] == 2, "the end that is gone shows only in what was committed"

    status, report, _ = copies.run("compare", "west", "disk")
    assert status == 5 if report["differences"] else report["behind"]["west"] > 0

    before = {info.key: info.size for info in west.list(ROOT)}
    status, report, told = copies.run("repair", "west", "--from", "disk", "--committed", "--dry-run")
    assert status == 0, told
    assert report["steps"]
    assert {info.key: info.size for info in west.list(ROOT)} == before

    status, report, told = copies.run("repair", "west", "--from", "disk", "--committed")
    assert (status, report["whole"], report["lost"]) == (0, True, []), told
    assert report["rewritten"] == 1
    assert len(list(west.list(DAMAGED))) == 2
    status, report, told = copies.run("verify", "west", "--records", "--committed")
    assert (status, kinds(report)) == (0, {"unknown": 1}), told
    copies.overwrite("west", "v1/changes/notes.txt", None)
    status, report, told = copies.run("compare", "west", "cold", "--deep")
    assert (status, report["differences"]) == (0, []), told


def test_a_wrong_storage_class_is_told_and_put_right_when_asked(copies: Copies) -> None:
    one = copies.held("cold")[0]
    assert one.storage_class == "STANDARD_IA"
    body = copies.store("cold").get(one.name.key())
    metadata = {"sha256": copies.store("cold").head(one.name.key()).sha256 or ""}
    copies.overwrite("cold", one.name.key(), body, Metadata=metadata, StorageClass="STANDARD")
    status, report, told = copies.run("verify", "cold")
    assert (status, kinds(report)) == (0, {"wrong_class": 1}), told
    status, report, told = copies.run("repair", "cold", "--from", "disk", "--classes")
    assert (status, report["rewritten"]) == (0, 1), told
    assert kinds(copies.run("verify", "cold")[1]) == {}


def test_a_repair_that_is_killed_again_and_again_ends_well(copies: Copies) -> None:
    disk = copies.store("disk")
    before = {held.name.key(): disk.get(held.name.key()) for held in copies.held("disk")}
    for key, body in before.items():
        copies.overwrite("disk", key, alter(body))
    status, report, _ = copies.run("verify", "disk", "--deep")
    assert (status, kinds(report)) == (5, {"altered": len(before)})
    found = copies.raw.directory / "found.json"
    found.write_text(json.dumps(report))
    killed = 0
    for kept in range(1, len(before) + 1):
        killed += _kill_when_kept(copies, found, kept)
    assert killed > 0, "no repair was killed in the middle"
    status, report, told = copies.run("repair", "disk", "--from", "west", "--findings", str(found))
    assert (status, report["whole"]) == (0, True), told
    assert copies.run("verify", "disk", "--records", "--committed")[0] == 0
    status, report, told = copies.run("compare", "disk", "west", "--deep")
    assert (status, report["differences"], report["behind"]) == (0, [], {"disk": 0, "west": 0}), told
    assert len(list(disk.list(DAMAGED))) == len(before), "each damaged object is kept, once"


def _kill_when_kept(copies: Copies, found: Path, kept: int) -> bool:
    """Send SIGKILL to a repair as soon as so many damaged objects are set aside; whether it still ran."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "replicator", "-c", str(copies.config), "repair", "disk"),
            *("--from", "west", "--findings", str(found), "--threads", "1"),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    aside = copies.disk / DAMAGED
    deadline = time.monotonic() + 120
    try:
        while process.poll() is None:
            if sum(1 for path in aside.rglob("*.avro.*")) >= kept:
                process.send_signal(signal.SIGKILL)
                return process.wait(30) == -signal.SIGKILL
            assert time.monotonic() < deadline, f"{kept} objects were not set aside within 120 s"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(30)
    return False
