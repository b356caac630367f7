"""How long a record may wait in an open segment, by its topic."""

from __future__ import annotations

import re

from replicator import config
from replicator.errors import ConfigError


class Urgencies:
    """`sink.urgent` and `sink.max_age_s` as one answer per topic."""

    def __init__(self, settings: config.Sink, installation: str) -> None:
        """`ConfigError` for a pattern that is no regular expression."""
        self._default = settings.max_age_s
        self._transactions = f"{installation}.transaction"
        self._patterns: list[tuple[re.Pattern[str], float]] = []
        for urgency in settings.urgent:
            try:
                self._patterns.append((re.compile(urgency.topics), urgency.max_age_s))
            except re.error as error:
                raise ConfigError(
                    f"sink.urgent: {urgency.topics!r} is not a regular expression: {error}"
                ) from None

    def max_age_s(self, topic: str) -> float:
        """Seconds. Of all patterns that match, the shortest.

        The transaction topic is as urgent as the most urgent of all: without its END a change proves nothing.
        """
        everything = topic == self._transactions
        ages = [age for pattern, age in self._patterns if everything or pattern.fullmatch(topic)]
        return min([self._default, *ages])
