"""One receiver, through apprise."""

from __future__ import annotations

import logging

import apprise

from replicator.errors import ConfigError
from replicator.notify.notices import Level, Notice

_KINDS = {
    Level.BAD: apprise.NotifyType.FAILURE,
    Level.NOTE: apprise.NotifyType.WARNING,
    Level.OVER: apprise.NotifyType.SUCCESS,
}


class Courier:
    """Delivers to one URL. `words` names it without what is secret in it."""

    def __init__(self, url: str, number: int) -> None:
        """`ConfigError` for a URL that apprise doesn't understand; the URL itself isn't printed."""
        self._service = apprise.Apprise()
        _quiet()
        if not self._service.add(url):
            raise ConfigError(
                f"notify.urls[{number}] is no URL that apprise understands.",
                next_step="see https://github.com/caronc/apprise/wiki for what each service's URL looks like",
            )
        self.words = f"notify.urls[{number}] ({url.split(':', 1)[0]})"

    def deliver(self, notice: Notice) -> bool:
        """Whether the service took it. Waits for its answer for some seconds at most."""
        return bool(
            self._service.notify(title=notice.title, body=notice.body, notify_type=_KINDS[notice.level])
        )


def _quiet() -> None:
    """apprise's own lines would stand among structured ones, and might quote a URL."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
