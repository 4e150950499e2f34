import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { MeshProvider } from "@daena/mesh/react";
import { App } from "./app.jsx";
import "./style.css";

const base = import.meta.env.VITE_MESH ?? "http://127.0.0.1:8000/";

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <MeshProvider base={base}>
      <App />
    </MeshProvider>
  </StrictMode>,
);
