"use strict";
// The list of runs, searched and sorted, and the time line of the workers.

(function () {
  if (!window.RUN) return;
  const runs = window.RUN.runs.map(([id, word, wall, worker, attempts, reason, href, commands], number) =>
    ({ number, id, word, wall, worker, attempts, reason, href, commands: commands.map((command) => command.replaceAll("\u0001", () => window.RUN.home)), text: `${id}\n${reason}\n${worker}`.toLowerCase() }));
  const LISTED = 100;
  const search = document.getElementById("run-search"), word = document.getElementById("run-word"), order = document.getElementById("run-order");
  const status = document.getElementById("run-status"), body = document.querySelector("#run-table tbody");
  const fine = (run) => run.word === "PASS" || run.word === "WARN";
  const orders = { plan: (a, b) => a.number - b.number, slow: (a, b) => b.wall - a.wall, attempts: (a, b) => b.attempts - a.attempts };
  let shown = LISTED;

  function chosen() {
    const wanted = search.value.trim().toLowerCase();
    return runs.filter((run) => (word.value === "" || (word.value === "bad" ? !fine(run) : run.word === word.value)) && run.text.includes(wanted)).sort(orders[order.value]);
  }

  function row(run) {
    const made = element("tr"), name = element("th"), again = element("td");
    name.scope = "row";
    if (run.href) { const link = element("a", "", run.id); link.href = run.href; name.append(link); } else name.append(run.id);
    const ended = element("td");
    ended.append(element("span", `badge ${run.word.toLowerCase().replace(" ", "-")}`, run.word));
    again.append(element("span", "said", run.reason));
    for (const command of run.commands) {
      const box = element("div", "command again"), button = element("button", "copy", "Copy");
      button.type = "button";
      box.append(element("code", "", command), button);
      again.append(box);
    }
    made.append(name, ended, element("td", "number", `${run.wall.toFixed(2)} s`), element("td", "who", run.worker), element("td", "number", String(run.attempts)), again);
    return made;
  }

  function draw() {
    const found = chosen();
    body.replaceChildren(...found.slice(0, shown).map(row));
    if (found.length > shown) {
      const more = element("tr"), cell = element("td"), button = element("button", "", `${found.length - shown} more`);
      cell.colSpan = 6;
      button.type = "button";
      button.addEventListener("click", () => { const focus = shown; shown += LISTED * 4; draw(); const link = body.rows[focus].querySelector("a, button"); if (link) link.focus(); });
      cell.append(button);
      more.append(cell);
      body.append(more);
    }
    status.textContent = `${found.length} of ${counted(runs.length, "run")}`;
  }

  function restart() { shown = LISTED; draw(); }
  for (const control of [search, word, order]) control.addEventListener("input", restart);
  if (!runs.some((run) => !fine(run))) word.value = "";
  draw();

  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      document.getElementById("runs").scrollIntoView();
      search.focus({ preventScroll: true });
    }
  });

  // The time line: a lane for each run that went on at the same time, the lanes of a worker beside each other.
  const looks = { PASS: "pass", WARN: "warn", FAIL: "fail", FATAL: "fatal", QUARANTINED: "faint" };
  const names = { pass: "passed", warn: "warned", fail: "failed", fatal: "fatal", faint: "quarantined", none: "not judged" };

  function timeline() {
    const box = document.getElementById("workers-plot"), narrow = window.matchMedia("(max-width: 40rem)").matches;
    const traces = new Map(), ticks = [];
    let first = 0, end = 0;
    for (const worker of window.RUN.workers) {
      ticks.push([first + (worker.width - 1) / 2, safe(shortened(worker.name, narrow ? 10 : 28))]);
      for (const [number, lane, from, to] of worker.runs) {
        const run = runs[number], look = looks[run.word] || "none";
        if (!traces.has(look)) traces.set(look, { x: [], y: [], text: [], customdata: [] });
        const trace = traces.get(look), y = first + lane, text = `${safe(shortened(run.id, 60))}: ${safe(run.word)}<br>${from.toFixed(1)} s to ${to.toFixed(1)} s on ${safe(shortened(worker.name, 40))}`;
        trace.x.push(from, to, null); trace.y.push(y, y, null); trace.text.push(text, text, ""); trace.customdata.push(number, number, null);
        end = Math.max(end, to);
      }
      first += worker.width + 0.5;
    }
    const thick = Math.max(2, Math.min(10, 500 / Math.max(1, first))), apart = runs.length <= 500;
    const drawn = Object.keys(names).filter((look) => traces.has(look)).map((look) => ({
      type: "scatter", mode: "lines+markers", name: names[look], ...traces.get(look), hoverinfo: "text", connectgaps: false,
      line: { width: thick, color: colour(look) },
      marker: { size: thick, symbol: "line-ns", opacity: apart ? 1 : 0, color: colour("back"), line: { width: 1, color: colour("back") } },
    }));
    const layout = plotLayout(Math.max(180, Math.min(900, 110 + first * 18)), narrow, {});
    Object.assign(layout.xaxis, { range: [0, end || 1], ticksuffix: " s" });
    Object.assign(layout.yaxis, { tickvals: ticks.map((tick) => tick[0]), ticktext: ticks.map((tick) => tick[1]), range: [first, -1], zeroline: false });
    Plotly.react(box, drawn, layout, PLOT_CONFIG);
    if (box.dataset.watched) return;
    box.dataset.watched = "yes";
    box.on("plotly_click", (click) => {
      const run = runs[click.points[0].customdata];
      word.value = "";
      search.value = run.id;
      restart();
      document.getElementById("runs").scrollIntoView();
    });
  }

  if (window.Plotly && window.RUN.workers.length) {
    timeline();
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", timeline);
  }
}());
