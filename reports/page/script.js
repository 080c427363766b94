"use strict";
// The address holds the state: #section&table.sort=2-&table.filter=text&theme=dark.
// Figures and verdicts are there without this script. It builds the long tables, makes tables
// sort, filter and download, chooses a size of learned optimizers, and highlights seeds.
(() => {
  const state = new Map();
  let anchor = "";

  function read() {
    const [first, ...rest] = location.hash.slice(1).split("&");
    const named = first.includes("=") ? [first, ...rest] : rest;
    anchor = first.includes("=") ? "" : first;
    return new Map(named.filter(Boolean).map((part) => {
      const at = part.indexOf("=");
      return [decode(part.slice(0, at)), decode(part.slice(at + 1))];
    }));
  }
  function decode(text) {
    try { return decodeURIComponent(text); } catch { return text; }
  }
  function write() {
    const parts = [...state].map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`);
    const hash = [anchor, ...parts].filter(Boolean).join("&");
    history.replaceState(null, "", location.href.split("#")[0] + (hash ? `#${hash}` : ""));
  }
  function put(key, value) {
    if (value) state.set(key, value); else state.delete(key);
    write();
  }
  function show(id) {
    const target = id && document.getElementById(id);
    if (!target) return;
    open(target);
    target.scrollIntoView();
  }
  function open(target) {
    for (let node = target; node; node = node.parentElement) {
      if (node.tagName !== "DETAILS") continue;
      node.open = true;
      build(node);
    }
  }
  function element(name, properties, ...children) {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  }
  function save(name, type, text) {
    const link = element("a", {href: URL.createObjectURL(new Blob([text], {type})), download: name});
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // Tables.
  const words = (cell) => [...cell.childNodes].filter((n) => n.nodeName !== "SMALL")
    .map((n) => n.textContent).join("").trim();
  function value(cell) {
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = words(cell);
    if (!cell.classList.contains("n")) return text;
    return text === "∞" ? Infinity : text === "−∞" ? -Infinity : text === "–" ? NaN : Number(text);
  }
  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", {numeric: true});
  }
  const missing = (v) => v === "" || v === "–" || Number.isNaN(v);

  class Tabular {
    constructor(box, id = box.id) {
      this.id = id;
      this.body = box.querySelector("tbody");
      this.heads = [...box.querySelectorAll("thead th")];
      this.rows = [...this.body.rows];
      this.lines = box.dataset.csv.split("\n");
      this.caption = box.querySelector(".caption").textContent;
      this.heads.forEach((head, column) => {
        this.heads[column].dataset.name = head.textContent;
        const button = element("button", {type: "button"}, head.textContent);
        button.addEventListener("click", () => this.turn(column));
        head.replaceChildren(button);
      });
      this.filter = element("input", {type: "search", autocomplete: "off"});
      this.filter.addEventListener("input", () => {
        put(`${this.id}.filter`, this.filter.value);
        this.apply();
      });
      this.count = element("span", {className: "count"});
      this.count.setAttribute("role", "status");
      const tools = element("div", {className: "tools"},
        element("label", {}, "Filter ", this.filter), this.count);
      for (const [name, type, make] of [["CSV", "text/csv", (table) => table.csv()], ["LaTeX", "text/x-tex", latex]]) {
        const button = element("button", {type: "button"}, name);
        button.setAttribute("aria-label", `Download as ${name}: ${this.caption}`);
        button.addEventListener("click", () =>
          save(`${this.id}.${name === "CSV" ? "csv" : "tex"}`, type, make(this)));
        tools.append(button);
      }
      this.filter.setAttribute("aria-label", `Filter: ${this.caption}`);
      box.querySelector(".scroll").before(tools);
    }
    turn(column) {
      const now = this.sort;
      const next = !now || now.column !== column ? `${column}+` : now.ascending ? `${column}-` : "";
      put(`${this.id}.sort`, next);
      this.apply();
    }
    get sort() {
      const match = /^(\d+)([+-])$/.exec(state.get(`${this.id}.sort`) || "");
      if (!match || Number(match[1]) >= this.heads.length) return null;
      return {column: Number(match[1]), ascending: match[2] === "+"};
    }
    apply() {
      const {sort} = this;
      this.heads.forEach((head, column) => {
        if (sort && sort.column === column) {
          head.setAttribute("aria-sort", sort.ascending ? "ascending" : "descending");
        } else head.removeAttribute("aria-sort");
      });
      let rows = this.rows;
      if (sort) {
        const keyed = rows.map((row) => [value(row.cells[sort.column]), row]);
        keyed.sort(([a], [b]) => missing(a) || missing(b)
          ? missing(a) - missing(b) : (sort.ascending ? 1 : -1) * compare(a, b));
        rows = keyed.map(([, row]) => row);
      }
      const query = state.get(`${this.id}.filter`) || "";
      if (this.filter.value !== query) this.filter.value = query;
      const terms = query.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = terms.length ? row.textContent.toLowerCase() : "";
        row.hidden = !terms.every((term) => text.includes(term));
        shown += !row.hidden;
      }
      this.body.append(...rows);
      this.count.textContent = terms.length ? `${shown} of ${rows.length} rows` : "";
    }
    // The headings, then the visible rows in their current order.
    content() {
      const rows = [...this.body.rows].filter((row) => !row.hidden);
      return [this.heads.map((head) => head.dataset.name),
        ...rows.map((row) => [...row.cells].map(words))];
    }
    // The CSV header, then the CSV lines of the visible rows in their current order.
    csv() {
      const [heads, ...lines] = this.lines;
      const shown = [...this.body.rows].filter((row) => !row.hidden);
      const place = new Map(this.rows.map((row, i) => [row, i]));
      return [heads, ...shown.map((row) => lines[place.get(row)]), ""].join("\r\n");
    }
  }
  // A long table is built from its CSV when it is first opened.
  const unquoted = (line) => [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)]
    .map(([, quoted, plain]) => quoted === undefined ? plain : quoted.replaceAll('""', '"'));
  function number(text) {
    const value = Number(text.replace("inf", "Infinity"));
    if (text === "") return "–";
    return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : value > 0 ? "∞" : "−∞";
  }
  function build(details) {
    if (!details.matches(".data:not(.built)")) return;
    details.classList.add("built");
    const {csv, columns, heads} = details.dataset;
    const kinds = JSON.parse(columns);
    const [names, ...lines] = csv.trimEnd().split("\n").map(unquoted);
    const [size, judged] = [names.indexOf("preset"), kinds.map((_, i) => ["status", "outcome"].includes(names[i]))];
    const head = element("tr", {}, ...kinds.map(({heading, about}) =>
      element("th", {scope: "col", title: about}, heading)));
    const body = element("tbody", {}, ...lines.map((cells) => {
      const row = element("tr", {}, ...cells.map((text, i) => {
        const cell = element(i < heads ? "th" : "td", {}, kinds[i].number ? number(text) : text || (i < heads ? "–" : ""));
        if (i < heads) cell.scope = "row";
        if (kinds[i].number) {
          cell.className = "n";
          cell.dataset.v = text === "" ? "NaN" : text.replace("inf", "Infinity");
        } else if (judged[i]) cell.className = text.replaceAll(" ", "-");
        return cell;
      }));
      if (size >= 0 && cells[size]) row.dataset.size = cells[size];
      return row;
    }));
    const caption = details.querySelector(".caption");
    caption.id = `${details.id}-caption`;
    const table = element("table", {}, element("thead", {}, head), body);
    table.setAttribute("aria-labelledby", caption.id);
    const scroll = element("div", {className: "scroll", tabIndex: 0}, table);
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", caption.textContent.slice(0, 80));
    const box = element("div", {className: "tabular", id: `${details.id}-rows`}, caption, scroll);
    box.dataset.csv = csv;
    details.append(box);
    const made = new Tabular(box, details.id);
    tables.push(made);
    made.apply();
  }
  const TEX = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "∞": "$\\infty$", "−": "$-$", "±": "$\\pm$", "κ": "$\\kappa$", "η": "$\\eta$", "θ": "$\\theta$",
    "α": "$\\alpha$", "β": "$\\beta$", "λ": "$\\lambda$", "Σ": "$\\Sigma$", "–": "--",
    "≤": "$\\le$", "≥": "$\\ge$", "²": "$^2$", "ᵀ": "$^\\top$", "∂": "$\\partial$", "·": "$\\cdot$",
    "✓": "yes", "✗": "no", "…": "\\ldots{}"};
  const tex = (text) => text.replace(/[\\{}$&#%_~^∞−±κηθαβλΣ–≤≥²ᵀ∂·✓✗…]/g, (c) => TEX[c] || `\\${c}`)
    .replace(/^(?=[[*])/, "{}");
  function latex(table) {
    const [heads, ...rows] = table.content().map((row) => row.map(tex));
    const columns = table.heads.map((_, i) =>
      table.rows.length && table.rows[0].cells[i].classList.contains("n") ? "r" : "l").join("");
    const lines = (list) => list.map((row) => `  ${row.join(" & ")} \\\\`).join("\n");
    return `% needs \\usepackage{booktabs}\n\\begin{tabular}{${columns}}\n  \\toprule\n${lines([heads])}\n` +
      `  \\midrule\n${lines(rows)}\n  \\bottomrule\n\\end{tabular}\n`;
  }

  // Figures. A download joins all panels and the legend in one SVG, in the colours of a light page.
  const SVG = "http://www.w3.org/2000/svg";
  function drawing(figure) {
    const panels = [...figure.querySelectorAll(".panel")];
    const sizes = panels.map((p) => p.querySelector("svg").viewBox.baseVal);
    const columnWidth = Math.max(...sizes.map((s) => s.width));
    const perRow = Math.max(1, Math.min(4, panels.length));
    const svg = document.createElementNS(SVG, "svg");
    const addText = (x, y, text, size) => {
      const label = document.createElementNS(SVG, "text");
      label.setAttribute("x", x); label.setAttribute("y", y);
      label.setAttribute("style", `font: ${size}px sans-serif`);
      label.textContent = text;
      svg.append(label);
    };
    const addDrawing = (source, x, y, width, height) => {
      const copy = source.cloneNode(true);
      for (const [k, v] of Object.entries({x, y, width, height})) copy.setAttribute(k, v);
      svg.append(copy);
    };
    addText(8, 18, figure.querySelector("h3").textContent, 14);
    let y = 28;
    [...figure.querySelectorAll(".legend li")].forEach((entry, i) => {
      const x = 8 + (i % perRow) * columnWidth;
      y += i && i % perRow === 0 ? 16 : 0;
      addDrawing(entry.querySelector("svg"), x, y, 28, 12);
      addText(x + 34, y + 10, entry.textContent, 11);
    });
    y += 24;
    for (const row of figure.querySelectorAll(".row-title")) addText(8, (y += 14), row.textContent, 11);
    y += 8;
    for (let i = 0; i < panels.length; i += perRow) {
      const row = sizes.slice(i, i + perRow);
      row.forEach((size, j) => {
        addText(j * columnWidth + 8, y + 14, panels[i + j].querySelector("p").textContent, 12);
        addDrawing(panels[i + j].querySelector("svg"), j * columnWidth, y + 20, size.width, size.height);
      });
      y += 24 + Math.max(...row.map((s) => s.height));
    }
    for (const [k, v] of Object.entries({xmlns: SVG, "xmlns:xlink": "http://www.w3.org/1999/xlink",
      width: perRow * columnWidth, height: y, viewBox: `0 0 ${perRow * columnWidth} ${y}`})) svg.setAttribute(k, v);
    svg.removeAttribute("aria-hidden");
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + new XMLSerializer().serializeToString(svg)
      .replace(/var\(--[\w-]+, (#[0-9a-f]{6})\)/g, "$1");
  }

  // The theme: the system's, unless the reader chooses one.
  function theme() {
    const requested = state.get("theme");
    const chosen = requested === "light" || requested === "dark" ? requested : "";
    if (chosen) document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    for (const button of document.querySelectorAll("#theme button")) {
      button.setAttribute("aria-pressed", String(button.dataset.theme === chosen));
    }
  }

  // An entry of a figure's legend that is not pressed hides its series.
  function hide(figure) {
    const off = figure.querySelectorAll(".legend [data-key]:has([aria-pressed='false'])");
    const hidden = new Set([...off].map((entry) => entry.dataset.key));
    for (const node of figure.querySelectorAll(".panel [data-series]")) {
      node.style.visibility = hidden.has(node.dataset.series) ? "hidden" : "";
    }
  }

  const tables = [...document.querySelectorAll(".tabular")].map((box) => new Tabular(box));
  for (const details of document.querySelectorAll("details.data")) {
    details.addEventListener("toggle", () => { if (details.open) build(details); });
  }
  for (const figure of document.querySelectorAll("figure")) {
    const title = figure.querySelector("h3").textContent;
    const caption = figure.querySelector("figcaption");
    for (const [name, type, make] of [["SVG", "image/svg+xml", () => drawing(figure)], ["CSV", "text/csv", () => figure.dataset.csv.replaceAll("\n", "\r\n")]]) {
      const button = element("button", {type: "button", className: `save ${name.toLowerCase()}`}, name);
      button.setAttribute("aria-label", `Download as ${name}: ${title}`);
      button.addEventListener("click", () => save(`${figure.id}.${name.toLowerCase()}`, type, make()));
      caption.append(" ", button);
    }
    for (const entry of figure.querySelectorAll(".legend [data-key]")) {
      const button = element("button", {type: "button"}, ...entry.childNodes);
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
        hide(figure);
      });
      entry.append(button);
    }
  }
  // A seed under the pointer is highlighted in every figure, and named.
  const hint = element("div", {id: "hint", hidden: true});
  hint.setAttribute("aria-hidden", "true");
  document.body.append(hint);
  addEventListener("mouseover", ({target, clientX, clientY}) => {
    const {seed} = target.closest?.(".panel [data-seed]")?.dataset ?? {};
    for (const node of document.querySelectorAll(".panel .on")) node.classList.remove("on");
    document.body.classList.toggle("lit", Boolean(seed));
    hint.hidden = !seed;
    if (!seed) return;
    hint.textContent = seed;
    Object.assign(hint.style, {left: `${clientX + 12}px`, top: `${clientY + 12}px`});
    for (const node of document.querySelectorAll(`.panel [data-seed="${CSS.escape(seed)}"]`)) node.classList.add("on");
  });

  // The size of the learned optimizers that the page shows. What belongs to the others waits in
  // templates: an element for each place in the page.
  const places = [...document.querySelectorAll(".of-size")];
  const waiting = (name) =>
    document.querySelector(`template[data-size="${CSS.escape(name)}"]`).content.children;
  function exchange(shown, chosen) {
    const [away, here] = [waiting(shown), waiting(chosen)];
    places.forEach((place, i) => {
      away[i].append(...place.childNodes);
      place.append(...here[i].childNodes);
    });
    for (const figure of document.querySelectorAll("figure")) hide(figure);
  }
  const sizes = JSON.parse(document.documentElement.dataset.sizes || "[]");
  function size() {
    const requested = state.get("size");
    const chosen = sizes.includes(requested) ? requested : sizes[0];
    const {dataset} = document.documentElement;
    if (chosen !== dataset.size) exchange(dataset.size, chosen);
    if (chosen) dataset.size = chosen;
    for (const button of document.querySelectorAll("#sizes button")) {
      button.setAttribute("aria-pressed", String(button.textContent === chosen));
    }
  }
  if (sizes.length > 1) {
    const box = document.getElementById("sizes");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Size of the learned optimizers");
    box.append("Size ");
    for (const name of sizes) {
      const button = element("button", {type: "button"}, name);
      button.addEventListener("click", () => { put("size", name === sizes[0] ? "" : name); size(); });
      box.append(button);
    }
  }
  for (const [name, label] of [["", "System"], ["light", "Light"], ["dark", "Dark"]]) {
    const button = element("button", {type: "button"}, label);
    button.dataset.theme = name;
    button.addEventListener("click", () => { put("theme", name); theme(); });
    document.getElementById("theme").append(button);
  }
  document.getElementById("theme").setAttribute("role", "group");
  document.getElementById("theme").setAttribute("aria-label", "Theme");
  function applyState() {
    theme();
    size();
    for (const table of tables) table.apply();
    // An address that sorts or filters a table also opens that table.
    for (const key of [...state.keys()]) {
      const details = document.getElementById(key.replace(/\.(sort|filter)$/, ""));
      if (details && details !== document.getElementById(key)) open(details);
    }
    const sent = tables.filter(({id}) => state.has(`${id}.sort`) || state.has(`${id}.filter`));
    for (const {id} of sent) open(document.getElementById(id));
    show(anchor || (sent.length ? sent[0].id : ""));
  }
  addEventListener("hashchange", () => {
    const fromAddress = read();
    // A link within the page has an anchor only. Sorting and filters are kept.
    if (fromAddress.size) {
      state.clear();
      for (const [k, v] of fromAddress) state.set(k, v);
    }
    write();
    applyState();
  });
  for (const [k, v] of read()) state.set(k, v);
  applyState();
})();
