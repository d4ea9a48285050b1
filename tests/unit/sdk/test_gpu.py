"""GPUs by NVML: those that the process may use, and silence where there is none.

No GPU is here: `pynvml` is a module of the same calls, and the last test holds it to the real one.
"""

import sys
import types

import pytest

from inferwatch.sdk import resources
from inferwatch.sdk.gpu import gpus


class NVMLError(Exception):
    """As of pynvml."""


class Device:
    """A GPU: busy percent (None: cannot say), bytes in use and in all."""

    def __init__(self, uuid, busy=50, used=1, total=4, name="NVIDIA H200"):
        self.uuid, self.busy, self.used, self.total, self.name = uuid, busy, used, total, name


def fake(*devices, broken=()):
    """A `pynvml` that has these devices; calls in `broken` fail."""
    module = types.ModuleType("pynvml")

    def call(name, answer):
        def made(*arguments):
            if name in broken:
                raise NVMLError(name)
            return answer(*arguments)

        setattr(module, name, made)

    def by_index(index):
        if index >= len(devices):
            raise NVMLError("invalid argument")
        return devices[index]

    def by_uuid(uuid):
        for device in devices:
            if device.uuid == uuid:
                return device
        raise NVMLError("not found")

    def rates(device):
        if device.busy is None:
            raise NVMLError("not supported")
        return types.SimpleNamespace(gpu=device.busy, memory=0)

    module.NVMLError = NVMLError
    call("nvmlInit", lambda: None)
    call("nvmlDeviceGetCount", lambda: len(devices))
    call("nvmlDeviceGetHandleByIndex", by_index)
    call("nvmlDeviceGetHandleByUUID", by_uuid)
    call("nvmlDeviceGetName", lambda device: device.name)
    call("nvmlDeviceGetUtilizationRates", rates)
    call(
        "nvmlDeviceGetMemoryInfo",
        lambda device: types.SimpleNamespace(used=device.used, total=device.total),
    )
    return module


@pytest.fixture
def machine(monkeypatch):
    """Sets the devices of the machine, and what the process may see of them."""

    def of(*devices, visible=None, broken=()):
        monkeypatch.setitem(sys.modules, "pynvml", fake(*devices, broken=broken))
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return of


A, B = Device("GPU-a", busy=80, used=3, total=4), Device("GPU-b", busy=20, used=1, total=12)
SLICE = Device("MIG-c", busy=None, used=1, total=2, name="NVIDIA H200 MIG 1g.18gb")


def test_utilisation_is_the_mean_and_memory_the_share_of_all(machine):
    """Two GPUs of unlike size: 0.5 busy, 4 of 16 bytes in use."""
    machine(A, B)
    found = gpus()
    assert (found.utilisation(), found.memory(), found.names) == (0.5, 0.25, ["2 x NVIDIA H200"])


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, 0.5),
        ("0", 0.8),
        ("1", 0.2),
        ("GPU-b", 0.2),
        ("1, 0", 0.5),
        ("1,-1,0", 0.2),  # CUDA sees nothing behind a name that is none
        ("1,7", 0.2),
    ],
)
def test_only_devices_that_the_process_may_use(machine, visible, expected):
    """`CUDA_VISIBLE_DEVICES` by number or UUID; without it all."""
    machine(A, B, visible=visible)
    assert gpus().utilisation() == pytest.approx(expected)


def test_a_slice_of_a_gpu_has_memory_only(machine):
    """NVML knows no utilisation of it."""
    machine(A, SLICE, visible="MIG-c")
    found = gpus()
    assert (found.utilisation(), found.memory()) == (None, 0.5)


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
def test_a_process_that_may_use_none_has_none(machine, visible):
    """As after CUDA_VISIBLE_DEVICES=-1."""
    machine(A, visible=visible)
    assert gpus() is None


@pytest.mark.parametrize(
    "broken", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetName"]
)
def test_no_driver_is_no_gpu(machine, broken):
    """Whatever fails at the start, there is nothing to tell of and nothing is raised."""
    machine(A, broken=[broken])
    assert gpus() is None


def test_no_package_is_no_gpu(monkeypatch):
    """Without nvidia-ml-py, or one of that name that is something else."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpus() is None
    monkeypatch.setitem(sys.modules, "pynvml", types.ModuleType("pynvml"))
    assert gpus() is None


def test_a_gpu_that_is_lost_later_has_no_figures(machine):
    """Fallen off the bus: samples go on, without it."""
    pytest.importorskip("psutil")
    machine(A)
    sample = resources.sampler()
    assert (sample().gpu, sample().gpu_memory) == (0.8, 0.75)
    assert sample().hardware.endswith(", 1 x NVIDIA H200")
    machine(A, broken=["nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo"])
    lost = resources.sampler()()
    assert (lost.gpu, lost.gpu_memory) == (None, None)
    assert lost.memory > 0


def test_the_calls_are_those_of_the_real_package():
    """Every name that the module here has nvidia-ml-py has too, and the fields that are read."""
    real = pytest.importorskip("pynvml")
    for name in vars(fake()):
        if name.startswith("nvml"):
            assert callable(getattr(real, name))
    assert issubclass(real.NVMLError, Exception)
    assert {"gpu", "memory"} <= dict(real.c_nvmlUtilization_t._fields_).keys()
    assert {"used", "total"} <= dict(real.c_nvmlMemory_t._fields_).keys()
