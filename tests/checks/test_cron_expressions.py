"""Cron expressions, compared with a server's verdicts."""

import importlib
import sys

import pytest
import recordings
from hypothesis import given, strategies as st

import inngest_wsgi as inngest
from inngest_wsgi.testing._flow.cron import is_cron

VERDICTS = recordings.verdicts("cron")


def declare(cron):
    """Return True if a trigger can be declared."""
    try:
        inngest.TriggerCron(cron=cron)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("cron, accepted", VERDICTS)
def test_a_trigger_takes_what_the_server_takes_and_nothing_else(cron, accepted):
    assert declare(cron) is bool(accepted)


@pytest.mark.parametrize("cron, accepted", VERDICTS)
def test_the_local_server_reads_what_the_server_reads(cron, accepted):
    if not cron.startswith(("TZ=", "CRON_TZ=")):  # a zone needs Python's database
        assert is_cron(cron) is bool(accepted)


@pytest.mark.parametrize(
    "cron, advice",
    [
        ("0 9 * *", r"not 4: '0 9 \* \*'. Write \* for each field"),
        ("0 0 9 * * *", "not 6.*no field for seconds: leave the first out"),
        ("61 * * * *", "'61' is not one of 0 to 59 in the field minute"),
        ("* * * 13 *", "'13' is not one of 1 to 12, or jan to dec in the field month"),
        ("0 9 * * monday", "'monday' is not one of 0 to 6, or sun to sat"),
        ("0 9 * * 7", "write 0 for Sunday"),
        ("0 9 * * fri-mon", "write two ranges, fri-6,0-mon"),
        ("*/0 * * * *", r"the step '0', which must be a number from 1"),
        ("1-2-3 * * * *", "two hyphens"),
        ("1/2/3 * * * *", "two slashes"),
        ("@daily", 'reads no @daily. Write "0 0 \\* \\* \\*"'),
        ("@every 15m", r'reads no @every. Write "\*/15 \* \* \* \*" for every 15 minutes'),
        ("TZ=Europe/Berlim 0 9 * * *", "'Europe/Berlim' is none; write Europe/Berlin"),
        ("TZ=europe/berlin 0 9 * * *", "write Europe/Berlin"),
        ("TZ=Europe/Berlin", "a space and five fields"),
        ("*" + " " * 300 + "* * * *", "no longer than 255 bytes"),
    ],
)
def test_the_error_says_what_to_write(cron, advice):
    with pytest.raises(ValueError, match="cron of a TriggerCron must.*" + advice):
        inngest.TriggerCron(cron=cron)


@pytest.mark.parametrize("cron, accepted", [row for row in VERDICTS if "TZ=" in row[0]])
def test_time_zones_are_known_without_pythons_database(cron, accepted, monkeypatch):
    # neither the system's nor the package's; Python 3.8 reads none
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo = sys.version_info >= (3, 9) and importlib.import_module("zoneinfo")
    try:
        if zoneinfo:
            zoneinfo.reset_tzpath(to=[])
        assert declare(cron) is bool(accepted)
    finally:
        if zoneinfo:
            zoneinfo.reset_tzpath()


PIECES = st.sampled_from(
    "* ? 0 1 5 6 7 12 31 59 60 007 +3 -0 x sun JAN , - / TZ=UTC CRON_TZ= @daily \u0665".split()
)
FIELDS = st.lists(PIECES, max_size=4).map("".join)


@given(st.lists(FIELDS, max_size=7).map(" ".join) | st.text(max_size=300))
def test_two_readings_agree(cron):
    if cron.strip() and "TZ=" not in cron:
        assert declare(cron) is is_cron(cron)
