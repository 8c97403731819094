// The box for a message, with its files. Knows no conversation and no server. Start at wireComposer.

import { element } from "/page/markdown.js";

const MAX_FILE_BYTES = 1_000_000;
const at = (id) => document.getElementById(id);

let attachments = [];

// send(text, files) returns whether it took them; say(text) tells the user.
export function wireComposer({ send, say }) {
  const question = at("question");
  const grow = () => {
    question.rows = Math.min(12, question.value.split("\n").length);
  };
  question.addEventListener("input", grow);
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      at("composer").requestSubmit();
    }
  });
  at("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!question.value.trim() || !send(question.value, attachments)) return;
    question.value = "";
    attachments = [];
    grow();
    showAttachments();
  });
  at("attach").addEventListener("click", () => at("files").click());
  at("files").addEventListener("change", () => attach(say));
}

async function attach(say) {
  for (const file of at("files").files) {
    if (file.size > MAX_FILE_BYTES) say(`${file.name} is larger than 1 MB and was left out.`);
    else attachments.push({ name: file.name.slice(0, 255), text: await file.text() });
  }
  at("files").value = "";
  showAttachments();
}

function showAttachments() {
  const items = attachments.map((file) => {
    const remove = element("button", { type: "button", textContent: "✕", ariaLabel: `Remove ${file.name}` });
    remove.addEventListener("click", () => {
      attachments = attachments.filter((other) => other !== file);
      showAttachments();
    });
    return element("li", {}, `${file.name} `, remove);
  });
  at("attachments").replaceChildren(...items);
}
