"""What aiokafka is told where a connection was lost a moment ago, under uvloop.

asyncio's transports drop what is written after the loss. uvloop's raise RuntimeError instead, for a
turn or two of the loop, until aiokafka has heard of the loss itself. It expects OSError, so that
ends the task that was writing: the one that sends batches, or the one that asks for metadata, and
with it the producer. `make faults-long` showed both once; from the second only a restart led out.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


def expect_lost_connections() -> None:
    """Tell aiokafka of them as it expects; for processes on uvloop, once, before they connect."""
    send = AIOKafkaConnection.send
    if hasattr(send, "__wrapped__"):
        return

    @wraps(send)
    def send_or_close(self: Any, request: Any, expect_response: bool = True) -> Any:
        try:
            return send(self, request, expect_response)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} lost") from error

    AIOKafkaConnection.send = send_or_close
