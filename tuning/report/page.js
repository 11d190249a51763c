"use strict";
// The page says everything without this: it only sorts the table and links its rows to the lines.
const table = document.querySelector("#trials");
const caption = document.querySelector("#caption");

function sortBy(heading, column) {
  const rising = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const key = (row) => row.cells[column].dataset.value;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === "" || b === "") return (a === "") - (b === "");
    const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    return rising ? order : -order;
  });
  table.tBodies[0].append(...rows);
}

function mark(trial, on) {
  const line = document.getElementById(`line-${trial}`);
  const row = document.getElementById(`trial-${trial}`);
  for (const element of [line, row]) if (element) element.classList.toggle("on", on);
  if (line && caption) caption.textContent = on ? line.querySelector("title").textContent : "";
}

function follow(container, selector) {
  if (!container) return;
  const turn = (on) => (event) => {
    const found = event.target.closest(selector);
    if (found) mark(found.dataset.trial, on);
  };
  for (const name of ["pointerover", "focusin"]) container.addEventListener(name, turn(true));
  for (const name of ["pointerout", "focusout"]) container.addEventListener(name, turn(false));
}

if (table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(heading, column));
  });
}
follow(table, "tr[data-trial]");
follow(document.querySelector(".parallel"), ".line");
