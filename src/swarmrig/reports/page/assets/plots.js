"use strict";
// Plots, all over the same time.

const MOST_TRACES = 40;

class Plots {
  constructor(run, jump) {
    this.run = run;
    this.jump = jump;
    this.end = run.end / 1e9;
    this.step = run.step / 1e9;
    this.narrow = window.matchMedia("(max-width: 40rem)").matches;
    this.boxes = ["timeline", "rate", "loss", "latency"].map((name) => document.getElementById(`${name}-plot`));
    this.range = [0, this.end];
    this.per = "links";
    this.drawing = Promise.resolve();
    this.draw();
    for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => this.zoom(button.dataset.zoom));
    const keys = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all" };
    this.boxes[0].addEventListener("keydown", (event) => {
      if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); this.zoom(keys[event.key]); }
    });
    for (const input of document.querySelectorAll("input[name=per]")) input.addEventListener("change", () => { this.per = input.value; this.drawSeries(); });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  draw() {
    this.drawTimeline();
    this.drawSeries();
  }

  layout(height, more) {
    const layout = plotLayout(height, this.narrow, more);
    Object.assign(layout.xaxis, { range: [...this.range], ticksuffix: " s" });
    return layout;
  }

  plot(box, traces, layout) {
    Plotly.react(box, traces, layout, PLOT_CONFIG);
    if (box.dataset.watched) return;
    box.dataset.watched = "yes";
    box.on("plotly_relayout", (change) => this.follow(change));
    box.on("plotly_click", (click) => {
      const to = click.points[0].customdata;
      this.jump(to && to.kind ? to : { kind: "moment", t: click.points[0].x * 1e9 });
    });
  }

  // One plot was zoomed: all are.
  follow(change) {
    if (change["xaxis.autorange"]) this.show(0, this.end);
    else if (change["xaxis.range[0]"] !== undefined) this.show(change["xaxis.range[0]"], change["xaxis.range[1]"]);
  }

  show(from, to) {
    if (Math.abs(from - this.range[0]) < 1e-9 && Math.abs(to - this.range[1]) < 1e-9) return;
    this.range = [from, to];
    for (const box of this.boxes) if (box.data && box.data.length) Plotly.relayout(box, { "xaxis.range": [from, to] });
  }

  zoom(how) {
    const [from, to] = this.range, width = to - from, middle = (from + to) / 2;
    if (how === "all") this.show(0, this.end);
    if (how === "in") this.show(middle - width / 4, middle + width / 4);
    if (how === "out") this.show(Math.max(0, middle - width), Math.min(this.end, middle + width));
    if (how === "left") this.show(from - Math.min(width / 2, from), to - Math.min(width / 2, from));
    if (how === "right") { const by = Math.min(width / 2, Math.max(0, this.end - to)); this.show(from + by, to + by); }
  }

  // So that a moment is in sight.
  reveal(seconds) {
    const [from, to] = this.range;
    if (seconds < from || seconds > to) this.show(Math.max(0, seconds - (to - from) / 2), Math.min(this.end, seconds + (to - from) / 2));
  }

  drawTimeline() {
    const traces = [...this.nodeTraces(), ...this.faultTraces(), ...this.checkTraces()];
    const rows = [...this.run.nodes.map((node) => `n${node.id}`), ...this.run.faults.map((fault) => `f${fault.id}`), ...(this.run.checks.length ? ["checks"] : [])];
    const names = rows.map((row) => safe(shortened(row === "checks" ? "checks" : row.slice(1), this.narrow ? 10 : 24)));
    const inner = Math.max(80, rows.length * (this.narrow ? 22 : 26));
    const legend = { orientation: "h", y: -36 / inner, ...(this.narrow ? { entrywidth: 130, maxheight: 400 } : {}) };
    const layout = this.layout(inner + (this.narrow ? 190 : 110), { legend });
    Object.assign(layout.yaxis, { tickvals: rows.map((_, index) => index), ticktext: names, range: [rows.length - 0.4, -0.6], zeroline: false });
    this.bands = this.faultBands(rows);
    layout.shapes = [...this.bands, ...this.cursor()];
    this.plot(this.boxes[0], traces, layout);
  }

  nodeTraces() {
    const looks = { started: ["warn", "starting"], booted: ["pass", "running"], ready: ["pass", "ready"], exited: ["fail", "ended by itself"], stopped: ["faint", "stopped by the rig"] };
    const spans = Object.entries(looks).map(([state, [look, name]]) => {
      const x = [], y = [], text = [];
      this.run.nodes.forEach((node, row) => node.spans.filter((span) => span[2] === state).forEach(([from, to]) => {
        x.push(from / 1e9, to / 1e9, null); y.push(row, row, null);
        text.push(...Array(3).fill(`${safe(node.id)}: ${name}<br>${seconds(from)} to ${seconds(to)}`));
      }));
      return { type: "scatter", mode: "lines", name, x, y, text, hoverinfo: "text", line: { width: 10, color: colour(look) }, opacity: 0.75 };
    });
    const marks = [["crash", "x", "fail"], ["error", "diamond", "fail"], ["warning", "diamond", "warn"], ["reboot", "triangle-left", "none"], ["boot", "triangle-right", "none"]];
    const points = marks.map(([mark, symbol, look]) => {
      const found = this.run.nodes.flatMap((node, row) => node.lines.filter((line) => line[3] === mark && line[1] !== null).map((line) => [node, row, line]));
      return this.points(`console: ${mark}`, symbol, look, found.map(([node, row, [number, t, text]]) =>
        ({ t, row, text: `${safe(node.id)}, line ${number}<br>${safe(shortened(text, 100))}`, to: { kind: "console", name: node.id, number } })));
    });
    return [...spans, ...points].filter((trace) => trace.x.length);
  }

  faultTraces() {
    const first = this.run.nodes.length;
    const looks = { injected: ["triangle-down", "fail"], observed: ["circle", "fail"], healed: ["triangle-up", "pass"], "heal observed": ["circle", "pass"], failed: ["x", "fatal"], skipped: ["line-ew-open", "faint"] };
    return Object.entries(looks).map(([stage, [symbol, look]]) => this.points(`fault: ${stage}`, symbol, look,
      this.run.faults.flatMap((fault, index) => fault.stages.filter((one) => one[0] === stage).map(([, t]) => ({
        // what was done stands above what was seen of it, which is often at the same time
        t, row: first + index + (stage === "injected" || stage === "healed" ? -0.3 : 0.1), text: `${safe(fault.id)}: ${stage}<br>${safe(shortened(fault.description || "", 100))}`,
        to: this.place(fault.evidence.find((item) => item.note === stage)) || { kind: "moment", t },
      }))))).filter((trace) => trace.x.length);
  }

  checkTraces() {
    const row = this.run.nodes.length + this.run.faults.length;
    const looks = { PASS: ["star", "pass"], WARN: ["star-triangle-up", "warn"], FAIL: ["x", "fail"], FATAL: ["x", "fatal"], INCONCLUSIVE: ["star-open", "none"] };
    return Object.entries(looks).map(([outcome, [symbol, look]]) => this.points(`evidence: ${outcome}`, symbol, look,
      this.run.checks.filter((check) => check.outcome === outcome).flatMap((check) => check.evidence.map((item) => ({
        t: this.timeOf(item), row, to: this.place(item),
        text: `${safe(shortened(check.label, 60))}: ${outcome}<br>${safe(item.at)}<br>${safe(shortened(item.note || check.message, 100))}`,
      }))).filter((point) => point.t !== null))).filter((trace) => trace.x.length);
  }

  points(name, symbol, look, found) {
    return {
      type: "scatter", mode: "markers", cliponaxis: false, name, x: found.map((one) => one.t / 1e9), y: found.map((one) => one.row),
      text: found.map((one) => `${one.text}<br>${seconds(one.t)}`), customdata: found.map((one) => one.to), hoverinfo: "text",
      marker: { symbol, size: 11, color: colour(look), line: { width: 1, color: colour("back") } },
    };
  }

  // The moment at which the network is shown.
  cursor() {
    return this.at === undefined ? [] : [{ type: "line", x0: this.at, x1: this.at, yref: "paper", y0: 0, y1: 1, line: { color: colour("accent"), width: 1.5, dash: "dot" } }];
  }

  moment(t) {
    this.at = t;
    if (!this.waiting) this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      Plotly.relayout(this.boxes[0], { shapes: [...this.bands, ...this.cursor()] });
    });
  }

  // From the injection of a fault to its end, behind everything.
  faultBands(rows) {
    return this.run.faults.flatMap((fault) => {
      const at = (stage) => (fault.stages.find((one) => one[0] === stage) || [])[1];
      const from = at("injected"), to = at("healed");
      if (from === undefined || to === undefined) return [];
      const row = rows.indexOf(`f${fault.id}`);
      const look = { type: "rect", x0: from / 1e9, x1: to / 1e9, line: { width: 0 }, fillcolor: colour("fail"), layer: "below" };
      return [{ ...look, y0: -0.5, y1: rows.length - 0.5, opacity: 0.07 }, { ...look, y0: row - 0.15, y1: row + 0.15, opacity: 0.5 }];
    });
  }

  place(item) {
    if (!item) return null;
    const node = /^nodes\/([^/]+)\/console\.log$/.exec(item.file), link = /^net\/(.+)\.pcapng$/.exec(item.file);
    if (node && item.line) return { kind: "console", name: node[1], number: item.line };
    if (link && item.frame) return { kind: "frame", name: link[1], number: item.frame };
    return null;
  }

  timeOf(item) {
    const to = this.place(item);
    if (!to) return null;
    const lines = to.kind === "console" ? (this.run.nodes.find((node) => node.id === to.name) || {}).lines : (this.run.links.find((link) => link.name === to.name) || {}).frames;
    const found = (lines || []).find((line) => line[0] === to.number);
    return found && found[1] !== null ? found[1] : null;
  }

  drawSeries() {
    const links = this.per === "links";
    const all = links ? this.run.links.map((link) => ({ ...link, id: link.name })) : this.run.nodes;
    const them = all.slice(0, MOST_TRACES);
    const trace = (one, index, x, y, more) => ({ type: "scatter", mode: "lines", name: safe(shortened(one.id, 24)), x, y, line: { width: 1.6, color: PALETTE[index % PALETTE.length], dash: index < PALETTE.length ? "solid" : "dot" }, ...more });
    const middles = (values) => values.map((_, index) => Math.min((index + 0.5) * this.step, this.end));
    const rate = them.map((one, index) => { const counts = links ? one.delivered : one.sent; return trace(one, index, middles(counts), counts.map((count) => count / this.step), { hovertemplate: "%{x:.3f} s: %{y:.1f}/s" }); });
    const loss = them.map((one, index) => {
      const [lost, of] = links ? [one.lost, one.delivered] : this.lossAt(one.id);
      return trace(one, index, middles(lost), lost.map((count, step) => (count + of[step] ? 100 * count / (count + of[step]) : null)), { hovertemplate: "%{x:.3f} s: %{y:.1f} %", mode: "lines+markers", marker: { size: 3 } });
    });
    const measured = them.map((one) => this.withGaps(one.access ? [] : one.latency));
    const latency = them.map((one, index) => trace(one, index, measured[index].map(([step]) => (step + 0.5) * this.step), measured[index].map((times) => times[1]), { customdata: measured[index].map((times) => times[2]), hovertemplate: "%{x:.3f} s: median %{y:.3f} ms, p95 %{customdata:.3f} ms", mode: "lines+markers", marker: { size: 4 } })).filter((one) => one.x.length);
    const axis = (title, more) => { const layout = this.layout(this.narrow ? 260 : 240, {}); Object.assign(layout.yaxis, { title: { text: this.narrow ? "" : title }, rangemode: "tozero", ...more }); return layout; };
    document.getElementById("rate-title").textContent = links ? "Rate: frames delivered each second" : "Rate: frames that each node sent, at its own port";
    document.getElementById("loss-title").textContent = links ? "Loss: frames that did not cross the link, in %" : "Loss: frames that were lost on the node's own link, in %";
    document.getElementById("latency-title").textContent = links ? "Latency: median time on the link, in ms" : "Latency: median time from the sender's port to the receiver's, in ms";
    document.getElementById("latency-note").textContent = latency.length ? "Measured by seeing the same frame again where the link ends in a switch or router." : "Nothing to measure: no frame was seen again where its link ends in a switch or router.";
    this.plot(this.boxes[1], rate, axis("frames/s"));
    this.plot(this.boxes[2], loss, axis("%", { range: [0, 105] }));
    this.plot(this.boxes[3], latency, axis("ms"));
  }

  // In ms; a line does not lead over steps in which nothing was measured.
  withGaps(times) {
    return times.flatMap(([step, median, most], index) => {
      const point = [step, median / 1e6, most / 1e6];
      return index && step > times[index - 1][0] + 1 ? [[step - 0.5, null, null], point] : [point];
    });
  }

  lossAt(node) {
    const link = this.run.links.find((one) => one.a === node || one.b === node);
    return link ? [link.lost, link.delivered] : [[], []];
  }
}
