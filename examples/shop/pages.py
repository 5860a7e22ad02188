"""The HTML of the pages, which the three sites have in common.

Each framework has templates of its own; with them, the same pages would be here three
times.
"""

from html import escape
from typing import List, Sequence, Tuple

from .models import Mail, Order

LAYOUT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 46em;
         margin: 0 auto; padding: 1em }}
  nav a {{ margin-right: 1em }}
  table {{ border-collapse: collapse; width: 100% }}
  th, td {{ text-align: left; padding: .4em .6em .4em 0; border-bottom: 1px solid #ddd }}
  form.order {{ display: grid; grid-template-columns: 8em 1fr; gap: .5em; max-width: 26em;
               align-items: center }}
  form.order button {{ grid-column: 2; justify-self: start }}
  input, select, button {{ font: inherit; padding: .2em .5em }}
  td form {{ display: inline }}
</style>
<nav><a href="/">Orders</a> <a href="/approvals">To be approved</a></nav>
<h1>{title}</h1>
{body}
</html>"""

ORDER_FORM = """<h2>Order something</h2>
<form class="order" method="post" action="/orders">
  <input type="hidden" name="csrf_token" value="{token}">
  <label for="item">Item</label> <input id="item" name="item" value="a teapot" required>
  <label for="pieces">Pieces</label>
  <input id="pieces" name="pieces" type="number" min="1" max="9" value="2" required>
  <label for="price">Price in cents</label>
  <input id="price" name="price" type="number" min="1" max="1000000" value="2599" required>
  <label for="card">Card</label>
  <select id="card" name="card">
    <option value="good">a good one <option value="declined">one that is declined
  </select>
  <button>Order</button>
</form>
<p>An order of more than 100.00 waits until somebody approves it.</p>"""

DECISION_FORM = """<form method="post" action="/approvals/{order_id}">
  <input type="hidden" name="csrf_token" value="{token}">
  <button name="decision" value="approve">Approve</button>
  <button name="decision" value="reject">Reject</button>
</form>"""


def home(orders: List[Order], mails: List[Mail], token: str) -> str:
    """Return the page of all orders.

    :param token: of the site's protection against forged requests (CSRF)
    """
    return page(
        "Orders",
        ORDER_FORM.format(token=escape(token))
        + "<h2>All orders</h2>"
        + table(ORDER_HEADS + ("Status",), [order_cells(each) + (each.status,) for each in orders])
        + "<h2>Mails</h2>"
        + table(("To", "Text"), [(mail.recipient, mail.text) for mail in mails]),
    )


def approvals(orders: List[Order], token: str) -> str:
    """Return the page of the orders that wait for a decision."""
    forms = [DECISION_FORM.format(order_id=each.id, token=escape(token)) for each in orders]
    rows = [order_cells(each) for each in orders]
    return page("To be approved", table(ORDER_HEADS + ("Decision",), rows, forms))


def refused(reason: str) -> str:
    """Return the page that says why a form was not accepted."""
    return page("That did not work", f"<p>{escape(reason)}</p>")


def page(title: str, body: str) -> str:
    return LAYOUT.format(title=title, body=body)


ORDER_HEADS = ("Order", "Item", "Pieces", "Price")


def order_cells(order: Order) -> Tuple[str, ...]:
    return (str(order.id), order.item, str(order.pieces), f"{order.price / 100:.2f}")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], forms: Sequence[str] = ()) -> str:
    """Return a table, or a line that says that there is nothing to show.

    :param rows: texts, which are escaped
    :param forms: the last cell of each row, if it is HTML
    """
    if not rows:
        return "<p>None.</p>"
    lines = ["<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for number, row in enumerate(rows):
        cells = [escape(cell) for cell in row] + list(forms[number : number + 1])
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "<table>" + "\n".join(lines) + "</table>"
