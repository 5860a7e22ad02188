"""Draw the charts of docs/performance.md with matplotlib."""

import pathlib

import growth
import steps

#: The colours of entrants, which can be told apart without colours by the legend's order.
COLOURS = {
    "floor": "#9a9a9a",
    "empty": "#c9c9c9",
    "ours": "#1f6feb",
    "ours+orjson": "#0a3069",
    "ours, streamed": "#8250df",
    "official": "#d4700a",
    "without checkpointing": "#9a9a9a",
    "with checkpointing": "#1f6feb",
    "official SDK": "#d4700a",
}
OTHERS = ("#1a7f37", "#8250df", "#cf222e")


def draw(results, folder):
    """Draw a chart of each measurement that has one, as SVG files; return the paths."""
    import matplotlib

    matplotlib.use("svg")
    # text stays text, and the same results give the same file
    matplotlib.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "benchmarks",
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    from matplotlib import pyplot

    found = []
    for name, chart in CHARTS.items():
        if name not in results:
            continue
        figure, axes = pyplot.subplots(1, chart.columns, figsize=(4 * chart.columns, 3))
        chart(results[name], axes)
        bars, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(bars, names, loc="lower center", ncol=len(names), frameon=False)
        figure.tight_layout(rect=(0, 0.1, 1, 1))
        path = pathlib.Path(folder) / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None}, facecolor="white")
        pyplot.close(figure)
        found.append(path)
    return found


def columns(number):
    """Say how many diagrams a chart has side by side."""

    def mark(function):
        function.columns = number
        return function

    return mark


def grouped_bars(axes, groups, bars):
    """Draw a group of bars for each of ``groups``.

    :param bars: the heights by the name of the bar, in the order of the groups
    """
    width = 0.8 / len(bars)
    spare = list(OTHERS)
    for position, (name, heights) in enumerate(bars.items()):
        left = [number - 0.4 + (position + 0.5) * width for number in range(len(groups))]
        colour = COLOURS.get(name) or spare.pop(0)
        axes.bar(left, heights, width * 0.9, label=name, color=colour)
    axes.set_xticks(range(len(groups)), groups)


def logarithmic(axes, *directions):
    """Scale one axis or both by powers of ten, written out."""
    for direction in directions:
        axes.set(**{f"{direction}scale": "log"})
        axis = getattr(axes, f"{direction}axis")
        axis.set_major_formatter("{x:,g}")
        axis.set_minor_formatter("")


@columns(2)
def calls(rows, axes):
    groups = [row["memos"] for row in rows]
    names = list(rows[0]["seconds"])
    grouped_bars(
        axes[0],
        groups,
        {name: [row["floor_ratio"][name] for row in rows] for name in names},
    )
    axes[0].set_title("Speed, of the floor")
    axes[0].set_xlabel("memos of the call")
    numbers = [row for row in rows if row["memos"].isdigit()]
    for name in rows[0]["seconds"]:
        axes[1].plot(
            [int(row["memos"]) + 1 for row in numbers],
            [row["seconds"][name] * 1e6 for row in numbers],
            marker=".",
            label=name,
            color=COLOURS.get(name),
        )
    logarithmic(axes[1], "x", "y")
    axes[1].set_xlabel("memos of the call + 1")
    axes[1].set_title("Microseconds a call")


@columns(2)
def servers(rows, axes):
    groups = [row["memos"] for row in rows]
    names = list(rows[0]["per_second"])
    grouped_bars(
        axes[0],
        groups,
        {name: [row["empty_ratio"][name] for row in rows] for name in names},
    )
    axes[0].set_title("Requests a second, of the empty application")
    grouped_bars(
        axes[1], groups, {name: [row["p99_s"][name] * 1e3 for row in rows] for name in names}
    )
    logarithmic(axes[1], "y")
    axes[1].set_title("99 % answered within, ms")
    for each in axes:
        each.set_xlabel("memos of the call")


@columns(2)
def step_bars(rows, axes):
    for each, delay_s in zip(axes, (steps.QUEUE_DELAY_S, 0.0)):
        chosen = [row for row in rows if row["queue_delay_s"] == delay_s]
        names = list(dict.fromkeys(row["entrant"] for row in chosen))
        seconds = {(row["entrant"], row["shape"]): row["wall_s"] for row in chosen}
        bars = {name: [seconds[name, shape] for shape in steps.SHAPES] for name in names}
        grouped_bars(each, list(steps.SHAPES.values()), bars)
        each.set_title(f"Seconds, {delay_s * 1000:.0f} ms of queue before each call")


@columns(3)
def growth_curves(rows, axes):
    for name in growth.CURVES:
        chosen = [row for row in rows if row["curve"] == name]
        sizes = [row["steps"] for row in chosen]
        axes[0].plot(sizes, [row["cpu_s"] for row in chosen], marker=".", label=name)
        carried = [growth.memos_carried(row) for row in chosen]
        costs = [
            row["cpu_s"] * 1e6 / (memos or row["steps"]) for row, memos in zip(chosen, carried)
        ]
        axes[1].plot(sizes, costs, marker=".", label=name)
        if None not in [row["peak_bytes"] for row in chosen]:
            peaks = [row["peak_bytes"] / 2**20 for row in chosen]
            axes[2].plot(sizes, peaks, marker=".", label=name)
    axes[0].set_title("CPU seconds of the app")
    axes[1].set_title("CPU µs a step, or a memo carried")
    logarithmic(axes[1], "y")
    axes[2].set_title("Memory above the idle app, MiB")
    for each in axes:
        each.set_xlabel("steps of the run")


CHARTS = {"calls": calls, "servers": servers, "steps": step_bars, "growth": growth_curves}
