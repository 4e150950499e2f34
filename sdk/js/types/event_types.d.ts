export type MeshEvent = import("./topic.js").MeshEvent;
/**
 * keys that a type does not name pass through
 */
export type Open = Record<string, any>;
export type SessionKeys = {
    session_id: string;
    title: string;
    category?: string | null | undefined;
    scope_type?: string | undefined;
    scope_id?: string | null | undefined;
    created_at: string;
    updated_at: string;
    created_by?: string | null | undefined;
    members?: string[] | undefined;
    metadata?: Record<string, any> | undefined;
};
/**
 * The whole state of a session, as each of its events carries it.
 */
export type Session = Open & SessionKeys;
export type ChatMessageKeys = {
    session_id: string;
    sender: string;
    content: string;
    message_id: string;
    metadata?: Record<string, any> | undefined;
};
/**
 * What somebody said in a session.
 */
export type ChatMessage = Open & ChatMessageKeys;
export type ChatDeltaKeys = {
    session_id: string;
    sender: string;
    message_id: string;
    index: number;
    text: string;
    run?: string | undefined;
};
/**
 * A piece of a message that is being written; the message of the same ``message_id`` supersedes it.
 */
export type ChatDelta = Open & ChatDeltaKeys;
export type ChatTypingKeys = {
    session_id: string;
    sender: string;
};
/**
 * Somebody is writing.
 */
export type ChatTyping = Open & ChatTypingKeys;
export type ChatStopKeys = {
    session_id: string;
    message_id?: string | null | undefined;
    who?: string | null | undefined;
};
/**
 * Whoever writes a message in the session piece by piece shall stop, or the writer of ``message_id`` alone.
 */
export type ChatStop = Open & ChatStopKeys;
export type SessionCreatedKeys = {
    session_id: string;
    title: string;
    category?: string | null | undefined;
    scope_type?: string | undefined;
    scope_id?: string | null | undefined;
    session: Session;
};
/**
 * A session begins.
 */
export type SessionCreated = Open & SessionCreatedKeys;
export type SessionUpdatedKeys = {
    session_id: string;
    updates: Record<string, any>;
    session: Session;
};
/**
 * Fields of a session changed: ``updates`` has the changed ones, ``session`` the state after it.
 */
export type SessionUpdated = Open & SessionUpdatedKeys;
export type SessionDeletedKeys = {
    session_id: string;
};
/**
 * A session and its messages are gone for good.
 */
export type SessionDeleted = Open & SessionDeletedKeys;
export type CouncilUpdateKeys = {
    council_id: string;
    update: any;
};
/**
 * News of a council: a proposal, a vote, a decision.
 */
export type CouncilUpdate = Open & CouncilUpdateKeys;
export type AgentActivityKeys = {
    agent_id?: string | undefined;
    activity: any;
};
/**
 * What an agent does now.
 */
export type AgentActivity = Open & AgentActivityKeys;
export type AgentStatusKeys = {
    agent_id?: string | undefined;
    status: "online" | "busy" | "offline";
    instance?: string | null | undefined;
    serves?: string[] | undefined;
    reason?: string | null | undefined;
};
/**
 * Whether an agent is there.
 */
export type AgentStatus = Open & AgentStatusKeys;
export type TaskUpdateKeys = {
    task_id: string;
    status: string;
    progress?: any;
    agent_id?: string | null | undefined;
    title?: string | null | undefined;
    reason?: string | null | undefined;
};
/**
 * How far a task has come.
 */
export type TaskUpdate = Open & TaskUpdateKeys;
export type BrainStatusKeys = {
    brain_id?: string | undefined;
    status: any;
};
/**
 * The state of a brain, that is of a server of language models.
 */
export type BrainStatus = Open & BrainStatusKeys;
export type PresenceJoinKeys = {
    topic: string;
    who: string;
    count: number;
};
/**
 * Somebody came.
 */
export type PresenceJoin = Open & PresenceJoinKeys;
export type PresenceLeaveKeys = {
    topic: string;
    who: string;
    count: number;
};
/**
 * Somebody left.
 */
export type PresenceLeave = Open & PresenceLeaveKeys;
export type Payloads = {
    "chat.message": ChatMessage;
    "chat.delta": ChatDelta;
    "chat.typing": ChatTyping;
    "chat.stop": ChatStop;
    "session.created": SessionCreated;
    "session.updated": SessionUpdated;
    "session.deleted": SessionDeleted;
    "council.update": CouncilUpdate;
    "agent.activity": AgentActivity;
    "agent.status": AgentStatus;
    "task.update": TaskUpdate;
    "brain.status": BrainStatus;
    "presence.join": PresenceJoin;
    "presence.leave": PresenceLeave;
};
/**
 * What a listener is given, by what it listens to.
 */
export type Heard = { [T in keyof Payloads]: MeshEvent & {
    event_type: T;
    payload: Payloads[T];
}; } & {
    state: import("./line.js").ConnectionState;
    gap: {
        from?: string;
        to?: string;
        reason?: string;
    };
    recovered: Open;
    error: any;
    change: any;
};
