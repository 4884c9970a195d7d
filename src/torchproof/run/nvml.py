"""What the NVIDIA driver says of its GPUs: a typed, read-only view through NVML.

A device is the unit that a process can be given: a whole GPU, or each of its MIG instances. A value
that a GPU or driver does not know counts as nothing to report, because consumer cards know few of
them. Reference: the NVML API, https://docs.nvidia.com/deploy/nvml-api/.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torchproof.errors import HostError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# nvmlClocksEventReasons: why the clocks are low, other than by idleness or settings.
_THROTTLES = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
_NO_GPU = "Run this tier on a runner with an NVIDIA GPU; `nvidia-smi` must work on its host."


@dataclass(frozen=True, kw_only=True)
class Device:
    """One GPU or MIG instance; sizes in bytes, ``unhealthy`` says why it must not be used."""

    uuid: str
    name: str
    driver: str
    cuda: str
    memory_total: int = 0
    memory_used: int = 0
    throttled: tuple[str, ...] = ()
    processes: tuple[int, ...] = ()
    unhealthy: str = ""


@contextmanager
def opened(library: Any = None) -> Iterator[Any]:
    """Start NVML for the time of a ``with`` block.

    Args:
        library: A module like pynvml; pynvml itself by default.

    Raises:
        HostError: There is no driver here, or it does not work.
    """
    nvml = library or _pynvml()
    try:
        nvml.nvmlInit()
    except (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded) as error:
        raise HostError("no NVIDIA GPU is visible here", _NO_GPU) from error
    except nvml.NVMLError_LibRmVersionMismatch as error:
        what = "the NVIDIA driver was updated while it ran"
        raise HostError(what, "Restart the runner's host.") from error
    except nvml.NVMLError as error:
        raise HostError(f"the NVIDIA driver does not answer: {error}", _NO_GPU) from error
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def devices(nvml: Any) -> tuple[Device, ...]:
    """Describe all devices; one that cannot be read is unhealthy and hides no other."""
    driver = nvml.nvmlSystemGetDriverVersion()
    version = nvml.nvmlSystemGetCudaDriverVersion()
    cuda = f"{version // 1000}.{version % 1000 // 10}"
    blank = Device(uuid="", name="", driver=driver, cuda=cuda)
    count = nvml.nvmlDeviceGetCount()
    return tuple(device for index in range(count) for device in _at(nvml, index, blank))


def sample(nvml: Any, uuid: str) -> tuple[int, tuple[str, ...]]:
    """Return the bytes in use on a device and what slows its clocks down."""
    handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
    used = nvml.nvmlDeviceGetMemoryInfo(handle).used
    if uuid.startswith("MIG-"):
        handle = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
    return used, _throttled(nvml, handle)


def _pynvml() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ModuleNotFoundError as error:
        what = "nvidia-ml-py is not installed"
        raise HostError(what, "Install torchproof[action].") from error


def _at(nvml: Any, index: int, blank: Device) -> list[Device]:
    device = replace(blank, uuid=f"GPU {index}")
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        device = replace(device, uuid=nvml.nvmlDeviceGetUUID(handle))
        throttled, unhealthy = _throttled(nvml, handle), _unhealthy(nvml, handle)
        device = replace(device, throttled=throttled, unhealthy=unhealthy)
        return _instances(nvml, handle, device) or [_describe(nvml, handle, device)]
    except nvml.NVMLError as error:
        return [replace(device, unhealthy=f"it cannot be read: {error}")]


def _describe(nvml: Any, handle: Any, device: Device) -> Device:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    processes = _known(nvml, [], nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    return replace(
        device,
        uuid=nvml.nvmlDeviceGetUUID(handle),
        name=nvml.nvmlDeviceGetName(handle),
        memory_total=memory.total,
        memory_used=memory.used,
        processes=tuple(process.pid for process in processes),
    )


def _instances(nvml: Any, handle: Any, whole: Device) -> list[Device]:
    """Describe the MIG instances; they share the clocks and the health of the whole GPU."""
    if _known(nvml, [0, 0], nvml.nvmlDeviceGetMigMode, handle)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
        return []
    found = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except nvml.NVMLError_NotFound:
            continue
        found.append(_describe(nvml, part, whole))
    return found or [replace(whole, unhealthy="MIG is on and has no instances")]


def _unhealthy(nvml: Any, handle: Any) -> str:
    rows = _known(nvml, (0, 0, 0, 0), nvml.nvmlDeviceGetRemappedRows, handle)
    if rows[3]:
        return "its memory cannot be repaired any more (row remapping failed)"
    if rows[2] or _known(nvml, 0, nvml.nvmlDeviceGetRetiredPagesPendingStatus, handle):
        return "it needs a reset to repair its memory"
    kind, since = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    if _known(nvml, 0, nvml.nvmlDeviceGetTotalEccErrors, handle, kind, since):
        return "it had uncorrected memory errors since its last reset"
    return ""


def _throttled(nvml: Any, handle: Any) -> tuple[str, ...]:
    reasons = _known(nvml, 0, nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    return tuple(name for bit, name in _THROTTLES.items() if reasons & bit)


def _known(nvml: Any, default: Any, ask: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return ask(*arguments)
    except (
        nvml.NVMLError_NotSupported,
        nvml.NVMLError_FunctionNotFound,
        nvml.NVMLError_NoPermission,
    ):
        return default
