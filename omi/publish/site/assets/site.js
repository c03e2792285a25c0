// Filters and copy buttons. Pages are whole without it.
"use strict";

// At once, so that the page is laid out with its buttons from the start; the rest waits for the page.
document.documentElement.classList.add("js");

let noticeEnds = 0;

function show(text) {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  notice.classList.add("shown");
  clearTimeout(noticeEnds);
  noticeEnds = setTimeout(() => {
    notice.classList.remove("shown");
    notice.textContent = "";
  }, 4000);
}

// Pages that come by plain HTTP have no clipboard of their own.
function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  area.className = "offscreen";
  const before = document.activeElement;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  if (!done) throw new Error("refused");
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text);
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const text = button.dataset.copy;
  try {
    await copy(text);
    show(`Copied: ${text}`);
  } catch {
    show(`The browser does not let this page copy: ${text}`);
  }
});

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("filters");
  if (form) startFilters(form);
});

// A long list is shown in two steps: all of it at once would keep a phone busy for seconds. The page knows the number.
const FIRST = 100;

function startFilters(form) {
  const images = [...document.querySelectorAll("#images > li")].map((item) => ({
    item,
    facts: item.dataset,
    places: [...item.querySelectorAll("[data-region]")],
  }));
  const count = document.getElementById("count");
  const none = document.getElementById("none");
  const more = document.getElementById("more");
  const all = count.textContent;

  const wanted = () => Object.fromEntries([...new FormData(form)].filter(([, value]) => value));

  function show({ region, ...facts }, limit = FIRST) {
    let found = 0;
    for (const { item, facts: has, places } of images) {
      let there = 0;
      for (const place of places) {
        place.hidden = Boolean(region) && place.dataset.region !== region;
        there += !place.hidden;
      }
      const fits = there > 0 && Object.entries(facts).every(([key, value]) => has[key] === value);
      item.hidden = !fits || found >= limit;
      item.classList.remove("late");
      found += fits;
    }
    none.hidden = found > 0;
    more.hidden = found <= limit;
    more.textContent = `Show the other ${found - limit}`;
    count.textContent = found === images.length ? all : `${found} of ${images.length} images`;
  }

  more.addEventListener("click", () => {
    const next = images.filter(({ item }) => !item.hidden).length;
    show(wanted(), Infinity);
    images.filter(({ item }) => !item.hidden)[next].item.querySelector("a").focus();
  });

  // The address keeps the filters, so that a filtered list can be linked to; only its fragment, since pages from a
  // file may change no more than that.
  function keep(filters) {
    const fragment = new URLSearchParams(filters).toString();
    history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const select of form.querySelectorAll("select")) {
      const value = given.get(select.name) ?? "";
      select.value = [...select.options].some((option) => option.value === value) ? value : "";
    }
    show(wanted());
  }

  form.addEventListener("change", () => {
    show(wanted());
    keep(wanted());
  });
  form.addEventListener("reset", () => {
    // the fields are reset after this event
    setTimeout(() => {
      show(wanted());
      keep({});
    });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", readAddress);
  readAddress();
}
