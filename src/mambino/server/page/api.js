// The server's routes as functions. Knows no page. Start at streamChat.

const KEY = "mambino-key";
let askForKey = async () => "";

// ask() shows a dialog and returns the key that was typed
export function onKeyWanted(ask) {
  askForKey = ask;
}

export async function request(path, { method = "GET", body, signal } = {}) {
  for (;;) {
    const headers = {};
    const key = sessionStorage.getItem(KEY);
    if (key) headers.authorization = `Bearer ${key}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const reply = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    if (reply.status !== 401) {
      if (!reply.ok) throw new Error(await problemOf(reply));
      return reply;
    }
    sessionStorage.setItem(KEY, await askForKey());
  }
}

async function problemOf(reply) {
  try {
    return (await reply.json()).error.message;
  } catch {
    return `the server answered ${reply.status}`;
  }
}

const json = async (path, options) => (await request(path, options)).json();

export const getStatus = () => json("/api/status");
export const getPersonas = async () => (await json("/api/personas")).personas;
export const getSessions = async () => (await json("/api/sessions")).sessions;
export const getSession = (id) => json(`/api/sessions/${id}`);
export const createSession = async (session) => (await json("/api/sessions", { method: "POST", body: session })).id;
export const updateSession = (id, session) => request(`/api/sessions/${id}`, { method: "PUT", body: session });
export const deleteSession = (id) => request(`/api/sessions/${id}`, { method: "DELETE" });
export const updateMemory = (id, facts) => json(`/api/personas/${id}/memory`, { method: "PUT", body: { facts } });
export const runTool = (call) => json("/api/tools", { method: "POST", body: call });
export const endThinking = (id) => request(`/v1/chat/completions/${id}/end_thinking`, { method: "POST", body: {} });

// Calls on(chunk) for every JSON event until [DONE]; throws for an error, also one inside the stream.
export async function streamChat(body, signal, on) {
  const reply = await request("/v1/chat/completions", {
    method: "POST",
    signal,
    body: { ...body, stream: true, return_progress: true, stream_options: { include_usage: true } },
  });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the connection was lost");
    held += value;
    const events = held.split("\n\n");
    held = events.pop();
    for (const event of events) {
      if (!event.startsWith("data: ")) continue; // a comment keeps the connection alive
      const data = event.slice("data: ".length);
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      on(chunk);
    }
  }
}
