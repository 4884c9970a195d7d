"""GPUs as NVML describes them, on a simulated NVML that is held against the real pynvml."""

from __future__ import annotations

import importlib.util
import inspect
import json
from pathlib import Path

import pynvml
import pytest

from torchproof.errors import HostError
from torchproof.run.nvml import devices, opened, sample


SIMULATED = Path(__file__).parents[1] / "simulated_nvml" / "pynvml.py"
GIB = 1024**3


def load_simulated():
    spec = importlib.util.spec_from_file_location("simulated_pynvml", SIMULATED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def simulated():
    return load_simulated()


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Return a function that sets what the simulated host has."""
    file = tmp_path / "nvml.json"
    monkeypatch.setenv("SIMULATED_NVML", str(file))

    def has(*gpus, **host):
        file.write_text(json.dumps({"devices": [{"uuid": "GPU-a"} | gpu for gpu in gpus], **host}))

    return has


def read(simulated):
    with opened(simulated) as nvml:
        return devices(nvml)


SHARED = [name for name in vars(load_simulated()) if name.startswith(("nvml", "NVML", "c_nvml"))]


@pytest.mark.parametrize("name", SHARED)
def test_the_simulation_has_the_names_and_values_of_the_real_pynvml(simulated, name):
    real, ours = getattr(pynvml, name), getattr(simulated, name)
    if inspect.isfunction(ours):
        parameters = [str(parameter) for parameter in inspect.signature(ours).parameters.values()]
        real_ones = inspect.signature(real).parameters.values()
        assert parameters == [str(parameter) for parameter in real_ones]
    elif isinstance(ours, int):
        assert real == ours
    elif issubclass(ours, simulated.NVMLError) and ours is not simulated.NVMLError:
        assert issubclass(real, pynvml.NVMLError)
        assert ours(0).value == real(0).value
        assert type(simulated.NVMLError(real(0).value)).__name__ == name


def test_the_simulation_returns_what_the_real_structures_hold(simulated):
    fields = {name for name, _ in pynvml.c_nvmlMemory_t._fields_}
    assert vars(simulated.c_nvmlMemory_t(3, 1)) == {"total": 3, "free": 2, "used": 1}
    assert fields == {"total", "free", "used"}


def test_the_simulation_is_strict(simulated, host):
    host({})
    with pytest.raises(simulated.NVMLError_Uninitialized):
        simulated.nvmlDeviceGetCount()
    simulated.nvmlInit()
    with pytest.raises(simulated.NVMLError_InvalidArgument):
        simulated.nvmlDeviceGetName(0)
    host({"colour": "green"})
    with pytest.raises(ValueError, match="colour"):
        simulated.nvmlDeviceGetCount()


def test_where_there_is_no_driver_the_real_pynvml_leads_to_one_clear_sentence():
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        with pytest.raises(HostError, match="no NVIDIA GPU is visible here"), opened():
            pass
    else:
        pynvml.nvmlShutdown()
        pytest.skip("this machine has an NVIDIA driver")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("LibraryNotFound", "no NVIDIA GPU is visible here"),
        ("DriverNotLoaded", "no NVIDIA GPU is visible here"),
        ("LibRmVersionMismatch", "the NVIDIA driver was updated while it ran"),
        ("Unknown", "the NVIDIA driver does not answer"),
    ],
)
def test_a_driver_that_does_not_work_is_one_clear_sentence(simulated, host, error, sentence):
    host(init_error=error)
    with pytest.raises(HostError, match=sentence) as caught, opened(simulated):
        pass
    assert caught.value.remedy


def test_a_device_is_described(simulated, host):
    host(
        {"name": "NVIDIA H100", "total": 80 * GIB, "used": GIB, "processes": [7, 9]},
        {"uuid": "GPU-b"},
        driver="560.35.03",
        cuda=12060,
    )
    first, second = read(simulated)
    assert (first.uuid, first.name, first.driver, first.cuda) == (
        "GPU-a",
        "NVIDIA H100",
        "560.35.03",
        "12.6",
    )
    assert (first.memory_total, first.memory_used, first.processes) == (80 * GIB, GIB, (7, 9))
    assert (second.uuid, second.processes, second.unhealthy) == ("GPU-b", (), "")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"remapped_rows": [0, 0, 0, 1]}, "cannot be repaired"),
        ({"remapped_rows": [0, 1, 1, 0]}, "needs a reset"),
        ({"retired_pending": 1}, "needs a reset"),
        ({"ecc_uncorrected": 2}, "uncorrected memory errors"),
        ({"errors": {"nvmlDeviceGetHandleByIndex": "GpuIsLost"}}, "cannot be read"),
        ({"errors": {"nvmlDeviceGetMemoryInfo": "Unknown"}}, "cannot be read"),
        ({"remapped_rows": [3, 0, 0, 0]}, ""),
    ],
)
def test_a_sick_device_says_why_and_hides_no_other(simulated, host, state, reason):
    host(state, {"uuid": "GPU-b"})
    sick, well = read(simulated)
    assert reason in sick.unhealthy
    assert bool(reason) == bool(sick.unhealthy)
    assert (well.uuid, well.unhealthy) == ("GPU-b", "")


def test_what_a_consumer_card_does_not_know_is_nothing_to_report(simulated, host):
    unknown = ("RemappedRows", "RetiredPagesPendingStatus", "TotalEccErrors", "MigMode")
    host({"errors": {f"nvmlDeviceGet{name}": "NotSupported" for name in unknown}})
    assert read(simulated)[0].unhealthy == ""


def test_each_mig_instance_is_a_device_with_the_health_of_the_whole(simulated, host):
    parts = [{"uuid": "MIG-1", "total": 10 * GIB, "processes": [5]}, {"uuid": "MIG-2"}]
    host({"mig": parts, "ecc_uncorrected": 1, "clocks_event_reasons": 0x20})
    first, second = read(simulated)
    assert (first.uuid, first.memory_total, first.processes) == ("MIG-1", 10 * GIB, (5,))
    assert "uncorrected" in second.unhealthy
    assert second.throttled == ("thermal slowdown",)


def test_a_sample_tells_memory_and_what_slows_the_clocks(simulated, host):
    host({"used": 5, "clocks_event_reasons": 0x1 | 0x4 | 0x40, "mig": [{"uuid": "MIG-1"}]})
    with opened(simulated) as nvml:
        assert sample(nvml, "GPU-a") == (5, ("power cap", "hardware thermal slowdown"))
        assert sample(nvml, "MIG-1") == (0, ("power cap", "hardware thermal slowdown"))
