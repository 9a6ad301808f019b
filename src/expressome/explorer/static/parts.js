// Parts that all views are made of: elements, tables, figures, questions to the API.

export async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({ error: `the explorer answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error ?? `the explorer answered ${response.status}`);
  return answer;
}

// h("p", { class: "lead" }, "text", child): text is always text, never markup.
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const geneUrl = (gene) => `/gene/${encodeURIComponent(gene)}`;
export const sampleUrl = (sample) => `/sample/${encodeURIComponent(sample)}`;
export const labelUrl = (label) => `/samples?${new URLSearchParams({ label })}`;

export function chips(labels) {
  return h("ul", { class: "chips" }, labels.map((label) => h("li", {}, h("a", { class: "chip", href: labelUrl(label) }, label))));
}

export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== "" && value !== undefined)
    .map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

export function tiles(items) {
  return h("dl", { class: "tiles" }, items.map(([value, name, note]) => h("div", { class: "tile" },
    h("dt", {}, name), h("dd", { class: "value" }, value), note ? h("dd", { class: "note" }, note) : null)));
}

// A table as in the report, of rows asked for; cells of a column with `link` lead on.
class LinkTable extends DataTable {
  drawRow(i) {
    const row = super.drawRow(i);
    this.data.columns.forEach((column, k) => {
      const target = column.links && column.links[i];
      if (target) row.cells[k].replaceChildren(h("a", { href: target }, row.cells[k].textContent));
    });
    return row;
  }
}

// columns: { title, kind: text|integer|number|score, value(row), link(row), explanation }
export function table(id, caption, columns, rows, { pageRows = 25 } = {}) {
  const data = {
    linked: "",
    pageRows: Math.max(1, Math.min(pageRows, rows.length)),
    columns: columns.map((column) => ({ title: column.title, kind: column.kind ?? "text", links: column.link ? rows.map(column.link) : null })),
    values: columns.map((column) => rows.map((row) => column.value(row) ?? null)),
  };
  const explained = columns.filter((column) => column.explanation);
  const store = h("script", { type: "application/json", class: "table-data" });
  store.textContent = JSON.stringify(data);
  const element = h("div", { class: "card wide table", id },
    h("div", { class: "table-head" },
      h("h2", { id: `${id}-title` }, caption),
      h("div", { class: "table-tools", hidden: true },
        h("label", {}, "Search ", h("input", { type: "search", autocomplete: "off", spellcheck: "false" })),
        h("button", { type: "button", "data-download": "tsv", "aria-label": `Download ${caption} as TSV` }, "TSV"))),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": `${id}-title` },
      h("table", {},
        h("caption", { class: "hidden" }, caption),
        h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.kind ?? "text", title: column.explanation }, column.title)))),
        h("tbody"))),
    h("div", { class: "table-foot", hidden: true },
      h("p", { class: "table-status status", role: "status" }),
      h("p", { class: "pages" }, h("button", { type: "button", "data-page": "-1" }, "Previous"), " ", h("button", { type: "button", "data-page": "1" }, "Next"))),
    explained.length ? h("details", { class: "terms" }, h("summary", {}, "What the columns mean"),
      facts(explained.map((column) => [column.title, column.explanation]))) : null,
    store);
  new LinkTable(element);
  return element;
}

export const shownFigures = new Set();

// A figure as in the report. plot: { data, layout }; tsv: { column: values }.
export function figure(id, { title, caption, text, plot, tsv, settings }) {
  const element = h("figure", { class: "card wide", id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title),
    h("div", { class: "plot", role: "img", "aria-label": `${title}. ${text}` }),
    h("figcaption", {}, caption, " ", h("span", { class: "detail" }, text)),
    h("p", { class: "downloads", hidden: true },
      h("button", { type: "button", "data-download": "svg", "aria-label": `Download the figure ${title} as SVG` }, "SVG"),
      h("button", { type: "button", "data-download": "tsv", "aria-label": `Download the data of ${title} as TSV` }, "TSV")));
  const made = new PageFigure(element);
  made.settings = settings;
  made.show = (newPlot, newTsv, newText) => {
    made.parsed = { plot: newPlot, table: newTsv };
    made.place.style.height = `${newPlot.layout.height}px`;
    if (newText !== undefined) {
      made.place.setAttribute("aria-label", `${title}. ${newText}`);
      element.querySelector(".detail").textContent = newText;
    }
    if (element.isConnected) made.draw();
  };
  made.show(plot, tsv);
  shownFigures.add(made);
  return made;
}

export const colours = await ask("/api/palette");

export function baseLayout(extra) {
  const axis = { gridcolor: colours.grid, linecolor: colours.grid, zeroline: false, automargin: true, fixedrange: false };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 13, color: colours.text },
    margin: { l: 60, r: 16, t: 8, b: 48 },
    hoverlabel: { font: { size: 13 } },
    ...extra,
    xaxis: { ...axis, ...extra.xaxis }, yaxis: { ...axis, ...extra.yaxis },
  };
}

// Names are data: plotly reads a little markup, so it is taken away from them.
export const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
export const count = (n) => whole.format(n);
export const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
