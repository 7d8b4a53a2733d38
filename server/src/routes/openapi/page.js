// Renders openapi.json: routes by tag, each with its parameters, its body by an example that may be sent, its schemas.
// Text of the document is always put in as text, never as HTML.
"use strict";

/** Makes an element. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

let api;

/** What a reference stands for. */
function resolved(shape) {
  return shape.$ref ? shape.$ref.slice(2).split("/").reduce((at, part) => at[part], api) : shape;
}

/** The name of a schema, in few words. */
function kind(shape) {
  if (shape.$ref) return shape.$ref.split("/").pop();
  const kinds = shape.anyOf || shape.oneOf || shape.allOf;
  if (kinds) return [...new Set(kinds.map(kind))].join(" | ");
  if (shape.enum) return shape.enum.map((word) => JSON.stringify(word)).join(" | ");
  const types = [shape.type ?? "any"].flat();
  return types.map((type) => (type === "array" && shape.items ? `[${kind(shape.items)}]` : type)).join(" | ");
}

/** The parts of a schema that can be opened: members, or the kinds that it may be. */
function parts(shape) {
  const own = resolved(shape);
  if (own.properties) {
    const needed = new Set(own.required ?? []);
    return Object.entries(own.properties).map(([name, inner]) => [name, inner, needed.has(name)]);
  }
  if (own.items) return parts(own.items);
  if (own.additionalProperties?.$ref || own.additionalProperties?.type) return [["(any name)", own.additionalProperties]];
  const kinds = (own.anyOf ?? own.oneOf ?? own.allOf ?? []).filter((one) => parts(one).length);
  if (kinds.length === 1) return parts(kinds[0]);
  return kinds.map((one) => [undefined, one]);
}

/** A schema as a tree; what is below is made when it is opened, for schemas hold themselves. */
function tree(shape) {
  const list = element("ul");
  for (const [name, inner, isNeeded] of parts(shape)) {
    const own = resolved(inner);
    const line = [
      name === undefined ? "" : element("code", {}, name),
      isNeeded ? "* " : " ",
      element("span", { class: "quiet" }, kind(inner)),
    ];
    const what = inner.description ?? own.description;
    if (what && name !== undefined) line.push(` ${what.replace(/\n/g, " ")}`);
    if (!parts(inner).length) {
      list.append(element("li", {}, ...line));
      continue;
    }
    const below = element("details", {}, element("summary", {}, ...line));
    below.addEventListener("toggle", () => below.children.length < 2 && below.append(tree(inner)), { once: true });
    list.append(element("li", {}, below));
  }
  return list;
}

function schema(title, shape) {
  if (!shape || !parts(shape).length) return undefined;
  return element("div", { class: "schema" }, element("h3", {}, `${title}: ${kind(shape)}`), tree(shape));
}

