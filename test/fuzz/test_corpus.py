# SPDX-License-Identifier: Apache-2.0
"""The corpus, and two seconds of its mutations, in every run of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from test.fuzz import planted
from test.fuzz.__main__ import CORPUS, blindly
from test.fuzz.targets import TARGETS, run
from test.paths import REPOSITORY


@pytest.mark.parametrize('name', TARGETS)
def test_no_file_of_the_corpus_raises_anything_but_our_errors(name: str) -> None:
    files = sorted((CORPUS / name).iterdir())
    assert files
    for path in files:
        run(name, path.read_bytes())


@pytest.mark.parametrize('name', TARGETS)
def test_no_mutation_of_the_corpus_raises_anything_but_our_errors(
    name: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('test.fuzz.__main__.OUT', tmp_path)
    assert blindly(name, 2.0, seed=1) == 0


@pytest.mark.parametrize('name', planted.TARGETS)
def test_what_raises_dies_waits_or_grows_fails_the_run_and_its_input_is_kept(
    name: str, tmp_path: Path
) -> None:
    words = ['--planted', '--blindly', '--only', name, '--minutes', '0.02', '--wait', '3']
    places = os.pathsep.join(map(str, (REPOSITORY, *sys.path)))
    done = subprocess.run(
        [sys.executable, '-m', 'test.fuzz', *words],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f'Failed: {name}.' in done.stdout
    kept = [path for path in (tmp_path / 'out/fuzz').iterdir() if path.suffix != '.log']
    assert name.encode() in {path.read_bytes() for path in kept}
    assert str(kept[0].relative_to(tmp_path)) in done.stdout
