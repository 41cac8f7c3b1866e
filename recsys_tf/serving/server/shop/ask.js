// Questions to the server, in the words of TensorFlow Serving's REST interface.

export class ServerError extends Error {}

// Names of the served models that can both recommend and explain.
export async function models() {
  const { names } = await fetched("shop/models.json");
  const able = await Promise.all(names.map(async (name) => {
    const signatures = await signaturesOf(name);
    return "recommend" in signatures && "explain" in signatures;
  }));
  return names.filter((_, at) => able[at]);
}

// The k best items after a history, each { id, title, score }, and the milliseconds that the answer took.
export async function recommend(model, history, leaveOut, k) {
  const began = performance.now();
  const answer = await predict(model, "recommend", {
    ...columns(history), target_behavior: "", exclude: leaveOut.length ? leaveOut : [""], category: "", k,
  });
  return { items: listed(answer), milliseconds: performance.now() - began };
}

// What each event of the history did for each of the k best items: a list of numbers by item id.
export async function explain(model, history, k) {
  const answer = await predict(model, "explain", { ...columns(history), k });
  return new Map(listed(answer).map(({ id }, at) => [id, answer.contribution[at].slice(0, history.length)]));
}

export async function isKnown(model, item) {
  return (await predict(model, "embed_candidate", item)).known;
}

// A history that may well be one: a popular item, then again and again one of what the model expects next.
export async function exampleHistory(model, length) {
  const history = [];
  const behaviors = ["view", "click", "cart"];
  while (history.length < length) {
    const had = history.map((event) => event.item);
    const { items } = await recommend(model, history, had, history.length ? 3 : 20);
    if (!items.length) break;
    const { id, title } = items[Math.floor(Math.random() * items.length)];
    const behavior = behaviors[Math.min(history.length, behaviors.length - 1)];
    history.push({ behavior, item: id, title, query: "", time: Date.now() - (length - history.length) * 60000 });
  }
  return history;
}

function columns(history) {
  // An empty list has no type, so a history without events is one that holds padding.
  const events = history.length ? history : [{ behavior: "", item: "", query: "", time: 0 }];
  return {
    item_id: events.map((event) => event.item),
    behavior: events.map((event) => event.behavior),
    query: events.map((event) => event.query),
    device: events.map(() => ""),
    timestamp: events.map((event) => event.time),
  };
}

function listed(answer) {
  const items = answer.item_id.map((id, at) => ({ id, title: answer.title[at] || id, score: answer.score[at] }));
  return items.filter(({ id }) => id);
}

async function predict(model, signature_name, instance) {
  const body = JSON.stringify({ signature_name, instances: [instance] });
  const { predictions } = await fetched(`v1/models/${encodeURIComponent(model)}:predict`, { method: "POST", body });
  return predictions[0];
}

async function signaturesOf(model) {
  try {
    const { metadata } = await fetched(`v1/models/${encodeURIComponent(model)}/metadata`);
    return metadata.signature_def.signature_def;
  } catch (error) {
    // A model without an available version is one that cannot be asked; the others can.
    if (error instanceof ServerError) return {};
    throw error;
  }
}

async function fetched(path, options) {
  const answer = await fetch(path, options);
  const document = await answer.json();
  if (!answer.ok) throw new ServerError(document.error);
  return document;
}
