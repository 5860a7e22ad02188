"""Summarise what entrants took that were measured in turns, round by round."""

import statistics


def medians(found, value=lambda result: result):
    """Return the median of each entrant.

    :param found: the results of each entrant, in the order of the rounds
    :param value: returns the number that counts of a result
    """
    return {name: statistics.median(map(value, results)) for name, results in found.items()}


def ratios(found, base, value=lambda result: result):
    """Return the number of one entrant as a multiple of that of each, the median of all rounds.

    Two that take turns find the machine equally busy. The ratio of their medians depends more on
    what else it does.

    :param base: the name of the one; there are no ratios without it
    """
    if base not in found:
        return {}
    return {
        name: statistics.median(
            value(one) / value(other) for one, other in zip(found[base], results)
        )
        for name, results in found.items()
    }
