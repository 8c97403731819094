// One message as DOM: its text, thinking, tool calls, and what can be done with it.
// Knows no server; actions are what the page passes in. Start at messageItem.

import { element, renderMarkdown } from "/page/markdown.js";

const REFUSED = "Not run: the user did not allow it.";
const NAMES = { user: "You", assistant: "Model", tool: "Tool" };

// actions: { edit(node, text), regenerate(node), branch(node), show(sibling), answerCall(node, call, text),
//            asks(call): whether it waits for permission, runCall(node, call) }
export function messageItem(node, siblings, actions, { isBusy = false, results = new Map(), name } = {}) {
  const who = element("p", { className: "who", textContent: (node.role === "assistant" && name) || NAMES[node.role] });
  const item = element("li", { className: `message ${node.role}` }, who);
  item.dataset.id = node.id;
  const view = { item, body: element("div", { className: "body" }) };
  if (node.role === "assistant") {
    view.thought = element("p");
    view.fold = element("details", { className: "fold", hidden: true }, element("summary"), view.thought);
    view.calls = element("div");
    view.note = element("p", { className: "note" });
    item.append(view.fold, view.body, view.calls, view.note);
  } else {
    item.append(view.body);
  }
  update(view, node, { isBusy, results, actions });
  if (!isBusy && node.role !== "tool") item.append(toolbar(node, siblings, actions, item));
  return view;
}

// Shows what a node says now; called again and again while it is being written.
export function update(view, node, { isBusy = false, results = new Map(), actions } = {}) {
  if (node.role !== "assistant") {
    view.body.textContent = node.content;
    for (const file of node.attachments ?? []) view.body.append(folded(`File ${file.name}`, file.text));
    return;
  }
  renderMarkdown(node.content, view.body);
  const isThinking = isBusy && !node.content && !node.calls?.length;
  view.fold.hidden = !node.reasoning;
  view.fold.firstChild.textContent = isThinking ? "Thinking…" : `Thought for ${words(node.reasoning ?? "")}`;
  view.thought.textContent = node.reasoning ?? "";
  view.calls.replaceChildren(...(node.calls ?? []).map((call) => callCard(node, call, results.get(call.id), isBusy, actions)));
  view.note.textContent = node.stats?.error ?? node.stats?.note ?? "";
  view.note.classList.toggle("bad", Boolean(node.stats?.error));
}

const words = (text) => `${text.split(/\s+/).filter(Boolean).length} words`;

const folded = (title, text) =>
  element("details", { className: "fold" }, element("summary", { textContent: title }), element("p", { textContent: text }));

function callCard(node, call, result, isBusy, actions) {
  const card = element("details", { className: "fold call", open: true });
  card.append(element("summary", { textContent: `Calls ${call.name}` }), element("pre", { textContent: pretty(call.arguments) }));
  if (result !== undefined) {
    card.append(element("p", { textContent: result }));
  } else if (!isBusy && actions.asks(call)) {
    card.append(permission(node, call, actions));
  } else if (!isBusy) {
    const answer = element("textarea", { rows: 2, ariaLabel: `What ${call.name} answers` });
    const give = element("button", { type: "button", textContent: "Give this result" });
    give.addEventListener("click", () => actions.answerCall(node, call, answer.value));
    card.append(answer, give);
  }
  return card;
}

function permission(node, call, actions) {
  const run = element("button", { type: "button", textContent: "Run it" });
  const refuse = element("button", { type: "button", textContent: "Refuse" });
  const decide = (act) => () => {
    run.disabled = refuse.disabled = true;
    act();
  };
  run.addEventListener("click", decide(() => actions.runCall(node, call)));
  refuse.addEventListener("click", decide(() => actions.answerCall(node, call, REFUSED)));
  return element("div", { className: "asking" }, `May ${call.name} be run like this?`, run, refuse);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // still being written
  }
}

function toolbar(node, siblings, actions, item) {
  const bar = element("div", { className: "tools" });
  const button = (label, act) => {
    const made = element("button", { type: "button", textContent: label });
    made.addEventListener("click", act);
    bar.append(made);
    return made;
  };
  if (siblings.length > 1) {
    const at = siblings.indexOf(node);
    button("‹", () => actions.show(siblings[at - 1])).disabled = at === 0;
    bar.lastChild.ariaLabel = "Previous version";
    bar.append(`${at + 1} of ${siblings.length}`);
    button("›", () => actions.show(siblings[at + 1])).disabled = at === siblings.length - 1;
    bar.lastChild.ariaLabel = "Next version";
  }
  if (node.role === "user") button("Edit", () => edit(node, actions, item));
  else if (node.parent) button("Regenerate", () => actions.regenerate(node)); // a greeting answers nothing
  if (navigator.clipboard) button("Copy", () => navigator.clipboard.writeText(node.content));
  button("Branch", () => actions.branch(node));
  if (node.stats?.tokens_per_s) bar.append(`${node.stats.completion_tokens} tokens, ${node.stats.tokens_per_s} per second`);
  return bar;
}

function edit(node, actions, item) {
  const box = element("textarea", { value: node.content, rows: 3, ariaLabel: "Edit the message" });
  const done = element("button", { type: "button", textContent: "Ask this instead" });
  const leave = element("button", { type: "button", textContent: "Cancel" });
  const form = element("div", { className: "edit" }, box, element("div", {}, done, " ", leave));
  const kept = [...item.children];
  const stop = () => item.replaceChildren(...kept);
  done.addEventListener("click", () => actions.edit(node, box.value));
  leave.addEventListener("click", stop);
  box.addEventListener("keydown", (event) => event.key === "Escape" && stop());
  item.replaceChildren(form);
  box.focus();
}
