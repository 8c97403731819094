// The page: wires controls, conversation and server together. Start at the bottom.

import * as api from "/page/api.js";
import { Answer } from "/page/answer.js";
import { wireComposer } from "/page/composer.js";
import { Conversation } from "/page/conversation.js";
import { showContext, showSpeed, showStatus } from "/page/gauges.js";
import { element } from "/page/markdown.js";
import { wireMemory } from "/page/memory.js";
import { messageItem, update } from "/page/messages.js";
import { chooseThinking, samplingFields, thinkingFields, typedTools, wireKey, wireTheme } from "/page/settings.js";

const at = (id) => document.getElementById(id);
const log = at("log");

const MAX_ROUNDS = 8;

let conversation = new Conversation();
let answer = null; // the running one
let personas = [];
let status = { context: 1, can_think: false, tools: [], asking: [] };
let showMemory = () => {};

// --- showing ---------------------------------------------------------------------------------------------------------

const persona = () => personas.find((one) => one.id === conversation.persona);

const actions = {
  edit: (node, text) => ask(node.parent, text, node.attachments),
  regenerate: (node) => reply(node.parent),
  show(sibling) {
    conversation.enter(sibling);
    show();
    save();
  },
  branch(node) {
    conversation = conversation.branch(node);
    show();
    save();
    at("question").focus();
  },
  answerCall(node, call, text) {
    conversation.add(conversation.head, { role: "tool", content: text, call_id: call.id });
    const answered = new Set(conversation.path().map((one) => one.call_id));
    if (node.calls.every((one) => answered.has(one.id))) reply(conversation.head);
    else show();
  },
  asks: (call) => askingTools().has(call.name),
  async runCall(node, call) {
    const asked = conversation;
    const text = await run(asked, call);
    if (asked === conversation) actions.answerCall(node, call, text);
  },
};

function show() {
  const path = conversation.path();
  const results = new Map(path.filter((node) => node.role === "tool").map((node) => [node.call_id, node.content]));
  const isBusy = (node) => node === answer?.node;
  const views = path
    .filter((node) => node.role !== "tool")
    .map((node) => [node, messageItem(node, conversation.siblings(node), actions, { isBusy: isBusy(node), results, name: persona()?.name })]);
  log.replaceChildren(...views.map(([, view]) => view.item));
  log.setAttribute("aria-busy", String(Boolean(answer)));
  log.scrollTop = log.scrollHeight;
  showControls();
  const last = path.findLast((node) => node.stats?.prompt_tokens);
  showContext(last ? last.stats.prompt_tokens + last.stats.completion_tokens : 0, status.context);
  document.title = conversation.title ? `${conversation.title} - mambino` : "mambino";
  return new Map(views.map(([node, view]) => [node.id, view]));
}

function showControls() {
  at("send").hidden = Boolean(answer);
  at("stop").hidden = !answer;
  at("answer-now").hidden = !answer?.isThinking;
  at("persona").value = conversation.persona ?? "";
  at("system").value = conversation.system ?? persona()?.system ?? "";
  at("thinking-label").hidden = !status.can_think;
  showMemory(persona());
}

function announce(text) {
  at("status").textContent = text;
}

// --- asking ----------------------------------------------------------------------------------------------------------

// Whether there was something to ask, and nothing else is being answered.
function ask(parent, text, files = []) {
  if (answer || !text.trim()) return false;
  const more = files.length ? { attachments: files } : {};
  const node = conversation.add(parent, { role: "user", content: text, ...more });
  reply(node.id);
  return true;
}

// rounds: answers that were begun without a person, because this server ran what the model called
async function reply(parent, rounds = 0) {
  if (answer) return;
  conversation.head = parent;
  const request = requestBody();
  if (!request) return;
  const asked = conversation;
  const node = asked.add(parent, { role: "assistant", content: "" });
  answer = new Answer(node, { changed: redraw, progressed: (done, total) => showSpeed(done < total ? `reading ${done} of ${total} tokens` : "") });
  view = show().get(node.id);
  announce("The model is answering.");
  started = 0;
  await answer.run(request);
  answer = null;
  show();
  showSpeed(node.stats.tokens_per_s ? `${node.stats.tokens_per_s} tokens per second` : "");
  announce(node.stats.error ? `Failed: ${node.stats.error}` : `Answered: ${node.content.slice(0, 400)}`);
  save(asked);
  refreshStatus();
  if (asked === conversation && rounds < MAX_ROUNDS && (await runCalls(asked, node))) reply(asked.head, rounds + 1);
}

// Runs a node's calls if this server knows all of them, but those that a person must allow; whether all are run.
async function runCalls(asked, node) {
  const known = new Set(ownTools().map((tool) => tool.name));
  if (node.stats.finish_reason !== "tool_calls" || !node.calls.every((call) => known.has(call.name))) return false;
  const waiting = node.calls.filter(actions.asks);
  for (const call of node.calls) {
    if (waiting.includes(call)) continue;
    const text = await run(asked, call);
    asked.add(asked.head, { role: "tool", content: text, call_id: call.id });
  }
  if (asked !== conversation) return false;
  if (waiting.length) {
    show();
    announce(`${waiting.map((call) => call.name).join(", ")}: waiting for your permission.`);
  }
  return !waiting.length;
}

