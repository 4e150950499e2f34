/** What the events carry that the mesh knows, by type. Written by `make types`; nothing in it runs. */

/** @typedef {import("./topic.js").MeshEvent} MeshEvent */
/** @typedef {Record<string, any>} Open  keys that a type does not name pass through */

/**
 * @typedef {object} SessionKeys
 * @property {string} session_id
 * @property {string} title
 * @property {string | null} [category]
 * @property {string} [scope_type]
 * @property {string | null} [scope_id]
 * @property {string} created_at
 * @property {string} updated_at
 * @property {string | null} [created_by]
 * @property {string[]} [members]
 * @property {Record<string, any>} [metadata]
 */

/**
 * The whole state of a session, as each of its events carries it.
 *
 * @typedef {Open & SessionKeys} Session
 */

/**
 * @typedef {object} ChatMessageKeys
 * @property {string} session_id
 * @property {string} sender
 * @property {string} content
 * @property {string} message_id
 * @property {Record<string, any>} [metadata]
 */

/**
 * What somebody said in a session.
 *
 * @typedef {Open & ChatMessageKeys} ChatMessage
 */

/**
 * @typedef {object} ChatDeltaKeys
 * @property {string} session_id
 * @property {string} sender
 * @property {string} message_id
 * @property {number} index
 * @property {string} text
 * @property {string} [run]
 */

/**
 * A piece of a message that is being written; the message of the same ``message_id`` supersedes it.
 *
 * @typedef {Open & ChatDeltaKeys} ChatDelta
 */

/**
 * @typedef {object} ChatTypingKeys
 * @property {string} session_id
 * @property {string} sender
 */

/**
 * Somebody is writing.
 *
 * @typedef {Open & ChatTypingKeys} ChatTyping
 */

/**
 * @typedef {object} ChatStopKeys
 * @property {string} session_id
 * @property {string | null} [message_id]
 * @property {string | null} [who]
 */

/**
 * Whoever writes a message in the session piece by piece shall stop, or the writer of ``message_id`` alone.
 *
 * @typedef {Open & ChatStopKeys} ChatStop
 */

/**
 * @typedef {object} SessionCreatedKeys
 * @property {string} session_id
 * @property {string} title
 * @property {string | null} [category]
 * @property {string} [scope_type]
 * @property {string | null} [scope_id]
 * @property {Session} session
 */

/**
 * A session begins.
 *
 * @typedef {Open & SessionCreatedKeys} SessionCreated
 */

/**
 * @typedef {object} SessionUpdatedKeys
 * @property {string} session_id
 * @property {Record<string, any>} updates
 * @property {Session} session
 */

/**
 * Fields of a session changed: ``updates`` has the changed ones, ``session`` the state after it.
 *
 * @typedef {Open & SessionUpdatedKeys} SessionUpdated
 */

/**
 * @typedef {object} SessionDeletedKeys
 * @property {string} session_id
 */

/**
 * A session and its messages are gone for good.
 *
 * @typedef {Open & SessionDeletedKeys} SessionDeleted
 */

/**
 * @typedef {object} CouncilUpdateKeys
 * @property {string} council_id
 * @property {any} update
 */

/**
 * News of a council: a proposal, a vote, a decision.
 *
 * @typedef {Open & CouncilUpdateKeys} CouncilUpdate
 */

/**
 * @typedef {object} AgentActivityKeys
 * @property {string} [agent_id]
 * @property {any} activity
 */

/**
 * What an agent does now.
 *
 * @typedef {Open & AgentActivityKeys} AgentActivity
 */

/**
 * @typedef {object} AgentStatusKeys
 * @property {string} [agent_id]
 * @property {"online" | "busy" | "offline"} status
 * @property {string | null} [instance]
 * @property {string[]} [serves]
 * @property {string | null} [reason]
 */

/**
 * Whether an agent is there.
 *
 * @typedef {Open & AgentStatusKeys} AgentStatus
 */

/**
 * @typedef {object} TaskUpdateKeys
 * @property {string} task_id
 * @property {string} status
 * @property {any} [progress]
 * @property {string | null} [agent_id]
 * @property {string | null} [title]
 * @property {string | null} [reason]
 */

/**
 * How far a task has come.
 *
 * @typedef {Open & TaskUpdateKeys} TaskUpdate
 */

/**
 * @typedef {object} BrainStatusKeys
 * @property {string} [brain_id]
 * @property {any} status
 */

/**
 * The state of a brain, that is of a server of language models.
 *
 * @typedef {Open & BrainStatusKeys} BrainStatus
 */

/**
 * @typedef {object} PresenceJoinKeys
 * @property {string} topic
 * @property {string} who
 * @property {number} count
 */

/**
 * Somebody came.
 *
 * @typedef {Open & PresenceJoinKeys} PresenceJoin
 */

/**
 * @typedef {object} PresenceLeaveKeys
 * @property {string} topic
 * @property {string} who
 * @property {number} count
 */

/**
 * Somebody left.
 *
 * @typedef {Open & PresenceLeaveKeys} PresenceLeave
 */

/**
 * @typedef {{
 *   "chat.message": ChatMessage,
 *   "chat.delta": ChatDelta,
 *   "chat.typing": ChatTyping,
 *   "chat.stop": ChatStop,
 *   "session.created": SessionCreated,
 *   "session.updated": SessionUpdated,
 *   "session.deleted": SessionDeleted,
 *   "council.update": CouncilUpdate,
 *   "agent.activity": AgentActivity,
 *   "agent.status": AgentStatus,
 *   "task.update": TaskUpdate,
 *   "brain.status": BrainStatus,
 *   "presence.join": PresenceJoin,
 *   "presence.leave": PresenceLeave,
 * }} Payloads
 */

/**
 * What a listener is given, by what it listens to.
 *
 * @typedef {{ [T in keyof Payloads]: MeshEvent & { event_type: T, payload: Payloads[T] } } & {
 *   state: import("./line.js").ConnectionState,
 *   gap: { from?: string, to?: string, reason?: string },
 *   recovered: Open,
 *   error: any,
 *   change: any,
 * }} Heard
 */

export {};
