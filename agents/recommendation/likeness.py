"""How alike titles are by what is written of them, before anybody watched one.

Genres, people and words of name and synopsis are hashed into one short vector a title (feature
hashing with signs, Weinberger 2009). Each of the three parts has a length of its own, so that a
long synopsis says no more than a short one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import numpy as np

from agents.recommendation.numbers import Floats, Ints
from schemas.catalog import Title

WIDTH: Final = 256
"""Places of a vector: 1 KB a title."""
GENRES_LENGTH: Final = 1.0
PEOPLE_LENGTH: Final = 1.0
WORDS_LENGTH: Final = 0.5
WORDS_MAX: Final = 64
"""Of a synopsis; what a title is about stands at its beginning."""
LETTERS_MIN: Final = 4
"""Shorter words say nothing of a title."""
TASTE_TITLES: Final = 20
TASTE_DECAY: Final = 0.9
"""What each earlier title counts of the one after it."""

_WORD: Final = re.compile(r"\w+")


class Likeness:
    """A vector of length 1 for each place of the catalog; of length 0 where nothing is written."""

    def __init__(self) -> None:
        self._vectors: Floats = np.zeros((64, WIDTH), dtype=np.float32)
        self._places = 0

    def put(self, place: int, title: Title | None) -> None:
        """Read the title anew; None: it is removed."""
        if place >= len(self._vectors):
            self._vectors = np.pad(self._vectors, ((0, len(self._vectors)), (0, 0)))
        self._vectors[place] = 0.0 if title is None else vector_of(title)
        self._places = max(self._places, place + 1)

    def taste(self, places: Ints) -> Floats:
        """(WIDTH,): what these titles, newest first, have in common; zeros where there is none."""
        newest = places[:TASTE_TITLES]
        weights = (TASTE_DECAY ** np.arange(len(newest))).astype(np.float32)
        return _of_length(weights @ self._vectors[newest], 1.0)

    def to(self, taste: Floats) -> Floats:
        """(places,): the cosine of every title with a taste, -1 to 1; 0 without a taste."""
        if not taste.any():
            return np.zeros(self._places, dtype=np.float32)
        found: Floats = self._vectors[: self._places] @ taste
        return found


def vector_of(title: Title) -> Floats:
    """(WIDTH,): the title's vector; the same text gives the same."""
    text = f"{title.title} {title.description}".casefold()
    words = [word for word in _WORD.findall(text) if len(word) >= LETTERS_MIN]
    parts = (
        _hashed((f"genre {genre.casefold()}" for genre in title.genres), GENRES_LENGTH),
        _hashed((f"person {person.casefold()}" for person in title.people), PEOPLE_LENGTH),
        _hashed(dict.fromkeys(words[:WORDS_MAX]), WORDS_LENGTH),
    )
    return _of_length(parts[0] + parts[1] + parts[2], 1.0)


def _hashed(tokens: Iterable[str], length: float) -> Floats:
    vector = np.zeros(WIDTH, dtype=np.float32)
    for place, sign in map(_place_and_sign, tokens):
        vector[place] += sign
    return _of_length(vector, length)


def _place_and_sign(token: str) -> tuple[int, int]:
    number = int.from_bytes(blake2b(token.encode(), digest_size=4).digest(), "big")
    return (number >> 1) % WIDTH, 1 if number & 1 else -1


def _of_length(vector: Floats, length: float) -> Floats:
    norm = float(np.linalg.norm(vector))
    scaled: Floats = vector * np.float32(length / norm) if norm > 0 else vector
    return scaled
