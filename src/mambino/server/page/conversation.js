// A conversation as a tree: an edited question or another answer is a sibling, and nothing said is lost.
// Knows no page and no server. Start at Conversation.

export class Conversation {
  // savedId: its id on the server, once it has one
  constructor(saved = { title: "", nodes: [] }, savedId = null) {
    this.savedId = savedId;
    this.title = saved.title;
    this.persona = saved.persona ?? null;
    this.system = saved.system ?? null; // instructions that replace the persona's
    this.remembered = saved.remembered ?? null; // what the persona knew of earlier ones when this one began
    this.head = saved.head ?? null;
    this.nodes = new Map(saved.nodes.map((node) => [node.id, node]));
  }

  toJSON() {
    const { persona, system, remembered, head } = this;
    const title = this.title || "New chat";
    return { title, persona, system, remembered, head, nodes: [...this.nodes.values()] };
  }

  // Adds a node after parent and moves to it.
  add(parent, fields) {
    const node = { id: newId(), parent, ...fields };
    this.nodes.set(node.id, node);
    this.head = node.id;
    if (!this.title && fields.role === "user") this.title = fields.content.trim().slice(0, 60);
    return node;
  }

  // The nodes from the start to id, which is the head unless given.
  path(id = this.head) {
    const found = [];
    for (let node = this.nodes.get(id); node; node = this.nodes.get(node.parent)) found.unshift(node);
    return found;
  }

  siblings(node) {
    return [...this.nodes.values()].filter((other) => other.parent === node.parent && other.role === node.role);
  }

  // Moves to the newest end below node.
  enter(node) {
    for (let child = node; child; child = this.lastChild(child)) this.head = child.id;
  }

  lastChild(node) {
    return [...this.nodes.values()].filter((other) => other.parent === node.id).at(-1);
  }

  // A new conversation that ends at node.
  branch(node) {
    const { persona, system, remembered } = this;
    return new Conversation({ title: `${this.title} (branch)`.slice(0, 200), persona, system, remembered, nodes: this.path(node.id), head: node.id });
  }

  // The messages that the model sees; system is the text before them. What is remembered goes with the first question:
  // so the instructions stay what the server has read already.
  messages(system) {
    const before = system ? [{ role: "system", content: system }] : [];
    const messages = this.path().filter((node) => !node.stats?.error).map(messageOf);
    const first = messages.find((message) => message.role === "user");
    if (this.remembered && first) first.content = `${this.remembered}\n\n${first.content}`;
    return [...before, ...messages];
  }
}

// crypto.randomUUID exists only where the page came from this machine, or over https.
const newId = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

function messageOf(node) {
  if (node.role === "tool") return { role: "tool", tool_call_id: node.call_id, content: node.content };
  if (node.role === "user") return { role: "user", content: node.content + (node.attachments ?? []).map(quoted).join("") };
  const message = { role: "assistant", content: node.content };
  if (node.reasoning) message.reasoning_content = node.reasoning;
  if (node.calls?.length) {
    message.tool_calls = node.calls.map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: call.arguments || "{}" },
    }));
  }
  return message;
}

const quoted = ({ name, text }) => `\n\nFile ${name}:\n${text}`;
