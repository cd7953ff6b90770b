# SPDX-License-Identifier: Apache-2.0
"""``make fuzz MINUTES=n``: mutates the corpus of every target until the time is up.

By coverage where atheris is installed (pip install atheris; Linux), else blindly, and it says
which. What failed is left in out/fuzz, and is the exit code.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import subprocess
import sys
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

HANG_S = 5
MEMORY_MB = 1024
CORPUS = Path(__file__).parent / 'corpus'
OUT = Path('out/fuzz')


class Hang(BaseException):
    """An input took too long."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=5.0)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--target', help='one alone, in this process')
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    by_coverage = find_spec('atheris') is not None
    if arguments.target:
        seconds = 60.0 * arguments.minutes
        if by_coverage:
            guided(arguments.target, seconds)
        return blindly(arguments.target, seconds, arguments.seed)
    from test.fuzz.targets import TARGETS

    print('By coverage, with atheris.' if by_coverage else 'Blindly: atheris is not installed.')
    failed = []
    for name in TARGETS:
        words = ['--target', name, '--minutes', str(arguments.minutes / len(TARGETS))]
        words += ['--seed', str(arguments.seed)]
        run = subprocess.run([sys.executable, '-m', 'test.fuzz', *words], check=False)
        if run.returncode:
            failed.append(name)
    print(f'Failed: {", ".join(failed)}. Look at {OUT}.' if failed else 'Nothing failed.')
    return int(bool(failed))


def guided(name: str, seconds: float) -> None:
    """Runs libFuzzer, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=['seg_ros', 'rosbags', 'yaml']):
        from test.fuzz.targets import run
    new = OUT / f'new-{name}'
    new.mkdir(exist_ok=True)
    limits = [f'-max_total_time={int(seconds)}', f'-timeout={HANG_S}', '-max_len=65536']
    limits += [f'-rss_limit_mb={MEMORY_MB}', f'-artifact_prefix={OUT}/{name}-', '-verbosity=0']
    words = [sys.argv[0], *limits, str(new), str(CORPUS / name)]
    atheris.Setup(words, lambda data: run(name, data))
    atheris.Fuzz()


def blindly(name: str, seconds: float, seed: int) -> int:
    """Runs mutations of the corpus; returns the number of inputs that failed."""
    from test.fuzz.targets import run

    def hang(_number: int, _frame: FrameType | None) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, hang)
    rng = random.Random(seed)
    seeds = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    failures: set[str] = set()
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count, end_s = 0, time.monotonic() + seconds
    while time.monotonic() < end_s:
        data = mutated(rng.choice(seeds), rng) if count >= len(seeds) else seeds[count]
        count += 1
        signal.alarm(HANG_S)
        try:
            run(name, data)
        except (Exception, Hang) as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = f'{type(error).__name__} in {Path(where.filename).name}:{where.lineno}'
            if kind not in failures:
                failures.add(kind)
                (OUT / f'{name}-{len(failures)}').write_bytes(data)
                print(f'{name}: {kind}: {str(error)[:100]}', file=sys.stderr)
        finally:
            signal.alarm(0)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f'{name:12} {count:7} inputs, {len(failures)} kinds of failure, {memory_mb:.0f} MB')
    # Within a run of all tests the process may have had more before
    return len(failures) + (memory_mb > max(before_mb, MEMORY_MB))


def mutated(data: bytes, rng: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(6):
            case 0:
                made[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                made[at : at + rng.choice((1, 2, 4, 8))] = rng.choice(EXTREMES)
            case 2:
                del made[at : at + rng.randrange(1, 64)]
            case 3:
                made[at:at] = made[at : at + rng.randrange(1, 64)]
            case 4:
                made[at:at] = rng.randbytes(rng.randrange(1, 8))
            case 5:
                del made[at:]
    return bytes(made)


EXTREMES = (
    b'\xff' * 8, b'\xff' * 4, b'\x7f' + b'\xff' * 3, b'\0' * 8, b'\x80' * 4, b'\xff\xff', b'[' * 8,
    b'9' * 8, b'.nan', b'.inf', b'null', b'*a', b'-1',
)  # fmt: skip

if __name__ == '__main__':
    sys.exit(main())
