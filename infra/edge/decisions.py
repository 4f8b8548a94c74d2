"""What the gateway decided about sessions, as far as this edge has heard."""

from __future__ import annotations

from collections import OrderedDict

from schemas.delivery import EdgeDecision

SESSIONS_MAX = 50_000


class DecisionView:
    """Ceilings and refusals by session; the longest unchanged is forgotten when full."""

    def __init__(self, sessions_max: int = SESSIONS_MAX) -> None:
        self._sessions_max = sessions_max
        self._decisions: OrderedDict[str, EdgeDecision] = OrderedDict()

    def apply(self, decision: EdgeDecision) -> None:
        """The last word about a session holds; a neutral one forgets it."""
        self._decisions.pop(decision.session_id, None)
        if decision.ceiling_kbps is None and not decision.is_refused:
            return
        self._decisions[decision.session_id] = decision
        if len(self._decisions) > self._sessions_max:
            self._decisions.popitem(last=False)

    def ceiling_kbps(self, session_id: str) -> int | None:
        """None where nothing limits the session."""
        decision = self._decisions.get(session_id)
        return decision.ceiling_kbps if decision else None

    def is_refused(self, session_id: str) -> bool:
        """An unknown session is served: the edge decides nothing."""
        decision = self._decisions.get(session_id)
        return decision is not None and decision.is_refused

    def __len__(self) -> int:
        return len(self._decisions)
