"use strict";
// Before and after: the slider decides how much of the left picture is shown.
for (const slider of document.querySelectorAll(".both input")) {
  slider.addEventListener("input", () => slider.closest(".pair").style.setProperty("--at", slider.value + "%"));
}
// A table of reels: filter by words and by state, sort by any column.
const table = document.querySelector("#reels");
if (table) {
  const body = table.tBodies[0], rows = [...body.rows];
  const words = document.querySelector("#words"), state = document.querySelector("#state");
  const count = document.querySelector("#count");
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = wanted.every((word) => text.includes(word)) && (!state.value || row.dataset.state === state.value);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown + " of " + rows.length;
  };
  words.addEventListener("input", filter);
  state.addEventListener("change", filter);
  filter();
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const button = head.querySelector("button");
    if (!button) continue;
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
      rows.sort((a, b) => {
        const [x, y] = [key(a), key(b)], numeric = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
        return (numeric ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
      });
      body.append(...rows);
    });
  }
}
// A review: every choice is sent as it is made.
const main = document.querySelector("main[data-address]");
for (const shot of main ? main.querySelectorAll(".review") : []) {
  const status = shot.querySelector("[role=status]");
  const send = async () => {
    const strengths = {};
    for (const slider of shot.querySelectorAll("input[type=range]")) strengths[slider.name] = Number(slider.value);
    const pressed = shot.querySelector("button[aria-pressed=true]");
    const choice = {
      start: Number(shot.dataset.start), end: Number(shot.dataset.end), verdict: pressed ? pressed.dataset.verdict : "",
      comment: shot.querySelector("textarea").value, strengths,
    };
    try {
      const answer = await fetch(main.dataset.address, { method: "POST", body: JSON.stringify(choice) });
      status.textContent = answer.ok ? "kept" : await answer.text();
    } catch {
      status.textContent = "not kept: the review has ended";
    }
  };
  for (const button of shot.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      for (const other of shot.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-pressed", String(on));
      send();
    });
  }
  for (const slider of shot.querySelectorAll("input[type=range]")) {
    slider.addEventListener("input", () => { slider.nextElementSibling.value = slider.value; });
    slider.addEventListener("change", send);
  }
  shot.querySelector("textarea").addEventListener("change", send);
}
