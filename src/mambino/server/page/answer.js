// One answer as it streams: chunks of the server put together into a node of the conversation.
// Knows no page. Start at Answer.

import { endThinking, streamChat } from "/page/api.js";

export class Answer {
  // node is filled in; changed() follows every change of it, progressed(done, total) the reading of the prompt.
  constructor(node, { changed, progressed }) {
    this.node = node;
    this.changed = changed;
    this.progressed = progressed;
    this.id = null;
    this.tokens = 0;
    this.controller = new AbortController();
    this.wasStopped = false;
  }

  get isThinking() {
    return Boolean(this.node.reasoning) && !this.node.content && !this.node.calls?.length;
  }

  stop() {
    this.wasStopped = true;
    this.controller.abort();
  }

  endThinking() {
    return this.id && endThinking(this.id);
  }

  // Runs to the end; what went wrong becomes the node's note. Returns why it ended.
  async run(request) {
    const { node } = this;
    node.stats = {};
    try {
      await streamChat(request, this.controller.signal, (chunk) => this.take(chunk));
    } catch (problem) {
      if (!this.wasStopped) node.stats.error = problem.message;
      else node.stats.note = "stopped";
    }
    this.changed();
    return node.stats.finish_reason;
  }

  take(chunk) {
    const { node } = this;
    this.id = chunk.id;
    if (chunk.prompt_progress) this.progressed(chunk.prompt_progress.done, chunk.prompt_progress.total);
    if (chunk.usage) {
      node.stats.prompt_tokens = chunk.usage.prompt_tokens;
      node.stats.completion_tokens = chunk.usage.completion_tokens;
    }
    if (chunk.timings) {
      node.stats.tokens_per_s = chunk.timings.tokens_per_s;
      if (chunk.timings.finish_reason === "length") node.stats.note = "cut at the limit of tokens";
      if (chunk.timings.finish_reason === "context") node.stats.note = "cut: the context is full";
    }
    const [choice] = chunk.choices;
    if (!choice) return;
    if (choice.finish_reason) node.stats.finish_reason = choice.finish_reason;
    this.extend(choice.delta);
  }

  extend(delta) {
    const { node } = this;
    if (delta.content) node.content += delta.content;
    if (delta.reasoning_content) node.reasoning = (node.reasoning ?? "") + delta.reasoning_content;
    for (const part of delta.tool_calls ?? []) {
      node.calls ??= [];
      node.calls[part.index] ??= { id: part.id, name: part.function.name, arguments: "" };
      node.calls[part.index].arguments += part.function.arguments ?? "";
    }
    if (delta.content || delta.reasoning_content || delta.tool_calls) {
      this.tokens += 1;
      this.changed();
    }
  }
}
