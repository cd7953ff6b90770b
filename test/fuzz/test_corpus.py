# SPDX-License-Identifier: Apache-2.0
"""The corpus, and two seconds of its mutations, in every run of the tests."""

from __future__ import annotations

import pytest

from test.fuzz.__main__ import CORPUS, blindly
from test.fuzz.targets import TARGETS, run


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
