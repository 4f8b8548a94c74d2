"""Why a supervisor refuses or ends; each message is one line for the operator.

SupervisorError
├── ComponentTableError     the table is wrong: a fault of the program
├── SupervisorRunningError  another one runs on this home
├── PortTakenError          somebody listens where a component is to listen
└── ComponentFailedError    a component keeps dying before everything was ready once
"""

from schemas.errors import PlayheadError


class SupervisorError(PlayheadError):
    """The supervisor cannot do its work."""


class ComponentTableError(SupervisorError):
    """The table names a component twice, one that is not there, or goes in a circle."""


class SupervisorRunningError(SupervisorError):
    """Another supervisor runs on this home; the message names its process."""


class PortTakenError(SupervisorError):
    """Somebody else listens on a component's port."""


class ComponentFailedError(SupervisorError):
    """A component died too often before everything was ready for the first time."""
