// A model's Markdown as DOM nodes. Text only ever becomes text nodes, so nothing a model writes can run.
// Blocks are found line by line, inline marks with one expression; all of it takes time linear in the text, whatever a
// model writes. Start at renderMarkdown.

const MAX_DEPTH = 6; // of quotes and lists in each other
const MAX_INLINE = 20000; // characters of a paragraph in which marks are looked for

const FENCE = /^\s{0,3}(`{3,}|~{3,})\s*([\w+-]*)/;
const HEADING = /^\s{0,3}(#{1,6})\s(.*)$/;
const RULE = /^\s{0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^\s{0,3}> ?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const INLINE =
  /(?<!`)(`+)(?!`)([^`]+)\1(?!`)|\*\*(\S(?:[^*\n]*?\S)?)\*\*|\*(\S(?:[^*\n]*?\S)?)\*|\b_(\S(?:[^_\n]*?\S)?)_\b|~~([^~\n]+)~~|\[([^[\]\n]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>()]+)/g;

export function renderMarkdown(text, into) {
  into.replaceChildren(...blocks(text.replaceAll("\r\n", "\n").split("\n"), 0));
}

export function element(name, options = {}, ...children) {
  const made = Object.assign(document.createElement(name), options);
  made.append(...children);
  return made;
}

function blocks(lines, depth) {
  const made = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) {
      at += 1;
    } else if (FENCE.test(line)) {
      at = fence(lines, at, made);
    } else if (HEADING.test(line)) {
      const [, marks, title] = HEADING.exec(line);
      made.push(element(`h${Math.min(6, marks.length + 2)}`, {}, ...inline(title.trim())));
      at += 1;
    } else if (RULE.test(line)) {
      made.push(element("hr"));
      at += 1;
    } else if (QUOTE.test(line) && depth < MAX_DEPTH) {
      const end = endOf(lines, at, (one) => QUOTE.test(one));
      made.push(element("blockquote", {}, ...blocks(lines.slice(at, end).map((one) => one.replace(QUOTE, "")), depth + 1)));
      at = end;
    } else if (ITEM.test(line) && depth < MAX_DEPTH) {
      at = list(lines, at, made, depth);
    } else if (line.includes("|") && isDivider(lines[at + 1] ?? "")) {
      at = table(lines, at, made);
    } else {
      const end = Math.max(at + 1, endOf(lines, at, (one, index) => index === at || !startsBlock(one)));
      made.push(element("p", {}, ...inline(lines.slice(at, end).join("\n"))));
      at = end;
    }
  }
  return made;
}

// Between a table's head and its rows: | --- | :-: |
const isDivider = (line) => /^[\s|:-]+$/.test(line) && line.includes("-");

const startsBlock = (line) =>
  !line.trim() || FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

function endOf(lines, start, belongs) {
  let end = start;
  while (end < lines.length && belongs(lines[end], end)) end += 1;
  return end;
}

function fence(lines, at, made) {
  const [, mark] = FENCE.exec(lines[at]);
  const end = endOf(lines, at + 1, (line) => !line.trim().startsWith(mark));
  made.push(element("pre", {}, element("code", { textContent: lines.slice(at + 1, end).join("\n") })));
  return end + 1;
}

function list(lines, at, made, depth) {
  const [, indent, marker] = ITEM.exec(lines[at]);
  const isOrdered = /\d/.test(marker);
  const items = [];
  while (at < lines.length) {
    const found = ITEM.exec(lines[at]);
    if (!found || found[1].length > indent.length + 1 || /\d/.test(found[2]) !== isOrdered) break;
    const width = lines[at].length - found[3].length;
    const end = endOf(lines, at + 1, (line, index) => isInside(lines, index, width, indent.length));
    const inner = [found[3], ...lines.slice(at + 1, end).map((line) => line.slice(Math.min(width, line.search(/\S|$/))))];
    const content = blocks(inner, depth + 1);
    const [first] = content;
    items.push(element("li", {}, ...(first?.tagName === "P" ? [...first.childNodes, ...content.slice(1)] : content)));
    at = end;
    while (at < lines.length && !lines[at].trim() && ITEM.test(lines[at + 1] ?? "")) at += 1;
  }
  const start = isOrdered ? { start: parseInt(marker, 10) } : {};
  made.push(element(isOrdered ? "ol" : "ul", start, ...items));
  return at;
}

// Whether line index still belongs to a list item whose text begins at column width.
function isInside(lines, index, width, indent) {
  const line = lines[index];
  if (!line.trim()) return (lines[index + 1] ?? "").search(/\S/) >= width;
  const column = line.search(/\S/);
  return column >= Math.min(width, indent + 2) || !startsBlock(line);
}

function table(lines, at, made) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
  const row = (line, kind) => element("tr", {}, ...cells(line).map((cell) => element(kind, {}, ...inline(cell))));
  const end = endOf(lines, at + 2, (line) => line.includes("|"));
  const head = element("thead", {}, row(lines[at], "th"));
  made.push(element("table", {}, head, element("tbody", {}, ...lines.slice(at + 2, end).map((line) => row(line, "td")))));
  return end;
}

function inline(text) {
  if (text.length > MAX_INLINE) return [text];
  const made = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > end) made.push(text.slice(end, found.index));
    made.push(marked(found));
    end = found.index + found[0].length;
  }
  if (end < text.length) made.push(text.slice(end));
  return made;
}

function marked([whole, , code, strong, starred, underlined, struck, label, address, bare]) {
  if (code !== undefined) return element("code", { textContent: code });
  if (strong !== undefined) return element("strong", {}, ...inline(strong));
  if ((starred ?? underlined) !== undefined) return element("em", {}, ...inline(starred ?? underlined));
  if (struck !== undefined) return element("del", { textContent: struck });
  if (address !== undefined) return link(address, label);
  if (bare !== undefined) return link(bare, bare);
  return document.createTextNode(whole);
}

// Only http and https get this far: see INLINE.
const link = (address, label) =>
  element("a", { href: address, textContent: label, target: "_blank", rel: "noopener noreferrer" });
