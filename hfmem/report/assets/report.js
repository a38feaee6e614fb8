
(() => {
  const MOST_LINES = 8;
  const { at, element, drawPlot } = charts;
  const table = at("models");
  const headings = [...table.tHead.rows[0].cells];
  const order = new Intl.Collator("en", { numeric: true });
  let sorted = { column: -1, rising: true };

  const models = [...table.tBodies].map((body, place) => {
    const cells = [...body.rows[0].cells];
    const name = cells[0].textContent;
    const summary = body.querySelector("summary");
    return {
      body, place, name, cells, details: body.querySelector("details"), status: body.dataset.s, verdicts: body.dataset.f,
      text: `${name}\n${summary ? summary.textContent : cells[2].textContent}\n${body.dataset.s}`.toLowerCase(),
      curve: body.dataset.c ? body.dataset.c.split(" ").map((point) => point.split(",").map(Number)) : [],
      tick: null, shown: true,
    };
  });
  let listed = models;
  let most = Number(table.dataset.first);

  const keyOf = (model, column) => {
    const cell = model.cells[column];
    if (headings[column].dataset.kind === "text") return column ? model.status : model.name;
    return cell && cell.dataset.v !== undefined ? Number(cell.dataset.v) : null;
  };
  const compare = (one, other) => (typeof one === "string" ? order.compare(one, other) : one - other);
  const arrange = () => {
    const { column, rising } = sorted;
    const keyed = models.map((model) => [column < 0 ? model.place : keyOf(model, column), model]);
    // An unknown is neither small nor large: it comes last whichever way the rest runs.
    keyed.sort(([one, a], [other, b]) => {
      if (one === null || other === null) return (one === null) - (other === null) || a.place - b.place;
      return (rising ? compare(one, other) : compare(other, one)) || a.place - b.place;
    });
    listed = keyed.map(([, model]) => model);
    const moved = document.createDocumentFragment();
    for (const model of listed) moved.append(model.body);
    table.append(moved);
    show();
  };
  const sortBy = (column) => {
    if (sorted.column !== column) sorted = { column, rising: true };
    else sorted = sorted.rising ? { column, rising: false } : { column: -1, rising: true };
    headings.forEach((heading, number) => {
      if (!heading.dataset.kind) return;
      heading.setAttribute("aria-sort", number !== sorted.column ? "none" : sorted.rising ? "ascending" : "descending");
    });
    arrange();
  };

  headings.forEach((heading, column) => {
    if (!heading.dataset.kind) return;
    const button = element("button", { type: "button" }, ...heading.childNodes);
    button.addEventListener("click", () => sortBy(column));
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
  });

  // A browser lays out thousands of rows slowly, so those past the first few hundred wait for the button.
  const show = () => {
    let found = 0;
    for (const model of listed) {
      found += model.shown;
      const hidden = !model.shown || found > most;
      if (model.body.hidden !== hidden) model.body.hidden = hidden;
    }
    const [count, all] = [found, models.length].map((number) => number.toLocaleString("en"));
    const beginning = found > most ? `, the first ${most} shown` : "";
    at("count").textContent = (found === models.length ? `${all} models` : `${count} of ${all} models`) + beginning;
    at("none").hidden = found > 0;
    at("rest").hidden = found <= most;
    at("all").textContent = `Show all ${count} models`;
    draw();
  };
  at("all").addEventListener("click", () => {
    const next = listed.filter((model) => model.shown)[most];
    most = Infinity;
    show();
    (next.body.querySelector("summary, input") || at("models-title")).focus();
  });
  const [find, status, fits] = [at("find"), at("status"), at("fits")];
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const [, column, letter] = /^(\d+)(\w)$/.exec(fits.value) || [];
    for (const model of models) {
      model.shown = (!status.value || model.status === status.value) && (!letter || model.verdicts[column] === letter)
        && words.every((word) => model.text.includes(word));
    }
    show();
  };
  for (const control of [find, status, fits]) control.addEventListener("input", filter);
  at("clear").addEventListener("click", () => {
    for (const control of [find, status, fits]) control.value = "";
    filter();
    find.focus();
  });

  const visible = () => models.filter((model) => model.details && !model.body.hidden);
  const unfold = (open) => visible().forEach((model) => (model.details.open = open));
  at("open").addEventListener("click", () => {
    const opening = at("open").textContent.startsWith("Open");
    unfold(opening);
    at("open").textContent = opening ? "Close details" : "Open details";
  });
  let opened = [];
  addEventListener("beforeprint", () => {
    most = Infinity;
    show();
    if (!at("paper").checked) return;
    opened = visible().filter((model) => !model.details.open);
    unfold(true);
  });
  addEventListener("afterprint", () => opened.splice(0).forEach((model) => (model.details.open = false)));

  const chart = at("chart");
  let room = 900; // read when the window changes, since reading it lays out the page
  const limits = headings.filter((heading) => heading.dataset.usable).map((heading) => ({
    bytes: Number(heading.dataset.usable), name: heading.querySelector("span").textContent.replace(/^(.{40}).{2,}$/, "$1…"),
  }));
  const picked = () => {
    const chosen = listed.filter((model) => model.tick && model.tick.checked);
    const lines = chosen.length ? chosen : listed.filter((model) => model.shown && model.curve.length);
    return { chosen: chosen.length > 0, lines: lines.slice(0, MOST_LINES) };
  };
  const draw = () => {
    if (!chart) return;
    const { chosen, lines } = picked();
    for (const name of ["plot", "lines", "numbers", "beyond"]) at(name).replaceChildren();
    at("unpick").hidden = !chosen;
    const models = lines.length === 1 ? "model" : "models";
    const what = chosen ? `${lines.length} chosen ${models}` : `the first ${lines.length} ${models} of the table`;
    at("picked").textContent = lines.length ? `Memory of ${what}.` : "No model of the table has numbers for other contexts.";
    if (lines.length) drawPlot(lines, limits, room);
  };
  const emphasise = (target) => {
    const body = target instanceof Element && target.closest("tbody.m");
    const number = body ? picked().lines.findIndex((model) => model.body === body) : -1;
    for (const group of at("plot").querySelectorAll("g")) {
      group.classList.toggle("faint", number >= 0 && Number(group.dataset.line) !== number);
    }
  };
  const choose = (model) => {
    model.body.classList.toggle("on", model.tick.checked);
    const full = models.filter((other) => other.tick && other.tick.checked).length >= MOST_LINES;
    for (const other of models) if (other.tick && !other.tick.checked && other.tick.disabled !== full) other.tick.disabled = full;
    draw();
  };
  if (chart) {
    chart.hidden = false;
    for (const model of models.filter((one) => one.curve.length)) {
      model.tick = element("input", { type: "checkbox", class: "p", "aria-label": `Show ${model.name} in the chart` });
      model.tick.addEventListener("change", () => choose(model));
      model.cells[0].prepend(model.tick);
    }
    const extremes = models.flatMap((model) => model.curve.map(([, bytes]) => bytes));
    const highest = extremes.reduce((one, other) => Math.max(one, other), 0);
    at("log").checked = highest > 16 * extremes.reduce((one, other) => Math.min(one, other), Infinity);
    at("log").addEventListener("change", draw);
    at("unpick").addEventListener("click", () => {
      for (const model of models) if (model.tick) [model.tick.checked, model.tick.disabled] = [false, false];
      for (const body of table.querySelectorAll(".on")) body.classList.remove("on");
      draw();
    });
    table.addEventListener("mouseover", (event) => emphasise(event.target));
    table.addEventListener("mouseleave", () => emphasise(null));
    table.addEventListener("focusin", (event) => emphasise(event.target));
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width && contentRect.width !== room) {
        room = contentRect.width;
        draw();
      }
    }).observe(at("plot"));
  }
  document.documentElement.classList.add("js");
  at("controls").hidden = false;
  filter();
})();
