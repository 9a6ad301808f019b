"use strict";
// Tables: sort, search, page, choose rows, download. The first page is in the document already;
// the data of all rows stand beside it as columns.
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });

function writeValue(value, kind) {
  if (value === null) return "-";
  if (kind === "integer") return whole.format(value);
  if (kind === "score") return value.toFixed(2);
  return kind === "number" ? three.format(Number(value.toPrecision(3))) : String(value);
}

// A file leaves the page and its banner behind, so its name says where it comes from.
function fileName(name) {
  return (document.body.dataset.simulated ? "simulated-" : "") + name;
}

function saveText(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: type + ";charset=utf-8" }));
  link.download = fileName(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function toTsv(titles, columns) {
  const clean = (value) => value === null ? "" : String(value).replace(/[\t\r\n]+/g, " ");
  const lines = [titles.map(clean).join("\t")];
  const n = columns.length ? columns[0].length : 0;
  for (let i = 0; i < n; i++) lines.push(columns.map((column) => clean(column[i])).join("\t"));
  return lines.join("\n") + "\n";
}

class DataTable {
  constructor(element) {
    this.element = element;
    this.data = JSON.parse(element.querySelector(".table-data").textContent);
    this.body = element.querySelector("tbody");
    this.status = element.querySelector(".status");
    this.n = this.data.values.length ? this.data.values[0].length : 0;
    this.order = Array.from({ length: this.n }, (_, i) => i);
    this.found = this.order;
    this.page = 0;
    this.sorted = { column: -1, descending: false };
    this.chosen = new Set();
    this.onChoose = null;
    this.addHeadings();
    this.addTools();
    this.draw();
  }

  addHeadings() {
    this.headings = [...this.element.querySelectorAll("th")];
    this.headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => this.sort(column));
      heading.replaceChildren(button);
    });
  }

  addTools() {
    const few = this.n <= 6;
    const tools = this.element.querySelector(".table-tools");
    tools.hidden = false;
    tools.querySelector("label").hidden = few;
    this.search = tools.querySelector("input");
    this.search.addEventListener("input", () => this.filter());
    tools.querySelector("[data-download]").addEventListener("click", () => {
      const titles = this.data.columns.map((column) => column.title);
      saveText(this.element.id + ".tsv", toTsv(titles, this.data.values), "text/tab-separated-values");
    });
    this.element.querySelector(".table-foot").hidden = few;
    this.turners = [...this.element.querySelectorAll("[data-page]")];
    this.turners.forEach((button) => button.addEventListener("click", () => {
      this.page += Number(button.dataset.page);
      this.draw();
    }));
  }

  sort(column) {
    const numeric = this.data.columns[column].kind !== "text";
    const same = this.sorted.column === column;
    const descending = same ? !this.sorted.descending : numeric;
    const values = this.data.values[column];
    const sign = descending ? -1 : 1;
    const compareText = new Intl.Collator("en", { numeric: true }).compare;
    this.order.sort((a, b) => {
      const x = values[a], y = values[b];
      if (x === null || y === null) return (x === null) - (y === null);  // empty ones last
      return sign * (numeric ? x - y : compareText(x, y)) || a - b;
    });
    this.sorted = { column, descending };
    this.headings.forEach((heading, k) => {
      if (k === column) heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    });
    this.filter();
  }

  filter() {
    const words = this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !this.texts) {
      const columns = this.data.values.filter((_, k) => this.data.columns[k].kind === "text");
      this.texts = this.order.map(() => "");
      for (let i = 0; i < this.n; i++) {
        this.texts[i] = columns.map((column) => column[i] ?? "").join("\n").toLowerCase();
      }
    }
    this.found = words.length
      ? this.order.filter((i) => words.every((word) => this.texts[i].includes(word)))
      : this.order;
    this.page = 0;
    this.draw();
  }

  draw() {
    const rows = this.data.pageRows;
    const n_pages = Math.max(1, Math.ceil(this.found.length / Math.max(rows, 1)));
    this.page = Math.min(Math.max(this.page, 0), n_pages - 1);
    const start = this.page * rows;
    const shown = this.found.slice(start, start + rows);
    this.body.replaceChildren(...shown.map((i) => this.drawRow(i)));
    const many = n_pages > 1;
    const range = many ? `${whole.format(start + 1)} to ${whole.format(start + shown.length)} of ` : "";
    this.status.textContent = `${range}${whole.format(this.found.length)} rows`
      + (this.found.length < this.n ? ` found among ${whole.format(this.n)}` : "");
    this.turners.forEach((button) => {
      button.hidden = !many;
      const next = this.page + Number(button.dataset.page);
      button.disabled = next < 0 || next >= n_pages;
    });
  }

  drawRow(i) {
    const row = document.createElement("tr");
    this.data.columns.forEach((column, k) => {
      const cell = document.createElement("td");
      cell.className = column.kind;
      const text = writeValue(this.data.values[k][i], column.kind);
      if (k === 0 && this.data.linked) cell.append(this.drawPick(i, text));
      else cell.textContent = text;
      row.append(cell);
    });
    row.classList.toggle("chosen", this.chosen.has(i));
    return row;
  }

  drawPick(i, text) {
    const pick = document.createElement("button");
    pick.type = "button";
    pick.className = "pick";
    pick.textContent = text;
    pick.setAttribute("aria-pressed", String(this.chosen.has(i)));
    pick.addEventListener("click", () => {
      if (!this.chosen.delete(i)) this.chosen.add(i);
      pick.setAttribute("aria-pressed", String(this.chosen.has(i)));
      pick.closest("tr").classList.toggle("chosen", this.chosen.has(i));
      if (this.onChoose) this.onChoose();
    });
    return pick;
  }

  column(title) {
    return this.data.values[this.data.columns.findIndex((column) => column.title === title)];
  }

  find(text) {
    this.search.value = text;
    this.filter();
  }
}
