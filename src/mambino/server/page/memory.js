// What the chosen persona remembers: shown, corrected, forgotten. Knows no conversation. Start at wireMemory.

import { updateMemory } from "/page/api.js";
import { element } from "/page/markdown.js";

const at = (id) => document.getElementById(id);

// Returns show(persona): fills the panel, or hides it for one without a memory. say(text) tells the user.
export function wireMemory({ say }) {
  let persona = null;
  let changes = Promise.resolve();

  // change(facts) returns the new ones. One after the other: each begins with what the one before left.
  function keep(change) {
    const changed = persona;
    changes = changes.then(async () => {
      try {
        changed.memory = await updateMemory(changed.id, change(changed.memory.facts));
        say(`${changed.name} remembers ${changed.memory.facts.length} facts.`);
      } catch (problem) {
        say(`Not changed: ${problem.message}`);
      }
      if (changed === persona) show(persona);
    });
  }

  function row(fact, index) {
    const box = element("input", { value: fact, ariaLabel: `Fact ${index + 1}`, maxLength: 300 });
    box.addEventListener("change", () => keep((facts) => facts.map((one) => (one === fact ? box.value : one))));
    const forget = element("button", { type: "button", textContent: "Forget", ariaLabel: `Forget: ${fact}` });
    forget.addEventListener("click", () => keep((facts) => facts.filter((one) => one !== fact)));
    return element("li", {}, box, forget);
  }

  function show(chosen) {
    persona = chosen;
    const memory = persona?.memory;
    at("memories").hidden = !memory;
    if (!memory) return;
    at("memories-note").textContent = memory.facts.length
      ? `${persona.name} remembers ${memory.facts.length} of at most ${memory.most} facts, and is told of them when a new chat begins.`
      : `${persona.name} remembers nothing yet.`;
    at("facts").replaceChildren(...memory.facts.map(row));
    at("forget-all").hidden = !memory.facts.length;
  }

  at("remember").addEventListener("submit", (event) => {
    event.preventDefault();
    const fact = at("new-fact").value;
    at("new-fact").value = "";
    if (fact.trim()) keep((facts) => [...facts, fact]);
  });
  at("forget-all").addEventListener("click", () => {
    if (confirm(`Forget everything that ${persona.name} remembers?`)) keep(() => []);
  });
  return show;
}
