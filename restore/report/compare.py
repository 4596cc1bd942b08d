"""Any two films side by side, and the truth beside them where there is one."""

from __future__ import annotations

from fractions import Fraction

from restore.errors import SourceError
from restore.pipeline.stills import shown_size
from restore.report.film import Film
from restore.report.job_report import film_facts
from restore.report.measures import measure
from restore.report.moments import choose
from restore.report.page import Page


def compare(first: str, second: str, truth: str | None = None) -> Page:
    """A page that compares two films, moment by moment; with `truth`, each with it as well.

    Moments are matched by their times from each film's first frame. Raises SourceNotFoundError, SourceError.
    """
    with Film(first) as before, Film(second) as after:
        length = after.time(len(after) - 1)
        parts = [(length * Fraction(part, 8), length * Fraction(part + 1, 8)) for part in range(8)] if length else []
        moments = choose(before, after, parts, Fraction(0))
        facts = film_facts(before, after)
        truths = []
        smaller = min(shown_size(before.format), shown_size(after.format))
        if truth is not None:
            size = shown_size(after.format)
            with Film(truth) as true:
                places = [true.at(pair.time) for pair in moments.compared]
                stills = dict(true.stills(places, size))
                if set(places) - set(stills):
                    raise SourceError(f"{truth}: does not show every moment that the other films do")
                truths = [stills[place] for place in places]
            facts.append(("truth", truth))
    measured = measure([(pair.before, pair.after) for pair in moments.compared], truths, smaller)
    return Page(f"{first} and {second}", ("first", "second"), tuple(facts), moments, tuple(measured))
