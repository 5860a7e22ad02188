"""A step that takes longer than the proxy in front of the app waits.

The application is the Inngest endpoint and nothing else. ``INNGEST_STREAMING``
decides if it streams its answers.
"""

import os
import time

import inngest_wsgi as inngest

#: A line for each report that was written.
REPORTS = os.environ.get("REPORTS", "reports.txt")
TAKES_S = 8

client = inngest.Inngest(app_id="office")


def write_report(attempt: int) -> str:
    time.sleep(TAKES_S)
    with open(REPORTS, "a") as reports:
        reports.write(f"report of attempt {attempt}\n")
    return "written"


@client.create_function(
    fn_id="report",
    name="Write a report",
    trigger=inngest.TriggerEvent(event="office/report.wanted"),
    retries=1,
)
def report(ctx: inngest.Context) -> str:
    return ctx.step.run("write-report", write_report, ctx.attempt)


application = inngest.serve(
    client=client,
    functions=[report],
    # shorter than the two seconds that the proxy waits for the next byte
    keepalive_interval="1s",
)
