import { memo, useState } from "react";
import { useAgent, useChat, useMesh } from "@daena/mesh/react";

export function App() {
  const [session, setSession] = useState("s1");
  return (
    <main>
      <header>
        <label>
          Session <input value={session} pattern="[A-Za-z0-9_\-]{1,64}" onChange={({ target }) => target.validity.valid && setSession(target.value)} />
        </label>
        <Agent id="daena" />
        <Connection />
      </header>
      <Chat key={session} session={session} />
    </main>
  );
}

function Connection() {
  const { connection } = useMesh();
  return <output title={connection.reason}>{connection.degraded ? "degraded" : connection.state}</output>;
}

function Agent({ id }) {
  const { status } = useAgent(id);
  return <span>{status && `${id} is ${status}`}</span>;
}

function Chat({ session }) {
  const { items, typing, send } = useChat(session, { sender: "ada" });
  const [text, setText] = useState("");
  const submit = (event) => {
    event.preventDefault();
    // What the mesh refuses stays in the list, with its reason.
    send(text).catch(() => undefined);
    setText("");
  };
  return (
    <>
      <ol>
        {items.map((item) => (
          <Message key={item.key} item={item} />
        ))}
      </ol>
      <p>{typing.length > 0 && `${typing.join(", ")} …`}</p>
      <form onSubmit={submit}>
        <input value={text} onChange={({ target }) => setText(target.value)} aria-label="Message" autoComplete="off" required />
        <button>Send</button>
      </form>
    </>
  );
}

const Message = memo(function Message({ item: { sender, content, status, reason } }) {
  return (
    <li className={status} title={reason}>
      <b>{sender}</b> {content}
    </li>
  );
});
