// What the page does beyond showing itself; everything also works without this file.
// Nothing here makes markup of text: pages are fetched as documents and their parts moved over.

const root = document.documentElement;
root.classList.add("js");

const typing = (target) => target.closest("input:not(.pick), textarea, select, [contenteditable]");
const dialogOpen = () => document.querySelector("dialog[open]");

// ---- the reader's own time beside each in UTC

const two = (number) => String(number).padStart(2, "0");

function localise(part) {
  for (const time of part.querySelectorAll("time[datetime]:not(:has(.local))")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf()) || moment.getTimezoneOffset() === 0) continue;
    const isOtherDay = moment.getDate() !== moment.getUTCDate();
    const isDated = isOtherDay || /[a-z]/i.test(time.textContent);
    const local = (part.ownerDocument ?? part).createElement("span");
    local.className = "local";
    const month = moment.toLocaleString("en", { month: "short" });
    const day = isDated ? `${two(moment.getDate())} ${month} ` : "";
    local.textContent = ` (${day}${two(moment.getHours())}:${two(moment.getMinutes())} local)`;
    time.append(local);
  }
}

localise(document);
if (new Date().getTimezoneOffset() !== 0) {
  root.classList.add("zoned");
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  document.getElementById("zone").textContent = `; local is ${timeZone}`;
}

// ---- fetching a page of ours as a document, whose scripts never run

function fetchPage(url) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document";
    request.timeout = 20_000;
    request.onload = () => (request.response ? resolve(request) : reject(new Error("no page")));
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

// ---- acts open in a dialog; without it the link leads to the same form

const actDialog = document.getElementById("act");

async function openAct(link) {
  try {
    const { response } = await fetchPage(link.href);
    const form = response.querySelector(".act-form");
    if (!form) throw new Error("no form");
    form.classList.remove("panel");
    localise(form);
    if (!form.elements.back) {
      const back = document.createElement("input");
      Object.assign(back, { type: "hidden", name: "back", value: location.pathname });
      form.append(back);
    }
    actDialog.replaceChildren(document.adoptNode(form));
    actDialog.showModal();
    form.querySelector("[autofocus]")?.focus();
  } catch {
    location.assign(link.href);
  }
}

document.addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  const act = event.target.closest("a[data-act]");
  const cancel = event.target.closest("dialog [data-cancel]");
  if (!act && !cancel) return;
  event.preventDefault();
  if (act) openAct(act);
  else actDialog.close();
});

// A length is chosen by filling in its moment.
document.addEventListener("input", (event) => {
  if (event.target.name === "until") {
    event.target.form.querySelector('input[value="until"]').checked = true;
  }
});

document.addEventListener("submit", (event) => {
  if (event.target.matches(".act-form")) event.target.querySelector(".go").disabled = true;
});

// A form that was left with the browser's own "back" can be sent anew.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll(".act-form .go")) button.disabled = false;
});

// ---- live: what changed is fetched as a whole page, and its parts are put in place

const SOON = 400;
const AT_LEAST = 2_000; // between two refreshes, however much happens
const CLOCKS = 60_000; // "3m ago" gets old
const BUSY = 3_000; // what the page itself waits for is told by nobody
const RETRY = 60_000;
const MOST_REMEMBERED = 1_000;

const toggle = document.getElementById("live");
const words = document.getElementById("live-words");
const said = document.getElementById("said");
const remembered = new Set();
const news = new Map();
let source = null;
let planned = null;
let refreshed = Date.now();
let stopped = localStorage.getItem("live") === "off";

function plan(delay = SOON) {
  const wait = Math.max(delay, refreshed + AT_LEAST - Date.now());
  planned ??= setTimeout(refresh, wait);
}

async function refresh() {
  planned = null;
  refreshed = Date.now();
  if (document.hidden || stopped) return;
  if (dialogOpen()) return plan(AT_LEAST);
  // What a form was answered is at an address that takes forms only.
  if (!document.querySelector("main [data-live]")) return tell();
  try {
    const { response } = await fetchPage(location.href);
    localise(response);
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = response.getElementById(part.id);
      if (fresh && !part.isEqualNode(fresh)) replace(part, fresh);
    }
    document.title = response.title;
    tell();
    watchBusy();
  } catch {
    plan(RETRY);
  }
}

function watchBusy() {
  if (document.querySelector("[data-busy]")) plan(BUSY);
}