/** The route with its parameters put in. */
function address(path, inputs) {
  let filled = path;
  const query = new URLSearchParams();
  for (const { parameter, input } of inputs) {
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(parameter.name, input.value);
  }
  return filled + (query.size ? `?${query}` : "");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function command(method, url, body) {
  const lines = [`curl -X ${method} ${quoted(url)}`];
  if (document.getElementById("key").value) lines.push('  -H "api-key: $KEY"');
  if (body) lines.push("  -H 'content-type: application/json'", `  -d ${quoted(body)}`);
  return lines.join(" \\\n");
}

async function send(method, url, body, shown) {
  const headers = body ? { "content-type": "application/json" } : {};
  const key = document.getElementById("key").value;
  if (key) headers["api-key"] = key;
  const began = performance.now();
  try {
    const answer = await fetch(url, { method, headers, body });
    const text = await answer.text();
    const took = `${answer.status} in ${(performance.now() - began).toFixed(1)} ms\n\n`;
    try {
      shown.textContent = took + JSON.stringify(JSON.parse(text), null, 1);
    } catch {
      shown.textContent = took + text.slice(0, 20000);
    }
  } catch (error) {
    shown.textContent = `The server does not answer: ${error.message}`;
  }
}

/** What is below the line of a route. */
function opened(path, method, operation) {
  const inside = element("div", { class: "body" });
  if (operation.description) inside.append(element("p", {}, operation.description));
  const inputs = (operation.parameters ?? []).map((parameter) => ({
    parameter,
    input: element("input", { "aria-label": parameter.name, value: parameter.example ?? "" }),
  }));
  if (inputs.length) {
    const row = ({ parameter, input }) =>
      element("tr", {}, element("td", {}, element("code", {}, parameter.name)), element("td", {}, input),
        element("td", { class: "what" }, `${kind(parameter.schema)}. ${parameter.description}`));
    inside.append(element("h3", {}, "Parameters"), element("table", {}, ...inputs.map(row)));
  }
  const content = operation.requestBody?.content ?? {};
  const json = content["application/json"];
  let area;
  if (json) {
    area = element("textarea", { "aria-label": "Body", spellcheck: "false" });
    area.value = JSON.stringify(json.example, null, 2);
    area.rows = Math.min(24, area.value.split("\n").length + 1);
    inside.append(element("h3", {}, "Body"), area);
  } else if (operation.requestBody) {
    inside.append(element("p", {}, `The body is a file: ${Object.keys(content).join(", ")}.`));
  }
  const shown = element("pre", { hidden: "", "aria-live": "polite" });
  const url = () => new URL(address(path, inputs).slice(1), document.baseURI).href;
  const compact = () => {
    try {
      return area && JSON.stringify(JSON.parse(area.value));
    } catch {
      return area.value;
    }
  };
  const show = (act) => { shown.hidden = false; act(); };
  const asCommand = () => { shown.textContent = command(method.toUpperCase(), url(), compact()); };
  const buttons = element("div", { class: "row" });
  if (json || !operation.requestBody) {
    const sent = () => show(() => send(method.toUpperCase(), url(), area && area.value, shown));
    buttons.append(element("button", { class: "main", onclick: sent }, "Send"));
    buttons.append(element("button", { onclick: () => show(asCommand) }, "As a command"));
  }
  inside.append(buttons, shown);
  const done = operation.responses["200"];
  const told = done && Object.values(done.content ?? {})[0]?.schema;
  const shapes = [json && schema("Body", json.schema), told && schema("Answer", told.properties?.result ?? told)];
  inside.append(...shapes.filter(Boolean), errors(operation));
  return inside;
}

function errors(operation) {
  const rows = Object.entries(operation.responses).filter(([status]) => status !== "200").map(([status, answer]) =>
    element("tr", {}, element("td", {}, element("code", {}, status)), element("td", {}, resolved(answer).description)));
  const below = element("details", {}, element("summary", { class: "quiet" }, "Errors"), element("table", {}, ...rows));
  return rows.length ? element("div", { class: "schema row" }, below) : "";
}

function route(path, method, operation) {
  const line = element("summary", {},
    element("span", { class: `method ${method}` }, method.toUpperCase()), element("span", { class: "path" }, path),
    element("span", { class: "what" }, operation.summary));
  const made = element("details", { class: "operation", id: operation.operationId }, line);
  made.addEventListener("toggle", () => made.children.length < 2 && made.append(opened(path, method, operation)));
  return made;
}

function sift(words) {
  for (const made of document.querySelectorAll("details.operation")) {
    made.hidden = !words.every((word) => made.firstChild.textContent.toLowerCase().includes(word));
  }
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = !section.querySelector("details.operation:not([hidden])");
  }
}

function reveal() {
  const made = document.getElementById(location.hash.slice(1));
  if (made) { made.open = true; made.scrollIntoView(); }
}

async function start() {
  api = await (await fetch("openapi.json")).json();
  document.getElementById("version").textContent = api.info.version;
  document.getElementById("about").textContent = api.info.description;
  const all = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  const [main, nav] = [document.querySelector("main"), document.querySelector("nav")];
  for (const tag of api.tags) {
    const own = all.filter(({ operation }) => operation.tags.includes(tag.name));
    const routes = own.map(({ path, method, operation }) => route(path, method, operation));
    main.append(element("section", {}, element("h2", {}, tag.name), element("p", {}, tag.description), ...routes));
    const links = own.map(({ operation }) =>
      element("a", { href: `#${operation.operationId}`, title: operation.summary }, operation.summary));
    nav.append(element("h2", {}, tag.name), ...links);
  }
  document.getElementById("filter").addEventListener("input", (event) =>
    sift(event.target.value.toLowerCase().split(/\s+/).filter(Boolean)));
  addEventListener("hashchange", reveal);
  reveal();
}

start().catch((error) => { document.getElementById("about").textContent = `openapi.json cannot be read: ${error.message}`; });
