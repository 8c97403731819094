// The line of meters under the message box. Start at showStatus and showContext.

const at = (id) => document.getElementById(id);
const megabytes = (bytes) => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);

// status: what GET /api/status says
export function showStatus(status) {
  const used = status.resident_bytes ?? status.state_bytes;
  const most = status.planned_bytes ?? used;
  at("memory").value = most ? used / most : 0;
  at("memory-text").textContent =
    `${megabytes(used)} of ${megabytes(most)}, ${megabytes(status.state_bytes)} of it remembered chats`;
  at("model").textContent = status.model;
}

export function showContext(tokens, context) {
  at("context").value = tokens / context;
  at("context-text").textContent = `${tokens} of ${context} tokens`;
  at("context-text").classList.toggle("bad", tokens > 0.8 * context);
}

export function showSpeed(text) {
  at("speed").textContent = text;
}
