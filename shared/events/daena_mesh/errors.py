"""The errors of Daena Mesh, in one tree.

::

MeshError
├── InvalidId (ValueError)         an id that is not one token of [A-Za-z0-9_-]
├── InvalidSubject (ValueError)    a subject or pattern that breaks the grammar
├── InvalidCursor (ValueError)     a position that no mesh has given out
├── InvalidQuery (ValueError)      a parameter of a request that makes no sense
├── InvalidEvent (ValueError)      a body that is no event, or too large
├── InvalidToken                   a token that is wrong, expired, or not signed by us
├── NotCovered                     no stream takes the subject
├── MeshUnavailable                NATS, or the leader of a stream, does not answer
├── Conflict                       another writer was first
├── EdgeRefused                    an edge refuses a client for good
├── Unanswered                     nobody has answered a question
├── UnknownSession                 no such session
├── DeletedSession                 the session was there, and is gone for good
├── ConfigurationError             a setting has a wrong value
├── ProvisioningError              a stream exists in a form that must not be changed
└── NatsServerError                the embedded nats-server cannot run
"""

from __future__ import annotations


class MeshError(Exception):
    """Whatever goes wrong in the mesh; the message is one sentence that names the cause."""


class InvalidId(MeshError, ValueError):
    """An id that is not one token of ``[A-Za-z0-9_-]``; `safe_id` maps any text to one that is."""


class InvalidSubject(MeshError, ValueError):
    """A subject or a pattern that breaks the grammar."""


class InvalidCursor(MeshError, ValueError):
    """A position that no mesh has given out."""


class InvalidQuery(MeshError, ValueError):
    """A parameter of a request makes no sense."""


class InvalidEvent(MeshError, ValueError):
    """A body that is no event: not UTF-8, not a JSON object, too large, or of another type than its subject."""


class InvalidToken(MeshError):
    """A token that is wrong, expired, or not signed with one of our keys."""


class NotCovered(MeshError):
    """No stream takes the subject; the setting ``MESH_SUBJECTS`` adds more."""


class MeshUnavailable(MeshError):
    """NATS, or the leader of a stream, does not answer.

    Whether the last write was stored is unknown: try again under the same id.
    """

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Conflict(MeshError):
    """Another writer was first: the expected last sequence is no longer the last."""


class EdgeRefused(MeshError):
    """An edge refuses a client for good; `code` is a close code, such as 4403 where the token does not allow it."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class Unanswered(MeshError):
    """Nobody has answered a question: not in time, or whoever tried has given up."""


class UnknownSession(MeshError):
    """No session of this id exists."""


class DeletedSession(MeshError):
    """The session was deleted, and its id does not come back."""


class ConfigurationError(MeshError):
    """A setting has a wrong value; the message names the variable."""


class ProvisioningError(MeshError):
    """A stream or a bucket exists in a form that must not be changed under its users."""


class NatsServerError(MeshError):
    """The embedded nats-server cannot run: not installed, port taken, or its data already in use."""
