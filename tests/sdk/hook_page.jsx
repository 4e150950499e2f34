/** What tests/browser/test_front_ends.py shows: a hook as many a page has it, and nothing of ours. */

import { useCallback, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

function useWebSocket(url) {
  const [messages, setMessages] = useState([]);
  const [isConnected, setIsConnected] = useState(false);
  const ws = useRef(null);
  const timer = useRef(null);

  const connect = useCallback(() => {
    ws.current = new WebSocket(url);
    globalThis.ws = ws.current;
    ws.current.onopen = () => setIsConnected(true);
    ws.current.onmessage = (event) => {
      const data = JSON.parse(event.data);
      if (data.type === "ping") {
        ws.current.send(JSON.stringify({ type: "pong" }));
        return;
      }
      setMessages((before) => [...before, data]);
    };
    ws.current.onerror = () => ws.current.close();
    ws.current.onclose = () => {
      setIsConnected(false);
      timer.current = setTimeout(connect, 3000);
    };
  }, [url]);

  useEffect(() => {
    connect();
    return () => {
      clearTimeout(timer.current);
      ws.current.onclose = null;
      ws.current.close();
    };
  }, [connect]);

  return { messages, isConnected };
}

function App() {
  const { messages, isConnected } = useWebSocket(`ws://${location.host}/ws/chat/${location.hash.slice(1)}`);
  return (
    <>
      <output>{isConnected ? "connected" : "disconnected"}</output>
      <ol>
        {messages.map((message, index) => (
          <li key={index} className={message.event_type.replace(".", "-")}>
            {message.payload?.content ?? JSON.stringify(message.payload)}
          </li>
        ))}
      </ol>
    </>
  );
}

createRoot(document.getElementById("root")).render(<App />);