// What the server's tool says. It may have changed what the persona remembers.
async function run(asked, call) {
  announce(`Running ${call.name}.`);
  try {
    const { text } = await api.runTool({ persona: asked.persona, name: call.name, arguments: JSON.parse(call.arguments) });
    if (persona()?.memory) personas = await api.getPersonas();
    return text;
  } catch (problem) {
    return `Error: ${problem.message}`;
  }
}

const ownTools = () => persona()?.tools ?? status.tools;
const askingTools = () => new Set(persona()?.asking ?? status.asking);

function requestBody() {
  conversation.remembered ??= persona()?.memory?.text || null;
  const sampling = { ...persona()?.sampling, ...samplingFields() };
  const adapter = persona()?.adapter ?? undefined;
  const body = { ...sampling, adapter, messages: conversation.messages(conversation.system ?? persona()?.system) };
  const typed = typedTools();
  if (typed === null) return null;
  const tools = [...ownTools(), ...typed];
  if (tools.length) body.tools = tools.map((tool) => (tool.function ? tool : { type: "function", function: tool }));
  return status.can_think ? { ...body, ...thinkingFields() } : body;
}

let view = null; // of the answer that is being written
let started = 0;
let isDrawing = false;

// At most one drawing a frame, however fast tokens come.
function redraw() {
  if (!answer || isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    if (!answer || !view) return;
    started ||= performance.now();
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    update(view, answer.node, { isBusy: true, actions });
    at("answer-now").hidden = !answer.isThinking;
    const seconds = (performance.now() - started) / 1000;
    if (seconds > 0.5) showSpeed(`${(answer.tokens / seconds).toFixed(1)} tokens per second`);
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  });
}

// --- keeping ---------------------------------------------------------------------------------------------------------

let saving = Promise.resolve();

// One after the other: a conversation gets its id from the first, and the others find it.
function save(kept = conversation) {
  saving = saving.then(async () => {
    try {
      if (kept.savedId) await api.updateSession(kept.savedId, kept);
      else if (kept.nodes.size) kept.savedId = await api.createSession(kept);
      await showSessions();
    } catch (problem) {
      announce(`Not saved: ${problem.message}`);
    }
  });
}

async function showSessions() {
  const items = (await api.getSessions()).map((one) => {
    const open = element("button", { type: "button", className: "open", textContent: one.title || "New chat" });
    open.setAttribute("aria-current", String(one.id === conversation.savedId));
    open.addEventListener("click", () => openSession(one.id));
    const remove = element("button", { type: "button", className: "delete", textContent: "✕", ariaLabel: `Delete ${one.title}` });
    remove.addEventListener("click", () => deleteSession(one));
    return element("li", {}, open, remove);
  });
  at("sessions").replaceChildren(...items);
}

async function openSession(id) {
  answer?.stop();
  conversation = new Conversation(await api.getSession(id), id);
  at("sidebar").classList.remove("shown");
  show();
  await showSessions();
}

async function deleteSession({ id, title }) {
  if (!confirm(`Delete "${title}"?`)) return;
  await api.deleteSession(id);
  if (id === conversation.savedId) newChat();
  await showSessions();
}

function newChat() {
  answer?.stop();
  const chosen = conversation.persona;
  conversation = new Conversation();
  conversation.persona = chosen;
  greet();
  show();
  showSessions();
  at("question").focus();
}

function greet() {
  if (persona()?.greeting) conversation.add(null, { role: "assistant", content: persona().greeting });
}

async function refreshStatus() {
  status = await api.getStatus();
  showStatus(status);
}

// --- controls --------------------------------------------------------------------------------------------------------

function wireControls() {
  at("stop").addEventListener("click", () => answer?.stop());
  at("answer-now").addEventListener("click", () => answer?.endThinking());
  document.addEventListener("keydown", (event) => event.key === "Escape" && answer?.stop());
  at("new-chat").addEventListener("click", newChat);
  at("menu").addEventListener("click", () => {
    const isShown = at("sidebar").classList.toggle("shown");
    at("menu").setAttribute("aria-expanded", String(isShown));
  });
  at("persona").addEventListener("change", () => {
    conversation.persona = at("persona").value || null;
    conversation.system = conversation.remembered = null;
    chooseThinking(persona()?.thinking ?? null);
    if (conversation.path().every((node) => node.role === "assistant")) newChat();
    else show();
  });
  at("system").addEventListener("change", () => {
    conversation.system = at("system").value.trim() || null;
  });
}

async function start() {
  wireTheme();
  wireKey();
  wireControls();
  showMemory = wireMemory({ say: announce });
  wireComposer({ send: (text, files) => ask(conversation.head, text, files), say: announce });
  await refreshStatus();
  personas = await api.getPersonas();
  at("persona").replaceChildren(
    element("option", { value: "", textContent: "none" }),
    ...personas.map((one) => element("option", { value: one.id, textContent: one.name, title: one.description })),
  );
  show();
  await showSessions();
  at("question").focus();
  log.dataset.ready = "true";
}

start().catch((problem) => announce(`The page could not start: ${problem.message}`));
