"use strict";
// Brings the page to life. Without the files beside it, the page stays what it is without a script.

(function () {
  const run = window.RUN;
  if (!run) return;
  const consoles = new Consoles(run), frames = new Frames(run);
  const slider = document.getElementById("moment");
  let plots = null;

  function bring(id) {
    document.getElementById(id).scrollIntoView({ block: "start" });
  }

  // To a place on the page: a console's line, a frame, a moment. False when it is not on the page.
  function jump(to) {
    if (to.kind === "moment") {
      if (plots) plots.reveal(to.t / 1e9);
      setMoment(to.t);
      return true;
    }
    const done = to.kind === "console" ? consoles.show(to.name, to.number) : frames.show(to.name, to.number);
    if (done) {
      history.replaceState(null, "", `#${to.kind}/${encodeURIComponent(to.name)}/${to.number}`);
      bring(to.kind === "console" ? "consoles" : "frames");
      document.querySelector(to.kind === "console" ? "#console-lines" : ".frames").focus({ preventScroll: true });
    }
    return done;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.evidence, a.moment");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const number = Number(link.dataset.number);
    if (link.dataset.t !== undefined) jump({ kind: "moment", t: Number(link.dataset.t) });
    else if (link.dataset.node !== undefined && jump({ kind: "console", name: link.dataset.node, number })) event.preventDefault();
    else if (link.dataset.link !== undefined && jump({ kind: "frame", name: link.dataset.link, number })) event.preventDefault();
  });

  // The network at a step in time.
  const steps = Math.ceil(run.end / run.step);
  function stateOf(link, step) {
    if (link.down[step]) return "cut";
    if (link.lost[step]) return "lossy";
    return link.delivered[step] ? "up" : "idle";
  }

  function setMoment(t) {
    if (!slider) return;
    const step = Math.max(0, Math.min(steps - 1, Math.floor(t / run.step)));
    slider.value = step;
    const words = seconds(step * run.step);
    if (plots) plots.moment((step * run.step) / 1e9);
    document.getElementById("moment-text").textContent = words;
    slider.setAttribute("aria-valuetext", words);
    const links = new Map(run.links.map((link) => [link.name, stateOf(link, step)]));
    const front = document.querySelector(".place");
    for (const wire of document.querySelectorAll(".wire")) {
      const state = links.get(wire.dataset.link) || "idle";
      wire.setAttribute("class", `wire ${state}`);
      if (state === "lossy" || state === "cut") front.before(wire); // above those that are well
    }
    const nodes = new Map(run.nodes.map((node) => [node.id, node.spans.find((span) => span[0] <= (step + 0.5) * run.step && (step + 0.5) * run.step < span[1])]));
    for (const place of document.querySelectorAll(".place")) {
      place.classList.remove("started", "booted", "ready", "exited", "stopped");
      const span = nodes.get(place.dataset.node);
      if (span) place.classList.add(span[2]);
    }
  }

  if (slider) {
    slider.max = steps - 1;
    slider.addEventListener("input", () => setMoment((Number(slider.value) + 0.5) * run.step));
    const first = run.faults.flatMap((fault) => fault.stages.filter((stage) => stage[0] === "observed").map((stage) => stage[1]));
    setMoment(first.length ? first[0] + run.step : run.end / 2);
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      bring("consoles");
      document.getElementById("console-search").focus({ preventScroll: true });
    }
  });

  if (window.Plotly) {
    plots = new Plots(run, jump);
    if (slider) plots.moment((Number(slider.value) * run.step) / 1e9);
  } else document.getElementById("events").open = true; // says what the timeline would

  function followHash() {
    const [kind, name, number] = location.hash.slice(1).split("/");
    if ((kind === "console" || kind === "frame") && number) jump({ kind, name: decodeURIComponent(name), number: Number(number) });
  }
  window.addEventListener("hashchange", followHash);
  followHash();
}());
