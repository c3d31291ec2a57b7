"use strict";

// Draws the OpenAPI document. Text goes in as text, never as HTML.

function made(name, text, parts) {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  for (const part of parts || []) node.append(part);
  return node;
}

function table(heads, rows) {
  const head = made("tr", "", heads.map((text) => made("th", text)));
  const body = rows.map((cells) =>
    made("tr", "", cells.map((cell) => (cell instanceof Node ? made("td", "", [cell]) : made("td", cell)))));
  return made("table", "", [made("thead", "", [head]), made("tbody", "", body)]);
}

function kindOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(kindOf).join(" or ");
  if (schema.type === "array") return `list of ${kindOf(schema.items)}`;
  return schema.format ? `${schema.type} (${schema.format})` : schema.type || "any";
}

function anchor(method, path) {
  return `${method}${path}`.replace(/[^a-z0-9]+/gi, "-");
}

function operation(method, path, said) {
  const heading = made("h2", "", [made("span", method.toUpperCase()), made("code", path)]);
  heading.firstChild.className = "method";
  heading.id = anchor(method, path);
  const parts = [heading, made("p", said.description || said.summary || "")];
  if (said.parameters) {
    const rows = said.parameters.map((one) => [
      made("code", one.name), `${one.in}${one.required ? ", required" : ""}`,
      kindOf(one.schema), one.description || (one.schema && one.schema.description) || ""]);
    parts.push(made("h3", "Parameters"), table(["name", "in", "kind", "what"], rows));
  }
  if (said.requestBody) {
    const kinds = Object.keys(said.requestBody.content).join(", ");
    parts.push(made("h3", "Body"), made("p", `${kinds}. ${said.requestBody.description || ""}`));
  }
  const answers = Object.entries(said.responses || {}).map(([status, one]) => {
    const content = Object.entries(one.content || {})[0];
    return [status, content ? kindOf(content[1].schema) : "", one.description || ""];
  });
  parts.push(made("h3", "Answers"), table(["status", "form", "when"], answers));
  return made("section", "", parts);
}

function form(name, schema) {
  const needed = new Set(schema.required || []);
  const rows = Object.entries(schema.properties || {}).map(([key, one]) => [
    made("code", key), kindOf(one) + (needed.has(key) ? "" : ", may be missing"), one.description || ""]);
  const heading = made("h2", name);
  return made("section", "", [heading, made("p", schema.description || ""), table(["field", "kind", "what"], rows)]);
}

async function draw() {
  const routes = document.getElementById("routes");
  try {
    const document_ = await (await fetch("/openapi.json")).json();
    document.getElementById("title").textContent = `${document_.info.title} ${document_.info.version}`;
    document.getElementById("about").textContent = document_.info.description || "";
    const links = [];
    routes.replaceChildren();
    for (const [path, methods] of Object.entries(document_.paths)) {
      for (const [method, said] of Object.entries(methods)) {
        routes.append(operation(method, path, said));
        const link = made("a", `${method.toUpperCase()} ${path}`);
        link.href = `#${anchor(method, path)}`;
        links.push(made("li", "", [link, document.createTextNode(` ${said.summary || ""}`)]));
      }
    }
    document.getElementById("contents").replaceChildren(made("ul", "", links));
    const schemas = Object.entries((document_.components || {}).schemas || {});
    document.getElementById("forms").replaceChildren(...schemas.map(([name, one]) => form(name, one)));
  } catch (error) {
    routes.textContent = `The description could not be loaded: ${error}`;
  }
}

draw();
