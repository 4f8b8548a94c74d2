"""What can keep the embedded broker from starting, in words an operator can act on."""

from schemas.errors import PlayheadError


class KafkaSetupError(PlayheadError):
    """The broker cannot be started on this machine; the message says why and what to do."""
