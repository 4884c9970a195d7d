"""A simulated NVML that stands in for pynvml where there is no GPU: same names, values and errors.

The state is a JSON file that the environment variable SIMULATED_NVML names; it is read anew at
every call, so that a test may change it. Put this file on PYTHONPATH or copy it over the real one.

    {
      "driver": "570.86.15",                        the driver's version
      "cuda": 12080,                                1000 * major + 10 * minor
      "init_error": "DriverNotLoaded",              nvmlInit fails with this error
      "devices": [{
        "uuid": "GPU-0",
        "name": "NVIDIA H100 80GB HBM3",
        "total": 85520809984, "used": 0,            bytes
        "processes": [4711],                        who computes on it
        "clocks_event_reasons": 4,                  bits
        "remapped_rows": [0, 0, 0, 0],              correctable, uncorrectable, pending, failed
        "retired_pending": 0,
        "ecc_uncorrected": 0,
        "mig": [{"uuid": "MIG-0", ...}],            instances; there, MIG mode is on
        "errors": {"nvmlDeviceGetUUID": "GpuIsLost"}  functions that fail, and how
      }]
    }

Only "devices" and their "uuid" are required. It is strict: a call before nvmlInit, a handle that is
none and a key that is not above are errors.
"""
# ruff: noqa: N801, N802, N803, N815 - the names are pynvml's

from __future__ import annotations

import json
import os
import string
from pathlib import Path
from typing import ClassVar


NVML_SUCCESS = 0
NVML_ERROR_UNINITIALIZED = 1
NVML_ERROR_INVALID_ARGUMENT = 2
NVML_ERROR_NOT_SUPPORTED = 3
NVML_ERROR_NO_PERMISSION = 4
NVML_ERROR_NOT_FOUND = 6
NVML_ERROR_DRIVER_NOT_LOADED = 9
NVML_ERROR_LIBRARY_NOT_FOUND = 12
NVML_ERROR_FUNCTION_NOT_FOUND = 13
NVML_ERROR_GPU_IS_LOST = 15
NVML_ERROR_RESET_REQUIRED = 16
NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18
NVML_ERROR_UNKNOWN = 999
NVML_DEVICE_MIG_DISABLE = 0
NVML_DEVICE_MIG_ENABLE = 1
NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1
NVML_VOLATILE_ECC = 0

_TOP = {"driver": "570.86.15", "cuda": 12080, "init_error": "", "devices": []}
_DEVICE = {
    "uuid": "",
    "name": "NVIDIA Simulated",
    "total": 16 * 1024**3,
    "used": 0,
    "processes": [],
    "clocks_event_reasons": 0,
    "remapped_rows": [0, 0, 0, 0],
    "retired_pending": 0,
    "ecc_uncorrected": 0,
    "mig": [],
    "errors": {},
}
# NVML counts how often it was opened.
_opened = []


class NVMLError(Exception):
    """A failed call; each code has a subclass, as in pynvml."""

    _valClassMapping: ClassVar = {}

    def __new__(cls, value):
        kind = NVMLError._valClassMapping.get(value, cls) if cls is NVMLError else cls
        error = Exception.__new__(kind)
        error.value = value
        return error

    def __str__(self):
        return type(self).__name__.removeprefix("NVMLError_")


class c_nvmlMemory_t:
    def __init__(self, total, used):
        self.total, self.free, self.used = total, total - used, used


class nvmlFriendlyObject:
    def __init__(self, dictionary):
        self.__dict__.update(dictionary)


class _Handle:
    def __init__(self, *path):
        self.path = path


def nvmlInit():
    if not Path(os.environ.get("SIMULATED_NVML", "/nonexistent")).is_file():
        raise NVMLError(NVML_ERROR_LIBRARY_NOT_FOUND)
    error = _state(opening=True)["init_error"]
    if error:
        raise _error(error)
    _opened.append(error)


def nvmlShutdown():
    _state()
    _opened.pop()


def nvmlSystemGetDriverVersion():
    return _state()["driver"]


def nvmlSystemGetCudaDriverVersion():
    return _state()["cuda"]


def nvmlDeviceGetCount():
    return len(_state()["devices"])


def nvmlDeviceGetHandleByIndex(index):
    if not 0 <= index < len(_state()["devices"]):
        raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
    return _checked("nvmlDeviceGetHandleByIndex", _Handle(index))


