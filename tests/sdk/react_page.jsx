/** What tests/browser/test_react.py shows: what it asks for by `show`, below React's StrictMode. */

import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { Chat, Mesh } from "@daena/mesh";
import { MeshProvider, useAgent, useChat, useMesh, useTask } from "@daena/mesh/react";

Math.random = () => 0.02; // short waits: how they grow is tested elsewhere

const told = { renders: 0, effects: 0, sockets: 0, sent: [], errors: [] };
const Given = WebSocket;
globalThis.WebSocket = class extends Given {
  constructor(...args) {
    super(...args);
    told.sockets += 1;
  }

  send(text) {
    told.sent.push(text);
    super.send(text);
  }
};
for (const type of ["error", "unhandledrejection"]) addEventListener(type, (event) => told.errors.push(String(event.reason ?? event.message)));
const { error } = console;
console.error = (...said) => (told.errors.push(said.join(" ")), error(...said));

function ShownChat({ id, name }) {
  const chat = useChat(id, { sender: "ada" });
  const { items, typing, connection, send } = chat;
  told.renders += 1;
  (globalThis.chats ??= {})[name] = chat;
  return (
    <section id={name}>
      <output>{connection.state}</output>
      <ol>
        {items.map(({ key, sender, content, status }) => (
          <li key={key}>{`${sender}: ${content} (${status})`}</li>
        ))}
      </ol>
      <p>{typing.join()}</p>
      <button onClick={() => send(`from ${name}`)}>Send</button>
    </section>
  );
}

function ShownTask({ id, name }) {
  const { title, status, agent, progress, isOpen } = useTask(id);
  return <section id={name}>{[title, status, agent, progress?.done, isOpen].join()}</section>;
}

function ShownAgent({ id, name }) {
  const { status, tasks } = useAgent(id);
  return <section id={name}>{[status, ...tasks].join()}</section>;
}

function ShownEvents({ id, name }) {
  const { mesh, connection } = useMesh();
  const [types, setTypes] = useState([]);
  useEffect(() => {
    if (!mesh) return undefined;
    const following = mesh.follow(id);
    following.on("*", ({ event_type: type }) => setTypes((before) => [...before, type]));
    return () => following.close();
  }, [mesh, id]);
  return <section id={name}>{[connection.state, ...types].join()}</section>;
}

const KINDS = { chat: ShownChat, task: ShownTask, agent: ShownAgent, events: ShownEvents };

function App() {
  const [shown, setShown] = useState([]);
  globalThis.show = setShown;
  useEffect(() => void (told.effects += 1), []);
  return shown.map(([kind, id, name]) => {
    const Kind = KINDS[kind];
    return <Kind key={name} id={id} name={name} />;
  });
}

Object.assign(globalThis, { told, Chat, Mesh });
createRoot(document.getElementById("root")).render(
  <StrictMode>
    <MeshProvider>
      <App />
    </MeshProvider>
  </StrictMode>,
);