/** Put a part's new state in its place; what is open, chosen or being read stays so. */
function replace(part, fresh) {
  const chosen = document.getSelection();
  if (part.contains(document.activeElement) && typing(document.activeElement)) return;
  if (!chosen.isCollapsed && part.contains(chosen.anchorNode)) return;
  const known = new Set([...part.querySelectorAll("[data-entry]")].map(keyOf));
  const open = new Set([...part.querySelectorAll("details[open]")].map(keyOf));
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const picked = new Set([...part.querySelectorAll(".pick:checked")].map((one) => one.value));
  const live = document.adoptNode(fresh);
  for (const one of live.querySelectorAll(".pick")) one.checked = picked.has(one.value);
  for (const one of live.querySelectorAll("details")) one.open = open.has(keyOf(one));
  for (const one of live.querySelectorAll("[data-entry]")) {
    if (known.size && !known.has(keyOf(one))) one.classList.add("fresh");
  }
  part.replaceWith(live);
  if (focused) find(live, focused)?.focus({ preventScroll: true });
}

/** What an entry, or the details within it, is about: the link that it holds. */
function keyOf(node) {
  const entry = node.closest("[data-entry]") ?? node;
  const key = entry.querySelector("a[data-open], a")?.getAttribute("href") ?? "";
  // A fold grows at its new end; its oldest decision is what names it.
  return node.tagName === "DETAILS" ? [...node.querySelectorAll("a")].at(-1)?.href ?? key : key;
}

function find(part, focused) {
  const href = focused.getAttribute("href");
  if (href) return [...part.querySelectorAll("a")].find((a) => a.getAttribute("href") === href);
  if (focused.matches(".pick")) return [...part.querySelectorAll(".pick")].find((one) => one.value === focused.value);
  return part.querySelector(focused.tagName);
}

function tell() {
  if (!news.size) return;
  const parts = [...news].slice(0, 5).map(([about, count]) => (count > 1 ? `${count} × ${about}` : about));
  said.textContent = `New: ${parts.join(", ")}`;
  news.clear();
}

function heard(event) {
  if (remembered.has(event.lastEventId)) return; // told again after a resume
  remembered.add(event.lastEventId);
  if (remembered.size > MOST_REMEMBERED) remembered.delete(remembered.values().next().value);
  const { model, reason } = JSON.parse(event.data);
  const about = `${model ?? "no model"} ${reason.replaceAll("_", " ")}`;
  news.set(about, (news.get(about) ?? 0) + 1);
  plan();
}

function follow() {
  source?.close();
  source = null;
  if (stopped || document.hidden) return show();
  source = new EventSource("/events");
  source.addEventListener("open", show);
  source.addEventListener("decision", heard);
  source.addEventListener("standing", () => plan());
  source.addEventListener("reset", () => plan());
  source.addEventListener("error", () => {
    show();
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, RETRY);
  });
  show();
}

function show() {
  const on = source?.readyState === EventSource.OPEN;
  toggle.hidden = false;
  toggle.classList.toggle("on", on);
  toggle.setAttribute("aria-pressed", String(!stopped));
  words.textContent = stopped ? "Updates stopped" : on ? "Live" : "Connecting…";
}

toggle.addEventListener("click", () => {
  stopped = !stopped;
  localStorage.setItem("live", stopped ? "off" : "on");
  follow();
  if (!stopped) plan(0);
});

// A tab that nobody sees holds no connection.
document.addEventListener("visibilitychange", () => {
  follow();
  if (!document.hidden) plan(0);
});
window.addEventListener("pagehide", () => source?.close());
setInterval(() => plan(0), CLOCKS);
if (document.querySelector("[data-live]")) follow();
watchBusy();

// ---- keys, which can be switched off

const help = document.getElementById("help");
const keysOn = document.getElementById("keys-on");
keysOn.checked = localStorage.getItem("keys") !== "off";
keysOn.addEventListener("change", () => {
  localStorage.setItem("keys", keysOn.checked ? "on" : "off");
});
document.getElementById("help-button").addEventListener("click", () => help.showModal());

function step(by) {
  const links = [...document.querySelectorAll("[data-entry]")].map((entry) => entry.querySelector("a[data-open]"));
  const entry = document.activeElement.closest("[data-entry]");
  const at = links.indexOf(entry?.querySelector("a[data-open]"));
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
  next?.focus();
  next?.closest("[data-entry]").scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => document.querySelector("[data-filter]")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  g: () => location.assign("/"),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keysOn.checked) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const act = dialogOpen() ? null : KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
