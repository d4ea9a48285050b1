"""CRC-32C is the one of RFC 3720 and of aiokafka, of any length, wherever the bytes lie."""

import numpy as np
import pytest
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.kernels.crc32c import TABLES, checksum


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_known_checksums(data, wanted):
    """Those of RFC 3720, B.4, and the usual check value."""
    assert checksum(np.frombuffer(data, np.uint8), TABLES) == wanted


@given(data=st.binary(max_size=200), behind=st.integers(0, 8), times=st.integers(1, 40))
def test_it_is_aiokafkas(data, behind, times):
    """Of all lengths, which three parts of words fill or not, beginning at any byte."""
    data = data * times
    placed = np.frombuffer(b"x" * behind + data, np.uint8)[behind:]
    assert checksum(placed, TABLES) == calc_crc32c(data)
