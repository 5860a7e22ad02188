"""The official SDK's own tests of its module ``mocked``, with their imports changed."""

import pathlib
import types

import pytest
from inngest.experimental import mocked as official

SOURCE = pathlib.Path(str(official.__file__)).with_name("trigger_test.py")

IMPORTS = {
    "import inngest\n": "import inngest_wsgi as inngest\n",
    "from inngest.experimental import mocked\n": (
        "from inngest_wsgi.experimental import mocked\n"
    ),
    "from .errors import UnstubbedStepError\n": (
        "from inngest_wsgi.experimental.mocked import UnstubbedStepError\n"
    ),
}


def cases():
    if not SOURCE.exists():
        return []
    source = SOURCE.read_text()
    for theirs, ours in IMPORTS.items():
        assert theirs in source
        source = source.replace(theirs, ours)
    module = types.ModuleType("official_tests_of_mocked")
    exec(compile(source, str(SOURCE), "exec"), module.__dict__)
    cases = module.TestTriggerSync
    return [cases(name) for name in dir(cases) if name.startswith("test_")]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id().rpartition(".")[2])
def test_the_official_test_passes(case):
    case.debug()
