"""What can keep the embedded broker from starting, in words an operator can act on."""


class KafkaSetupError(Exception):
    """The broker cannot be started on this machine; the message says why and what to do."""
