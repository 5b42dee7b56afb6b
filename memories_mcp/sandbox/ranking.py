"""Ranking of transcript segments by the words of a question, without a model."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

_STOP_WORDS = frozenset(
    "a about after all also always am an and answer answers any appear appears are as at be because been before being "
    "brief briefly but by can cite clip clips could describe described detail detailed details did discuss discussed "
    "discussion do does doing done each every exactly explain explained find for from gave get gets give go goes "
    "going got had has have having he her him his how i if in into is it its just key know let like list long made "
    "main many may me mention mentioned mentions might moment moments most much must my name need no not of on one or "
    "our out over overview part parts please question quote quotes said say saying says see seen she short should "
    "show showing shown shows so some sources still such summarise summarize summary talk talked talking talks tell "
    "than that the their them then there these they thing things this those timestamp timestamps to too topic up us "
    "use used very video videos want was watch way we were what when where which while who whom whose why will with "
    "would you your yourself".split()
) | {first + second for first in ("any", "every", "no", "some") for second in ("body", "one", "thing")}
_FAMILIES = (
    "decide decided decides decision decisions agree agreed",
    "price prices priced pricing cost costs fee",
    "hurt injury injured",
    "win wins won winner result final score",
    "bike bicycle",
    "football soccer",
    "fix fixed fixing repair replace",
    "store keep keeps storage",
    "hire hired hiring recruit",
    "marketing advertising",
    "danger dangerous careful risk risky",
    "cause causes reason",
)
_FAMILY = {word: family.split() for family in _FAMILIES for word in family.split()}
"""The words that express the same in a question and in an answer, where their stems differ."""

_PAIR = 1
"""The worth of two words that are close together in the question and in the segment."""
_OVERLAP, _NEIGHBOUR, _VIDEO = 0.5, 0.3, 0.2
"""The worth of a word that is not in the segment, but in the other track at that time, beside it, or in the name."""

_MOST_WORDS = 30

ABOUT = "about"
"""The track that holds a video's name and tags for the search; it is no transcript."""


def content_words(text: str) -> list[str]:
    """Return the distinct words of a text that say what it is about; none for a text such as "What is it about?"."""
    words = (word for word in _words(text) if word not in _STOP_WORDS)
    return [word for word in words if len(word) > 1 or not word.isascii()]


def search_words(text: str) -> list[str]:
    """Return the words that a search for a text compares: its content words, or all words if it has none."""
    return (content_words(text) or _words(text))[:_MOST_WORDS]


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"\w+", re.sub(r"['’]s\b", "", text.lower()))))


def fts_query(word: str) -> str:
    """Return a full-text query for a word, its stem's other endings, and its family."""
    return " OR ".join(map(_fts_term, _FAMILY.get(word, [word])))


def fts_pairs(words: Sequence[str]) -> list[str]:
    """Return a full-text query for each two consecutive words, which must be close together."""
    return [f"NEAR({_fts_term(first)} {_fts_term(second)}, 2)" for first, second in pairwise(words)]


def _fts_term(word: str) -> str:
    """Return a quoted word, because FTS5 rejects punctuation and reads AND, OR and NEAR as operators."""
    return f'"{word}"{"*" if len(word) > 4 else ""}'


def rank(
    hits: Mapping[str, Sequence[dict[str, Any]]],
    pairs: Sequence[Sequence[dict[str, Any]]],
    *,
    tracks: Sequence[str],
    total: int,
) -> list[dict[str, Any]]:
    """Return the segments that contain a word of the question, best first, with a `score` between 0 and 1.

    The score is the share of the question that the segment covers, with its surroundings: a rare word is worth more
    than a frequent one, and neighbours in the question that are neighbours in the segment are worth more. bm25 decides
    between equals.

    Args:
        hits: For each word of the question the segments of every track that contain it.
        pairs: For each two consecutive words of the question the segments that contain them close together.
        tracks: The tracks of the result; the others are only surroundings.
        total: How many segments the search covers.
    """
    segments: dict[int, dict[str, Any]] = {}
    worth: dict[int, dict[str, float]] = defaultdict(dict)
    by_video: dict[str, set[int]] = defaultdict(set)
    weights: dict[str, float] = {}
    for word, rows in hits.items():
        weights[word] = 1 + math.log((total + 1) / (len(rows) + 1)) / 4
        for row in rows:
            segment = segments.setdefault(row["id"], row | {"rank": 0})
            segment["rank"] += row["rank"]
            worth[row["id"]][word] = weights[word]
            by_video[row["video_no"]].add(row["id"])
    close = Counter(row["id"] for rows in pairs for row in rows)
    whole = sum(weights.values())
    best = whole * (1 + _OVERLAP + _NEIGHBOUR + _VIDEO) + _PAIR * len(pairs)
    ranked: list[dict[str, Any]] = []
    for key, segment in segments.items():
        if segment["track"] not in tracks:
            continue
        around: dict[tuple[float, str], float] = {}
        for other in by_video[segment["video_no"]]:
            if other != key and (nearness := _nearness(segment, segments[other])):
                around |= {(nearness, word): nearness * value for word, value in worth[other].items()}
        covered = worth[key].keys() | {word for _, word in around}
        score = sum(worth[key].values()) + sum(around.values()) + _PAIR * close[key]
        coverage = sum(weights[word] for word in covered) / whole
        ranked.append(segment | {"score": round(score / best, 4), "coverage": coverage})
    return sorted(ranked, key=lambda row: (-row["score"], row["rank"]))


def _nearness(segment: dict[str, Any], other: dict[str, Any]) -> float:
    if other["track"] == ABOUT:
        return _VIDEO
    if other["start"] < segment["end"] and segment["start"] < other["end"]:
        return _OVERLAP
    gap = max(other["start"] - segment["end"], segment["start"] - other["end"])
    return _NEIGHBOUR if gap < (segment["end"] - segment["start"]) / 2 else 0
