"""The GPUs that this process may use, by NVIDIA's own library (nvidia-ml-py).

NVML makes no CUDA context and takes no memory of a GPU. It is called on one thread alone
(`sampling`), for which forks wait: a child that began within a call would find its locks taken.
"""

import os
from collections import Counter
from typing import Any


class Gpus:
    """The devices; `names` are "1 x NVIDIA H200", one a kind.

    Their figures are of the whole device, whoever uses it.
    """

    def __init__(self, pynvml: Any, devices: list[Any]) -> None:
        self._pynvml, self._devices = pynvml, devices
        kinds = Counter(pynvml.nvmlDeviceGetName(device) for device in devices)
        self.names = [f"{count} x {name}" for name, count in kinds.items()]

    def utilisation(self) -> float | None:
        """Mean share of the last moment in which a kernel ran, 0…1; None where no device says."""
        read = self._pynvml.nvmlDeviceGetUtilizationRates
        shares = [rates.gpu / 100 for rates in self._each(read)]
        return sum(shares) / len(shares) if shares else None

    def memory(self) -> float | None:
        """Memory in use as a share of all, 0…1; None where no device says."""
        found = self._each(self._pynvml.nvmlDeviceGetMemoryInfo)
        total = sum(memory.total for memory in found)
        return sum(memory.used for memory in found) / total if total else None

    def _each(self, read: Any) -> list[Any]:
        """What `read` gives of each device, but for those that cannot say, as slices of a GPU."""
        found = []
        for device in self._devices:
            try:
                found.append(read(device))
            except self._pynvml.NVMLError:
                continue
        return found


def gpus() -> Gpus | None:
    """The GPUs; None without the package, the driver, or a device."""
    try:
        import pynvml

        pynvml.nvmlInit()
        devices = _devices(pynvml)
        return Gpus(pynvml, devices) if devices else None
    except Exception:  # a machine without a GPU has nothing to be told of
        return None


def _devices(pynvml: Any) -> list[Any]:
    """Those that `CUDA_VISIBLE_DEVICES` names, by number or UUID; all without it.

    CUDA hides what stands behind a name that is none, such as -1.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [pynvml.nvmlDeviceGetHandleByIndex(at) for at in range(pynvml.nvmlDeviceGetCount())]
    devices: list[Any] = []
    for name in map(str.strip, visible.split(",")):
        try:
            if name.isdigit():
                devices.append(pynvml.nvmlDeviceGetHandleByIndex(int(name)))
            else:
                devices.append(pynvml.nvmlDeviceGetHandleByUUID(name))
        except pynvml.NVMLError:
            break
    return devices
