/** The card of a model as elements of the page: headings, paragraphs, lists and tables of Markdown. */

export function cardElements(markdown: string): HTMLElement[] {
  const blocks = markdown.trim().split(/\n\s*\n/);
  const elements = blocks.map(block).filter((element) => element !== null);
  elements
    .filter((element) => element.className === "scroll")
    .forEach((region, i) => {
      region.setAttribute("aria-label", `Table ${String(i + 1)} of the model card`);
    });
  return elements;
}

function block(text: string): HTMLElement | null {
  const lines = text.split("\n");
  const [first = ""] = lines;
  if (first.startsWith("# ")) return null; // the name, which the page has already
  if (first.startsWith("#")) return inline("h3", first.replace(/^#+\s*/, ""));
  if (first.startsWith("|")) return table(lines);
  if (first.startsWith("- ")) {
    const list = document.createElement("ul");
    const items = text.split(/\n?^- /m).filter((item) => item.trim());
    list.append(...items.map((item) => inline("li", item.replaceAll("\n", " "))));
    return list;
  }
  return inline("p", lines.join(" "));
}

function table(lines: string[]): HTMLElement {
  const rows = lines.map((line) => line.replace(/^\||\|$/g, "").split("|"));
  const region = document.createElement("div");
  region.className = "scroll";
  region.tabIndex = 0;
  region.setAttribute("role", "region");
  const found = document.createElement("table");
  rows.forEach((cells, number) => {
    if (number === 1) return; // the rule below the header
    const row = found.insertRow();
    row.append(...cells.map((cell) => inline(number ? "td" : "th", cell.trim())));
  });
  region.append(found);
  return region;
}

/** Returns an element of text with `**bold**` and `` `code` ``; nothing of it is read as HTML. */
function inline(tag: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  for (const part of text.split(/(\*\*[^*]+\*\*|`[^`]+`)/)) {
    if (part.startsWith("**")) element.append(wrapped("b", part.slice(2, -2)));
    else if (part.startsWith("`")) element.append(wrapped("code", part.slice(1, -1)));
    else element.append(part);
  }
  return element;
}

function wrapped(tag: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