def nvmlDeviceGetHandleByUUID(uuid):
    for index, device in enumerate(_state()["devices"]):
        for number, part in enumerate(device["mig"]):
            if part["uuid"] == uuid:
                return _checked("nvmlDeviceGetHandleByUUID", _Handle(index, number))
        if device["uuid"] == uuid:
            return _checked("nvmlDeviceGetHandleByUUID", _Handle(index))
    raise NVMLError(NVML_ERROR_NOT_FOUND)


def nvmlDeviceGetUUID(handle):
    return _device("nvmlDeviceGetUUID", handle)["uuid"]


def nvmlDeviceGetName(handle):
    return _device("nvmlDeviceGetName", handle)["name"]


def nvmlDeviceGetMemoryInfo(handle, version=None):
    device = _device("nvmlDeviceGetMemoryInfo", handle)
    return c_nvmlMemory_t(device["total"], device["used"])


def nvmlDeviceGetComputeRunningProcesses(handle):
    device = _device("nvmlDeviceGetComputeRunningProcesses", handle)
    fields = {"usedGpuMemory": None, "gpuInstanceId": 0xFFFFFFFF, "computeInstanceId": 0xFFFFFFFF}
    return [nvmlFriendlyObject({"pid": pid, **fields}) for pid in device["processes"]]


def nvmlDeviceGetCurrentClocksEventReasons(handle):
    device = _device("nvmlDeviceGetCurrentClocksEventReasons", handle, whole=True)
    return device["clocks_event_reasons"]


def nvmlDeviceGetRemappedRows(device):
    return tuple(_device("nvmlDeviceGetRemappedRows", device, whole=True)["remapped_rows"])


def nvmlDeviceGetRetiredPagesPendingStatus(device):
    name = "nvmlDeviceGetRetiredPagesPendingStatus"
    return _device(name, device, whole=True)["retired_pending"]


def nvmlDeviceGetTotalEccErrors(handle, errorType, counterType):
    if (errorType, counterType) != (NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC):
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    return _device("nvmlDeviceGetTotalEccErrors", handle, whole=True)["ecc_uncorrected"]


def nvmlDeviceGetMigMode(device):
    mode = int(bool(_device("nvmlDeviceGetMigMode", device, whole=True)["mig"]))
    return [mode, mode]


def nvmlDeviceGetMaxMigDeviceCount(device):
    return 7 if nvmlDeviceGetMigMode(device)[0] else 0


def nvmlDeviceGetMigDeviceHandleByIndex(device, index):
    parts = _device("nvmlDeviceGetMigDeviceHandleByIndex", device, whole=True)["mig"]
    if index >= len(parts):
        raise NVMLError(NVML_ERROR_NOT_FOUND)
    return _Handle(*device.path, index)


def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(migDevice):
    _device("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", migDevice)
    return _Handle(migDevice.path[0])


def _state(*, opening=False):
    if not opening and not _opened:
        raise NVMLError(NVML_ERROR_UNINITIALIZED)
    state = json.loads(Path(os.environ["SIMULATED_NVML"]).read_text("utf-8"))
    return _filled(state, _TOP) | {"devices": [_filled_device(d) for d in state["devices"]]}


def _filled_device(device):
    return _filled(device, _DEVICE) | {"mig": [_filled_device(d) for d in device.get("mig", [])]}


def _filled(given, defaults):
    unknown = given.keys() - defaults.keys()
    if unknown:
        raise ValueError(f"SIMULATED_NVML does not know {sorted(unknown)}")
    return {**defaults, **given}


def _device(function, handle, *, whole=False):
    """Return what a handle stands for, or fail as the state says; instances lack some calls."""
    if not isinstance(handle, _Handle):
        raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
    _checked(function, handle)
    if whole and len(handle.path) > 1:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
    device = _state()["devices"][handle.path[0]]
    return device["mig"][handle.path[1]] if len(handle.path) > 1 else device


def _checked(function, handle):
    error = _state()["devices"][handle.path[0]]["errors"].get(function)
    if error:
        raise _error(error)
    return handle


def _error(name):
    return globals()[f"NVMLError_{name}"](0)


def _extract_errors_as_classes():
    for name, value in list(globals().items()):
        if name.startswith("NVML_ERROR_"):
            words = string.capwords(name.removeprefix("NVML_ERROR_"), "_").replace("_", "")

            def new(cls, *_arguments, value=value):
                return NVMLError.__new__(cls, value)

            kind = type(f"NVMLError_{words}", (NVMLError,), {"__new__": new})
            globals()[kind.__name__] = NVMLError._valClassMapping[value] = kind


_extract_errors_as_classes()
