"""Versions compared at every window: wrong decisions, and rows until a planted loss is known.

Made-up errors of two versions, as `inferwatch.testing.duels` has them. Beside our interval stands
the 95 % one that is made for a single look.
"""

import argparse

import numpy as np

from inferwatch.testing.duels import LOSSES, STATIONARY, WINDOWS, Traffic, beyond, by_single_looks


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1_000, help="of each line")
    streams = parser.parse_args().streams
    print(f"no difference, {streams} streams, a look at each of {WINDOWS} windows: wrong")
    for name, traffic in STATIONARY.items():
        chance = np.random.default_rng(7)
        wrong = sum(beyond(traffic, chance)[0] > 0 for _ in range(streams))
        print(f"{name:32} {wrong / streams:7.1%}")
    print(f"{'one look, looked at 200 times':32} {by_single_looks(streams):7.1%}")
    print("errors 10 % before: rows of the version until half, nine tenths of the streams know")
    for name, planted in LOSSES.items():
        for loss, traffic in zip((0.01, 0.05), planted, strict=True):
            rows, better = taken(traffic, loss, max(streams // 5, 1))
            half, most = np.quantile(rows, [0.5, 0.9])
            print(f"{name:16} {loss:4.0%} {half:9,.0f} {most:9,.0f}   called better {better}")


def taken(traffic: Traffic, loss: float, streams: int) -> tuple[list[int], int]:
    """Rows of the version that each stream took to decide, and how many decided for it."""
    chance = np.random.default_rng(11)
    found = [beyond(traffic, chance, loss, windows=2_000) for _ in range(streams)]
    return [at * traffic.mine for at, _ in found], sum(sign < 0 for _, sign in found)


if __name__ == "__main__":
    main()
