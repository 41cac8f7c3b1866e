// The shop page: what is on it follows from the history, and every action only changes the history.

import { exampleHistory, explain, isKnown, models, recommend, ServerError } from "./ask.js";
import { TEXTS } from "./texts.js";

const SHOWN = 10;
const REASONS = 3;
const at = (id) => document.getElementById(id);

let language = chosenLanguage();
let text = TEXTS[language];
let model = "";
let history = [];
let items = [];
let reasons = null;
let milliseconds = 0;
// Places on the list before the last event, to tell what has moved.
let placesBefore = null;
const titles = new Map();
// Answers that come after a newer question has been asked are dropped.
let question = 0;

function chosenLanguage() {
  const asked = new URLSearchParams(location.search).get("lang") ?? navigator.language;
  return asked.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function refresh() {
  const mine = ++question;
  showEvents();
  await guarded(async () => {
    const asked = [...history];
    const leaveOut = at("leave-out").checked ? [...new Set(asked.map((event) => event.item).filter(Boolean))] : [];
    const answer = await recommend(model, asked, leaveOut, SHOWN);
    if (mine !== question) return;
    placesBefore = items.length ? new Map(items.map(({ id }, place) => [id, place])) : null;
    ({ items, milliseconds } = answer);
    reasons = null;
    items.forEach(({ id, title }) => titles.set(id, title));
    show();
    // What is left out stands on the list that is explained, so that list is longer.
    const explained = await explain(model, asked, SHOWN + leaveOut.length);
    if (mine !== question) return;
    reasons = explained;
    showItems();
  }, () => mine === question);
}

// Do what asks the server, and say so where that fails and still matters.
async function guarded(work, matters = () => true) {
  at("shelf").setAttribute("aria-busy", "true");
  try {
    await work();
    if (matters()) at("problem").hidden = true;
  } catch (error) {
    if (!matters()) return;
    if (error instanceof ServerError) complain(text.failed(error.message));
    else if (error instanceof TypeError) complain(text.unreachable);
    else throw error;
  } finally {
    if (matters()) at("shelf").setAttribute("aria-busy", "false");
  }
}

function complain(message) {
  at("problem").textContent = message;
  at("problem").hidden = false;
}

function happen(behavior, item, query = "") {
  history.push({ behavior, item, title: titles.get(item) ?? item, query, time: Date.now() });
  return refresh();
}

function show() {
  showWords();
  showEvents();
  showItems();
}

function showWords() {
  document.documentElement.lang = language;
  document.title = text.title;
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = text[place.dataset.text];
  at("language").textContent = text.other;
  at("language").lang = language === "en" ? "zh" : "en";
  const behavior = at("behavior").value || "view";
  at("behavior").setAttribute("aria-label", text.add);
  const choices = Object.entries(text.behaviors).filter(([name]) => name !== "search");
  at("behavior").replaceChildren(...choices.map(([value, name]) => element("option", { value, textContent: name })));
  at("behavior").value = behavior;
  const known = [...titles].map(([id, title]) => element("option", { value: id, textContent: title }));
  at("known-items").replaceChildren(...known);
  at("answered").textContent = items.length ? text.answered(items.length, milliseconds.toFixed(1)) : "";
}

function sentence(event) {
  return `${text.behaviors[event.behavior]} ${event.query ? `“${event.query}”` : event.title}`;
}

function showEvents() {
  at("nothing").hidden = history.length > 0;
  at("events").replaceChildren(...history.map((event, place) => {
    const remove = element("button", { type: "button", className: "remove", textContent: "×" });
    remove.setAttribute("aria-label", text.remove(sentence(event)));
    remove.addEventListener("click", () => {
      history.splice(place, 1);
      refresh();
    });
    const label = element("span", {}, element("b", { textContent: text.behaviors[event.behavior] }), " ",
      event.query ? `“${event.query}”` : event.title);
    return element("li", { id: `event-${place}`, tabIndex: -1, className: event.behavior }, label, remove);
  }));
}

function showItems() {
  at("items").replaceChildren(...items.map((item, place) => {
    const name = element("span", { className: "name", textContent: item.title });
    const facts = element("span", { className: "facts", textContent: `${item.id} · ${text.score} ${item.score.toPrecision(3)}` });
    const actions = Object.entries(text.actions).map(([behavior, label]) => {
      const button = element("button", { type: "button", textContent: label });
      button.dataset.behavior = behavior;
      button.setAttribute("aria-label", `${label}: ${item.title}`);
      button.addEventListener("click", () => happen(behavior, item.id));
      return button;
    });
    const row = element("li", {}, element("div", { className: "title" }, name, moved(item, place)), facts,
      element("div", { className: "actions" }, ...actions), why(item));
    row.dataset.item = item.id;
    return row;
  }));
}

function moved(item, place) {
  if (!placesBefore) return "";
  const before = placesBefore.get(item.id);
  if (before === undefined) return element("span", { className: "moved fresh", textContent: text.fresh });
  if (before === place) return "";
  const words = before > place ? text.risen(before - place) : text.fallen(place - before);
  return element("span", { className: "moved", textContent: words });
}

// The events that put an item there, the strongest first, each with its share of all that speaks for the item.
function why(item) {
  const plain = (words) => element("p", { className: "why", textContent: words });
  if (!history.length) return plain(text.nobody);
  const contributions = reasons?.get(item.id);
  if (!contributions) return plain(reasons ? text.noEvent : text.waiting);
  const speaking = contributions.map((value, place) => ({ value, place })).filter(({ value }) => value > 0);
  const whole = speaking.reduce((sum, { value }) => sum + value, 0);
  if (!speaking.length) return plain(text.noEvent);
  const strongest = speaking.sort((a, b) => b.value - a.value).slice(0, REASONS);
  return element("p", { className: "why" }, `${text.because} `, ...strongest.map(({ value, place }) => {
    const share = Math.round(100 * value / whole);
    const link = element("a", { href: `#event-${place}`, textContent: `${sentence(history[place])} ${share} %` });
    link.style.setProperty("--share", `${share}%`);
    const light = (on) => at(`event-${place}`)?.classList.toggle("lit", on);
    for (const [on, off] of [["mouseenter", "mouseleave"], ["focus", "blur"]]) {
      link.addEventListener(on, () => light(true));
      link.addEventListener(off, () => light(false));
    }
    return link;
  }));
}

function listen() {
  at("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = at("words").value.trim();
    if (words) happen("search", "", words);
  });
  at("add").addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(async () => {
      const typed = at("item").value.trim();
      const item = [...titles].find(([, title]) => title === typed)?.[0] ?? typed;
      if (!titles.has(item) && !(await isKnown(model, item))) return complainOfItem(typed);
      at("item").value = "";
      await happen(at("behavior").value, item);
    });
  });
  at("leave-out").addEventListener("change", refresh);
  at("clear").addEventListener("click", () => {
    history = [];
    refresh();
  });
  at("example").addEventListener("click", () => guarded(async () => {
    history = await exampleHistory(model, 4);
    await refresh();
  }));
  at("language").addEventListener("click", () => {
    language = language === "en" ? "zh" : "en";
    text = TEXTS[language];
    window.history.replaceState(null, "", `?lang=${language}`);
    show();
  });
  at("model").addEventListener("change", () => {
    model = at("model").value;
    history = [];
    titles.clear();
    refresh();
  });
}

function complainOfItem(typed) {
  at("item").setCustomValidity(text.unknown(typed));
  at("item").reportValidity();
  at("item").addEventListener("input", () => at("item").setCustomValidity(""), { once: true });
}

async function begin() {
  show();
  listen();
  await guarded(async () => {
    const able = await models();
    if (!able.length) throw new ServerError(text.noModel);
    at("model").replaceChildren(...able.map((name) => element("option", { value: name, textContent: name })));
    at("model-choice").hidden = able.length < 2;
    [model] = able;
    await refresh();
  });
}

await begin();
