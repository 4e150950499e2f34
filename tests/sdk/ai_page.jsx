/** What tests/browser/test_ai_sdk.py shows: a page as the AI SDK's documents have it, on the messages of a mesh. */

import { useState } from "react";
import { createRoot } from "react-dom/client";
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";

const [, id = "s1", agent] = location.hash.split("/");

function Chat({ history }) {
  const [text, setText] = useState("");
  const [transport] = useState(() => new DefaultChatTransport({ api: "/ai/chat", body: agent ? { agent_id: agent } : {} }));
  const { messages, sendMessage, regenerate, status, stop, error } = useChat({ id, messages: history, resume: true, transport });
  const stopAll = async () => {
    await fetch(`/ai/chat/${id}/stop`, { method: "POST" });
    if (location.search === "?abort") stop();
  };
  return (
    <main>
      <output>{status}</output>
      <p role="alert">{error?.message}</p>
      <ol>
        {messages.map((message) => (
          <li key={message.id} data-id={message.id}>
            {`${message.role}: ${message.parts.map((part) => (part.type === "text" ? part.text : "")).join("")}`}
          </li>
        ))}
      </ol>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          sendMessage({ text });
          setText("");
        }}
      >
        <input aria-label="Message" value={text} onChange={({ target }) => setText(target.value)} />
      </form>
      <button onClick={stopAll}>Stop</button>
      <button onClick={() => regenerate()}>Again</button>
    </main>
  );
}

/** What was said before, as the AI SDK has it. */
async function read() {
  const response = await fetch(`/api/v1/chat-history/sessions/${id}`);
  const { messages = [] } = response.ok ? await response.json() : {};
  return messages.map(({ payload }) => ({
    id: payload.message_id,
    role: payload.metadata?.asks ? "user" : "assistant",
    parts: [{ type: "text", text: payload.content }],
  }));
}

const root = document.getElementById("root");
createRoot(root).render(<Chat history={await read()} />);
root.dataset.ready = "yes";
