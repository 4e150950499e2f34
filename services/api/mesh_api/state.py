"""What agents, tasks and brains said last, as the events of the log make it. Pure: no clock, no I/O."""

from __future__ import annotations

from daena_mesh.events import Event
from daena_mesh.subjects import Subject
from mesh_api.agent_states import AgentStates
from mesh_api.task_states import TaskStates, task_of

MOST_BRAINS = 100

PATTERNS = tuple(
    pattern
    for subject in ("agent.*.status", "agent.*.activity", "task.*.update", "brain.*.status")
    for pattern in (subject, f"{subject}.*")
)
"""What it is made of."""


class State:
    """Everything, bounded; of each thing the event with the highest sequence counts, in whatever order they come."""

    def __init__(self) -> None:
        self.agents = AgentStates()
        self.tasks = TaskStates()
        self.brains: dict[str, tuple[int, Event]] = {}
        """The last event of each brain, with its sequence; the one that spoke last stands last."""

    def apply(self, event: Event, seq: int, at: bytes) -> None:
        """Take in an event that was stored under ``seq``, ``at`` that moment by the server's clock."""
        match event.event_type:
            case "agent.status":
                self.agents.tell(Subject.parse(event.subject).id, event.payload, seq, at)
            case "agent.activity":
                self.agents.act(Subject.parse(event.subject).id, event.payload, seq, at)
            case "task.update":
                self.tasks.update(task_of(event, seq))
            case "brain.status":
                self._report(Subject.parse(event.subject).id, event, seq)

    def _report(self, brain_id: str, event: Event, seq: int) -> None:
        if seq <= self.brains.get(brain_id, (0, event))[0]:
            return
        self.brains.pop(brain_id, None)
        self.brains[brain_id] = seq, event
        if len(self.brains) > MOST_BRAINS:
            del self.brains[next(iter(self.brains))]
