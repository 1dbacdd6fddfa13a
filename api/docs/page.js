"use strict";

// Texts are only ever set as text, never as markup.
function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

let described;

function resolve(schema) {
  const name = schema && schema.$ref && schema.$ref.split("/").pop();
  return name ? described.components.schemas[name] : schema || {};
}

function typeOf(schema) {
  const real = resolve(schema);
  if (real.anyOf) return real.anyOf.map(typeOf).join(" or ");
  if (real.enum) return real.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (real.const !== undefined) return JSON.stringify(real.const);
  if (real.type === "array") return `list of ${typeOf(real.items)}`;
  return real.format || real.type || "any";
}

function exampleOf(schema, depth = 0) {
  const real = resolve(schema);
  if (real.examples) return real.examples[0];
  if (real.default !== undefined) return real.default;
  if (real.const !== undefined) return real.const;
  if (real.enum) return real.enum[0];
  if (real.anyOf) return exampleOf(real.anyOf[0], depth);
  if (real.type === "array") return depth > 4 ? [] : [exampleOf(real.items, depth + 1)];
  if (real.type === "object") {
    const shown = Object.entries(real.properties || {})
      .filter(([name, part]) => (real.required || []).includes(name) || part.examples);
    return depth > 4 ? {} : Object.fromEntries(shown.map(([name, part]) => [name, exampleOf(part, depth + 1)]));
  }
  const texts = { uuid: "3c90c3cc-0d44-4b50-8888-8dd25736052a", "date-time": "2026-01-01T00:00:00Z" };
  return { string: texts[real.format] || "…", integer: 1, number: 1, boolean: true }[real.type] ?? null;
}

// Every second part of a text in backticks is code.
function withCode(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", { textContent: part }) : part));
}

function table(rows) {
  const body = rows.map(([name, ...cells]) =>
    make("tr", {}, make("th", {}, make("code", { textContent: name })), ...cells.map((cell) => make("td", {}, cell || ""))));
  return make("table", {}, ...body);
}

function fieldsOf(schema) {
  const real = resolve(schema);
  const needed = new Set(real.required || []);
  return Object.entries(real.properties || {}).map(([name, part]) =>
    [name, typeOf(part), needed.has(name) ? "required" : "", part.description || resolve(part).description]);
}

function contentOf(message) {
  return ((message || {}).content || {})["application/json"]?.schema;
}

// With what has to be in the query, as the request is refused without it, and what has an example of its own.
function addressOf(path, parameters) {
  const query = parameters.filter((each) => each.in === "query" && (each.required || each.schema.examples))
    .map((each) => `${each.name}=${encodeURIComponent(exampleOf(each.schema))}`);
  return query.length ? `${path}?${query.join("&")}` : path;
}

function curl(method, path, parameters, body) {
  const lines = [`curl --request ${method} "$KEYTIDE_URL${addressOf(path, parameters)}"`, `--header "Authorization: Bearer $KEYTIDE_TOKEN"`];
  if (body) lines.push(`--header "Content-Type: application/json"`, `--data '${JSON.stringify(exampleOf(body), null, 2)}'`);
  return make("pre", { textContent: lines.join(" \\\n  ") });
}

function section(title, content) {
  return [make("h4", { textContent: title }), content];
}

function operation(method, path, route) {
  const body = contentOf(route.requestBody);
  const answer = contentOf(route.responses["200"]);
  const inside = make("div", {}, make("p", { textContent: route.description || "" }));
  const parameters = (route.parameters || []).map((each) =>
    [each.name, each.in, typeOf(each.schema), each.required ? "required" : "", each.description || each.schema.description]);
  if (parameters.length) inside.append(...section("Parameters", table(parameters)));
  if (body) inside.append(...section("Body", table(fieldsOf(body))));
  if (answer) inside.append(...section("Answer", make("pre", { textContent: JSON.stringify(exampleOf(answer), null, 2) })));
  const statuses = Object.entries(route.responses).map(([status, each]) => [status, each.description]);
  inside.append(...section("Status", table(statuses)), ...section("Example", curl(method.toUpperCase(), path, route.parameters || [], body)));
  const head = make("summary", { className: route.deprecated ? "old" : "" },
    make("span", { className: "method", textContent: method.toUpperCase() }),
    make("code", { textContent: path }), make("span", { className: "what", textContent: route.summary || "" }));
  const shown = make("details", { id: route.operationId }, head, inside);
  shown.dataset.text = `${method} ${path} ${route.summary} ${route.description}`.toLowerCase();
  return shown;
}

function group(tag, routes) {
  return make("section", {}, make("h2", { textContent: tag }), ...routes);
}

function show() {
  const byTag = new Map();
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      const [tag] = route.tags || ["Other"];
      byTag.set(tag, [...(byTag.get(tag) || []), operation(method, path, route)]);
    }
  }
  document.getElementById("about").replaceChildren(...withCode(described.info.description.trim()));
  document.getElementById("routes").replaceChildren(...[...byTag].map(([tag, routes]) => group(tag, routes)));
  const chosen = document.getElementById(location.hash.slice(1));
  if (chosen && chosen.tagName === "DETAILS") { chosen.open = true; chosen.scrollIntoView(); }
}

function find(words) {
  for (const route of document.querySelectorAll("details")) {
    route.hidden = !words.every((word) => route.dataset.text.includes(word));
  }
  for (const part of document.querySelectorAll("section")) {
    part.hidden = !part.querySelector("details:not([hidden])");
  }
}

document.getElementById("find").addEventListener("input", (event) =>
  find(event.target.value.toLowerCase().split(/\s+/)));

fetch("/openapi.json")
  .then((answer) => answer.json())
  .then((json) => { described = json; show(); })
  .catch(() => { document.getElementById("routes").textContent = "/openapi.json cannot be read."; });
