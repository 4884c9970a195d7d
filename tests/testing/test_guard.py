"""What a test leaves behind is reported and undone; what it puts back is not."""

from __future__ import annotations

import pytest


LEAKS = {
    "torch default dtype: torch.float32 → torch.float64": "torch.set_default_dtype(torch.float64)",
    "torch grad mode: True → False": "torch.set_grad_enabled(False)",
    "torch deterministic algorithms: 0 → 2": "torch.use_deterministic_algorithms(True)",
    "torch.backends.cudnn.benchmark: False → True": "torch.backends.cudnn.benchmark = True",
    "torch.backends.cudnn.deterministic: False → True": "torch.backends.cudnn.deterministic = True",
    "torch float32 matmul precision: highest → medium": (
        "torch.set_float32_matmul_precision('medium')"
    ),
    "torch anomaly mode: (False, True) → (True, True)": "torch.autograd.set_detect_anomaly(True)",
    "torch default device: cpu → meta": "torch.set_default_device('meta')",
    "torch's global generator was seeded with 3 and left so": "torch.manual_seed(3)",
    "torch.distributed process group: False → True": (
        "torch.distributed.init_process_group('gloo', rank=0, world_size=1,"
        " store=torch.distributed.HashStore())"
    ),
    "environment variable TP_NEW was set": "os.environ['TP_NEW'] = 'secret'",
    "environment variable TP_OLD was changed": "os.environ['TP_OLD'] = 'secret'",
    "environment variable TP_GONE was removed": "del os.environ['TP_GONE']",
}


def leaks(record):
    return [(leak.test.rpartition("::")[2], leak.message) for leak in record.leaks]


def test_every_leak_is_reported_and_reaches_no_other_test(suite, monkeypatch):
    monkeypatch.setenv("TP_OLD", "old")
    monkeypatch.setenv("TP_GONE", "gone")
    body = "".join(
        f"def test_{number}():\n    {code}\n" for number, code in enumerate(LEAKS.values())
    )
    suite.file("test_it.py", f"import os, torch\n{body}")
    record = suite.record(apart=True)
    assert [item.outcome for item in record.outcomes] == ["passed"] * len(LEAKS)
    assert sorted(leaks(record)) == sorted(
        (f"test_{number}", message) for number, message in enumerate(LEAKS)
    )


def test_a_leak_is_shown_in_one_line_and_values_of_variables_are_not(suite):
    suite.file("test_it.py", "import os\ndef test_it(): os.environ['TP_NEW'] = 'secret'\n")
    result = suite.run()
    result.stdout.fnmatch_lines(
        ["*= torchproof =*", "leak: test_it.py::test_it: environment variable TP_NEW was set"]
    )
    result.stdout.no_fnmatch_line("*secret*")


def test_tests_that_seed_torch_share_a_line(suite):
    text = "import torch\ndef test_a(): torch.manual_seed(3)\ndef test_b(): torch.manual_seed(4)\n"
    suite.file("test_it.py", text)
    suite.run().stdout.fnmatch_lines(
        ["leak: 2 tests left torch's global generator with a seed of their own, first *::test_a *"]
    )


@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_what_a_fixture_puts_back_is_no_leak(suite, scope):
    text = f"""
        import os, pytest, torch
        @pytest.fixture(scope="{scope}")
        def double():
            torch.set_default_dtype(torch.float64)
            os.environ["TP_NEW"] = "1"
            yield
            del os.environ["TP_NEW"]
            torch.set_default_dtype(torch.float32)
        def test_a(double): assert torch.zeros(1).dtype == torch.float64
        def test_b(double): assert torch.zeros(1).dtype == torch.float64
        def test_c(request):
            request.getfixturevalue("double")
            assert "TP_NEW" in os.environ
    """
    suite.file("test_it.py", text)
    suite.file(
        "test_next.py", "import torch\ndef test_d(): torch.zeros(1).dtype == torch.float32\n"
    )
    record = suite.record()
    assert record.passed
    assert leaks(record) == []


def test_a_module_fixture_that_never_puts_back_is_named_after_its_own_end(suite):
    text = """
        import pytest, torch
        @pytest.fixture(scope="module")
        def double():
            torch.set_default_dtype(torch.float64)
        def test_a(double): assert torch.zeros(1).dtype == torch.float64
        def test_b(double): assert torch.zeros(1).dtype == torch.float64
    """
    suite.file("test_it.py", text)
    suite.file(
        "test_next.py", "import torch\ndef test_c(): assert torch.zeros(1).dtype == torch.float32\n"
    )
    record = suite.record()
    assert record.passed
    assert leaks(record) == [
        ("test_it.py (double)", "torch default dtype: torch.float32 → torch.float64")
    ]


def test_seeds_that_are_put_back_are_no_leak(suite):
    text = """
        import torch
        def test_it():
            with torch.random.fork_rng():
                torch.manual_seed(3)
    """
    suite.file("test_it.py", text)
    assert leaks(suite.record()) == []


def test_a_test_that_imports_torch_is_compared_with_torch_as_it_came(suite):
    text = """
        import sys
        def test_it():
            assert "torch" not in sys.modules
            import torch
            torch.set_default_dtype(torch.float64)
        def test_next():
            import torch
            assert torch.zeros(1).dtype == torch.float32
    """
    suite.file("test_it.py", text)
    record = suite.record(apart=True)
    assert record.passed
    assert leaks(record) == [("test_it", "torch default dtype: torch.float32 → torch.float64")]


def test_leaks_come_home_from_xdist_workers(suite):
    suite.file("test_it.py", "import os\ndef test_it(): os.environ['TP_NEW'] = '1'\n")
    result = suite.run("-n1", apart=True)
    result.stdout.fnmatch_lines(["leak: test_it.py::test_it: environment variable TP_NEW was set"])


def test_unittest_and_doctest_are_guarded_too(suite):
    text = '''
        """
        >>> import os
        >>> os.environ["TP_DOC"] = "1"
        """
        import os, unittest
        class TestIt(unittest.TestCase):
            @classmethod
            def setUpClass(cls): os.environ["TP_CLASS"] = "1"
            @classmethod
            def tearDownClass(cls): del os.environ["TP_CLASS"]
            def test_a(self): assert os.environ.pop("TP_CLASS")
            def test_b(self): assert os.environ["TP_CLASS"]
    '''
    suite.file("test_it.py", text)
    assert sorted(leaks(suite.record("--doctest-modules"))) == [
        ("test_a", "environment variable TP_CLASS was removed"),
        ("test_it", "environment variable TP_DOC was set"),
    ]
