// What a user sets beside the conversation: thinking, sampling, tools, colours, the key. Knows no conversation.

import { onKeyWanted } from "/page/api.js";
import { element } from "/page/markdown.js";

const at = (id) => document.getElementById(id);

// The request's sampling fields that were typed in.
export function samplingFields() {
  const typed = {};
  if (at("temperature").value) typed.temperature = Number(at("temperature").value);
  if (at("max-tokens").value) typed.max_tokens = Number(at("max-tokens").value);
  return typed;
}

// wanted: null for as the model likes, true, false, or a number of tokens
export function chooseThinking(wanted) {
  const value = { null: "auto", true: "on", false: "off" }[wanted] ?? String(wanted);
  if (![...at("thinking").options].some((option) => option.value === value)) {
    at("thinking").append(element("option", { value, textContent: `up to ${value} tokens` }));
  }
  at("thinking").value = value;
}

// The request's fields for what is chosen.
export function thinkingFields() {
  const chosen = at("thinking").value;
  if (chosen === "auto") return {};
  if (chosen === "on" || chosen === "off") return { chat_template_kwargs: { enable_thinking: chosen === "on" } };
  return { thinking_budget: Number(chosen) };
}

// The functions that were typed in; null, with the reason shown, if they are not a list.
export function typedTools() {
  const text = at("tools").value.trim();
  at("tools-problem").textContent = "";
  if (!text) return [];
  try {
    const tools = JSON.parse(text);
    if (!Array.isArray(tools)) throw new Error("expected a list");
    return tools;
  } catch (problem) {
    at("tools-problem").textContent = `Not a JSON list: ${problem.message}`;
    at("settings").open = true;
    return null;
  }
}

export function wireTheme() {
  const root = document.documentElement;
  const set = (theme) => {
    root.dataset.theme = theme;
    at("theme").textContent = theme === "dark" ? "Light" : "Dark";
  };
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  set(localStorage.getItem("mambino-theme") ?? (preferred.matches ? "dark" : "light"));
  preferred.addEventListener("change", () => localStorage.getItem("mambino-theme") ?? set(preferred.matches ? "dark" : "light"));
  at("theme").addEventListener("click", () => {
    set(root.dataset.theme === "dark" ? "light" : "dark");
    localStorage.setItem("mambino-theme", root.dataset.theme);
  });
}

export function wireKey() {
  onKeyWanted(() => new Promise((resolve) => {
    at("key-dialog").showModal();
    at("key-ok").onclick = () => {
      at("key-dialog").close();
      resolve(at("key").value.trim());
    };
  }));
}
