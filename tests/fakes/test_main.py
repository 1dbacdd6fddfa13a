import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from shared.settings import Settings
from tests.fakes.__main__ import services


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.fakes", "--first-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as running:
        yield running
        running.kill()


def test_every_emulator_answers_where_its_setting_points_until_interrupted(
    process: subprocess.Popen[str],
) -> None:
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2 * len(services()))]

    exported = dict(re.findall(r"^export (\w+)=(\S+)$", "".join(lines), re.MULTILINE))
    with httpx.Client(verify=False) as http:
        statuses = [http.get(address).status_code for address in exported.values()]
    process.send_signal(signal.SIGINT)

    settings = {f"KEYTIDE_{name.upper()}" for name in Settings.model_fields}
    assert len(exported) == len(services())
    assert exported.keys() <= settings
    assert all(400 <= status < 500 for status in statuses)
    assert process.wait(timeout=10) == 0
