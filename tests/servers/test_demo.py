"""The demos of the sites, as ``make demo`` runs them."""

import re
import signal
import urllib.request

import pytest
from demos import SITES, is_left_alone, start


def lines(*expected):
    """Return a pattern of lines of a run's history, with others between them."""
    return re.compile(
        ".*".join(r"\d+\.\d\d s +{} +{} +{}".format(*map(re.escape, line)) for line in expected),
        re.DOTALL,
    )


def shown(money, busy, courier):
    """Return what is printed of the three runs of a demo.

    :param money: the step that fails at first, with the error
    :param courier: the step that sleeps
    """
    return [
        lines(
            (money, "step error", f"attempt 0, {busy}"),
            (money, "step ran", "attempt 1"),
            (courier, "sleeping", ""),
            (courier, "woke", ""),
            ("confirm", "step ran", "attempt 0"),
            ("", "completed", ""),
        ),
        lines(("decision", "waiting", ""), ("ask-for-approval", "step ran", "attempt 0")),
        lines(("decision", "event received", ""), ("", "completed", "")),
        lines((money, "step failed", "attempt 1, NonRetriableError"), ("", "failed", "")),
    ]


SHOP = shown("charge", "GatewayBusy", "wait-for-the-courier") + [
    lines(("pack-2", "invoking", "shop-pack-piece"), ("pack-2", "invoked", "shop-pack-piece")),
    re.compile("run .* of shop-pack-piece: piece 1 of order 2 is packed"),
    re.compile("run .* of shop-remind-of-order: Order 2 is still to be approved"),
    re.compile("run .* of shop-fulfil-order-failure: Order 3 failed: the card was declined"),
    re.compile("^rows: orders 3, charges 2, parcels 3, mails 4$", re.MULTILINE),
]
CLAIMS = shown("pay", "BankBusy", "wait-for-the-bank") + [
    re.compile("run .* of claims-send-statement: You have 2 claims, of 2525.99 together"),
    re.compile("run .* of claims-settle-claim-failure: Claim 3 failed: the account is closed"),
    re.compile("^rows: claims_claim 3, claims_payment 2, claims_mail 4$", re.MULTILINE),
]


@pytest.mark.parametrize("site", SITES, ids=str)
def test_a_demo_shows_its_runs_and_each_effect_happens_once(site, tmp_path):
    site.need()
    demo = start(tmp_path, "demo.py", site.name)
    out, err = demo.communicate(timeout=300)
    assert demo.returncode == 0, out + err
    for pattern in CLAIMS if site.name == "django" else SHOP:
        assert pattern.search(out), out
    assert err == ""
    assert is_left_alone(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("when", ["local server", "sync", "sleeping"])
def test_an_interrupted_demo_leaves_nothing_behind(number, when, tmp_path):
    demo = start(tmp_path, "demo.py", "bottle")
    for line in demo.stdout:
        if when in line:
            break
    demo.send_signal(number)
    out, err = demo.communicate(timeout=300)
    assert demo.returncode == 130
    assert "Stopped." in out and "Traceback" not in err
    assert is_left_alone(tmp_path)


def test_a_site_that_is_kept_running(tmp_path):
    demo = start(tmp_path, "demo.py", "bottle", "--keep")
    for line in demo.stdout:
        pages = re.findall(r"(http://\S+/(?:approvals)?) ", line)
        if len(pages) == 2:
            break
    for url in pages:
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert b"To be approved" in answer.read()
    # as a person who presses Enter
    demo.stdin.write("\n")
    demo.stdin.flush()
    for line in demo.stdout:
        if re.match("shop-remind +completed", line):
            break
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate(timeout=300)
    assert (demo.returncode, err) == (0, "")
    assert "Stopped." in out
    assert is_left_alone(tmp_path)
