"""Worlds of many seeds, in pieces that several processes can share."""

import os

import pytest

from tests.simulation.simulate import simulate

SEEDS = int(os.environ.get("KEYTIDE_SIMULATION_SEEDS", "150"))
PIECES = 8


@pytest.mark.parametrize("piece", range(PIECES))
def test_every_promise_is_kept(piece: int) -> None:
    for seed in range(piece, SEEDS, PIECES):
        report = simulate(seed)

        assert report.broken is None, f"seed {seed}: {report.broken}"


def test_one_seed_is_one_run() -> None:
    first, second = simulate(11), simulate(11)

    assert first.trace == second.trace


def test_another_seed_is_another_run() -> None:
    assert simulate(11).trace != simulate(12).trace
