// Figures: drawn when they come near the view, in the colours of the theme, and downloadable.
const darkColours = JSON.parse(document.getElementById("dark-colours").textContent);

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// A copy with every light colour replaced by its dark partner.
function recolour(value) {
  if (typeof value === "string") return darkColours[value] ?? value;
  if (Array.isArray(value)) return value.map(recolour);
  if (value && typeof value === "object" && !ArrayBuffer.isView(value)) {
    const copy = {};
    for (const [name, item] of Object.entries(value)) {
      // Packed numbers and words on the figure hold no colours.
      const keep = name === "bdata" || name === "customdata" || name === "text" || name === "ticktext";
      copy[name] = keep ? item : recolour(item);
    }
    return copy;
  }
  return value;
}

// A long title below a narrow figure takes a line per part.
function breakTitle(layout) {
  const title = layout.xaxis?.title;
  if (!title?.text || title.text.length < 34) return;
  title.text = title.text.replaceAll(/([,:]) /g, "$1<br>");
  layout.margin.b = (layout.margin.b ?? 48) + 15 * title.text.split("<br>").length - 15;
}

class PageFigure {
  constructor(element) {
    this.element = element;
    this.place = element.querySelector(".plot");
    this.isDrawn = false;
    this.chosen = null;
    element.querySelector(".downloads").hidden = false;
    element.querySelector("[data-download=svg]").addEventListener("click", () => this.saveSvg());
    element.querySelector("[data-download=tsv]").addEventListener("click", () => this.saveTsv());
  }

  get data() {
    this.parsed ??= JSON.parse(this.element.querySelector(".figure-data").textContent);
    return this.parsed;
  }

  draw({ dark = isDark(), width } = {}) {
    const { data, layout } = structuredClone(this.data.plot);
    const plot = dark ? recolour({ data, layout }) : { data, layout };
    if (this.chosen) Object.assign(plot.data[plot.data.length - 1], this.chosen);
    if (width) plot.layout.width = width;
    if ((width ?? this.place.clientWidth) < 460) {
      plot.layout.margin.l = Math.min(plot.layout.margin.l, 40);
      plot.layout.margin.r = Math.min(plot.layout.margin.r, 12);
      breakTitle(plot.layout);
    }
    const settings = { responsive: true, displayModeBar: false, displaylogo: false, showTips: false, ...this.settings };
    Plotly.react(this.place, plot.data, plot.layout, settings);
    if (!this.isDrawn) this.place.on("plotly_click", (event) => this.onClick && this.onClick(event.points[0]));
    this.isDrawn = true;
  }

  choose(points) {
    this.chosen = points;
    this.draw();
  }

  async saveSvg() {
    if (!this.isDrawn) this.draw();
    const { width, height } = this.place.getBoundingClientRect();
    const address = await Plotly.toImage(this.place, { format: "svg", width, height });
    const text = decodeURIComponent(address.slice(address.indexOf(",") + 1));
    saveText(this.element.id + ".svg", text, "image/svg+xml");
  }

  saveTsv() {
    const table = this.data.table;
    saveText(this.element.id + ".tsv", toTsv(Object.keys(table), Object.values(table)), "text/tab-separated-values");
  }
}
