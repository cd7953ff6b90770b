# SPDX-License-Identifier: Apache-2.0
"""``make fuzz MINUTES=n``: mutates the corpus of every target until the time is up.

By coverage where atheris is installed, else blindly, and it says which. Each target has a process
of its own, which may die, hang or grow: the input that it was given is kept, and it goes on with
others. What failed is left in out/fuzz, and is the exit code.
"""

from __future__ import annotations

import argparse
import faulthandler
import functools
import random
import re
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

HANG_S = 5  # of the processor, which others on a busy machine do not lengthen
WAIT_S = 20  # by the clock: whoever waits for something that never comes
MEMORY_MB = 1024
ROOM_MB = 4 * MEMORY_MB  # of addresses above the beginning, so that the machine lives on
MOST_DEATHS = 5  # of one target
FAILED = 3  # the exit code of a process that came to its end and found something
CORPUS = Path(__file__).parent / 'corpus'
OUT = Path('out/fuzz')


class Hang(BaseException):
    """An input took too long."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=5.0)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--blindly', action='store_true', help='also where atheris is installed')
    parser.add_argument('--only', nargs='*', default=(), help='targets; default: all')
    parser.add_argument('--target', help='one, in this process; by itself it does so for each')
    parser.add_argument('--wait', type=float, default=WAIT_S, help='seconds for one input')
    parser.add_argument('--planted', action='store_true', help='targets that fail, for its tests')
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    by_coverage = not arguments.blindly and find_spec('atheris') is not None
    module = 'test.fuzz.planted' if arguments.planted else 'test.fuzz.targets'
    if arguments.target:
        one = arguments.target, 60.0 * arguments.minutes, arguments.seed, module, arguments.wait
        return guided(*one) if by_coverage else blindly(*one)
    print('By coverage, with atheris.' if by_coverage else 'Blindly: atheris is not installed.')
    names = arguments.only or import_module(module).TARGETS
    seconds = 60.0 * arguments.minutes / len(names)
    options = ['--seed', str(arguments.seed), '--wait', str(arguments.wait)]
    options += ['--blindly'] * arguments.blindly + ['--planted'] * arguments.planted
    failed = [name for name in names if not survives(name, seconds, options)]
    print(f'Failed: {", ".join(failed)}. Look at {OUT}.' if failed else 'Nothing failed.')
    return int(bool(failed))


def survives(name: str, seconds: float, options: list[str]) -> bool:
    """Runs a target until the time is up, again after each of its deaths."""
    log = OUT / f'{name}.log'  # decoders say much of what they are given
    current = OUT / f'{name}-current'
    end_s, deaths = time.monotonic() + seconds, 0
    while True:
        command = [sys.executable, '-m', 'test.fuzz', *options, '--target', name]
        command += ['--minutes', str(max(1.0, end_s - time.monotonic()) / 60.0)]
        with log.open('wb') as file:
            run = subprocess.run(command, stderr=file, check=False)
        said = log.read_bytes()
        if units := re.findall(rb'number_of_executed_units: (\d+)', said):
            peak = re.findall(rb'peak_rss_mb: +(\d+)', said)
            print(f'{name:12} {int(units[-1]):8} inputs, {int(peak[-1])} MB', flush=True)
        if run.returncode in (0, FAILED):
            return not (run.returncode or deaths)
        deaths += 1
        log.rename(OUT / f'{name}-death-{deaths}.log')
        place = f'{OUT}/{name}-*'
        if current.exists():
            place = str(current.rename(OUT / f'{name}-death-{deaths}'))
        print(f'{name}: ended with {run.returncode}; the input is {place}', flush=True)
        if deaths == MOST_DEATHS or time.monotonic() > end_s:
            return False
        options = [*options, '--seed', str(deaths)]


def guided(name: str, seconds: float, seed: int, module: str, wait_s: float) -> int:
    """Runs libFuzzer, which ends the process and keeps the input that it could not live with."""
    import atheris

    with atheris.instrument_imports(include=['seg_ros', 'rosbags', 'yaml', 'test.fuzz.told']):
        run = import_module(module).run
    folders = [OUT / f'new-{name}', OUT / f'seeds-{name}']
    for folder in folders:
        folder.mkdir(exist_ok=True)
    for number, data in enumerate(seeds_of(name)):
        (folders[1] / str(number)).write_bytes(data)
    limits = [
        f'-max_total_time={max(1, int(seconds))}',
        f'-timeout={round(wait_s)}',
        '-max_len=65536',
    ]
    limits += [f'-rss_limit_mb={MEMORY_MB}', f'-artifact_prefix={OUT}/{name}-', '-verbosity=0']
    limits += [f'-seed={seed + 1}', '-print_final_stats=1']

    def timed(data: bytes) -> None:
        begin_s, begin_cpu_s = time.monotonic(), time.process_time()
        run(name, data)
        took_s, cpu_s = time.monotonic() - begin_s, time.process_time() - begin_cpu_s
        if took_s > wait_s or cpu_s > HANG_S:
            raise Hang(f'{took_s:.1f} s, {cpu_s:.1f} s of the processor')

    words = [sys.argv[0], *limits, *map(str, folders)]
    atheris.Setup(words, timed)
    atheris.Fuzz()
    return 0


def blindly(
    name: str,
    seconds: float,
    seed: int,
    module: str = 'test.fuzz.targets',
    wait_s: float = WAIT_S,
) -> int:
    """Runs mutations of the corpus; returns ``FAILED`` if an input failed, else 0.

    The input under way lies in ``NAME-current``: whoever ends this process leaves it there.
    """
    run = import_module(module).run
    rng = random.Random(seed)
    seeds = seeds_of(name)
    failures: set[str] = set()
    most_mb = max(_most_mb(), MEMORY_MB)  # within a run of all tests it may have had more before
    current = OUT / f'{name}-current'
    with _limited():
        count, end_s = 0, time.monotonic() + seconds
        while time.monotonic() < end_s:
            data = mutated(rng.choice(seeds), rng) if count >= len(seeds) else seeds[count]
            count += 1
            current.write_bytes(data)
            kind, said = _failure_of(functools.partial(run, name), data, wait_s)
            if (memory_mb := _most_mb()) > most_mb:
                kind, most_mb = f'{memory_mb:.0f} MB', memory_mb
            if kind and kind not in failures:
                failures.add(kind)
                kept = OUT / f'{name}-{len(failures)}'
                kept.write_bytes(data)
                print(f'{name}: {kind}: {said} ({kept})', flush=True)
    current.unlink()
    print(f'{name:12} {count:7} inputs, {len(failures)} kinds of failure, {_most_mb():.0f} MB')
    return FAILED if failures else 0


def _failure_of(run: Callable[[bytes], None], data: bytes, wait_s: float) -> tuple[str, str]:
    """Returns what an input leads to that it must not, with the place, and its words."""
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    signal.setitimer(signal.ITIMER_REAL, wait_s)
    faulthandler.dump_traceback_later(1.25 * wait_s, exit=True)  # where no handler can run
    try:
        run(data)
    except (Exception, Hang) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = f'{type(error).__name__} in {Path(where.filename).name}:{where.lineno}'
        return kind, str(error)[:100]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    return '', ''


@contextmanager
def _limited() -> Iterator[None]:
    """Ends what takes too long, and gives nobody more than ``ROOM_MB``."""

    def hang(_number: int, _frame: FrameType | None) -> None:
        raise Hang

    before = {number: signal.signal(number, hang) for number in (signal.SIGALRM, signal.SIGPROF)}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    room = pages * resource.getpagesize() + (ROOM_MB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for number, handler in before.items():
            signal.signal(number, handler)


def _most_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seeds_of(name: str) -> list[bytes]:
    folder = CORPUS / name
    return (
        [path.read_bytes() for path in sorted(folder.iterdir())]
        if folder.exists()
        else [name.encode()]
    )


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
