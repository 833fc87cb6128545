"use strict";
// Reads the manager's own interface and shows it. The token, where one is wanted, lives in this tab's memory and
// session storage and travels in a header; all text from the manager is set as text, never as markup.
(() => {
  const statuses = ["complete", "assigned", "pending", "held", "failed", "cancelled"];
  const shownEvents = 60, shownFailures = 30, shownWorkers = 200;
  const find = (id) => document.getElementById(id);
  let token = sessionStorage.getItem("manager-token");
  let lastSeq = 0, failures = [], failureTotal = -1, refreshing = null, follower = null, pause = 500;

  function make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  async function call(path, options = {}) {
    const headers = { ...(options.headers || {}) };
    if (token) headers.Authorization = `Bearer ${token}`;
    const answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
    if (answer.status === 401 || answer.status === 403) {
      const problem = await answer.json().catch(() => ({}));
      throw Object.assign(new Error(problem.detail || "This token is not taken."), { isLogin: true });
    }
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      throw new Error(problem.detail || `${answer.status} ${answer.statusText}`);
    }
    return answer;
  }

  const json = async (path) => (await call(path)).json();

  function duration(seconds) {
    if (seconds === null || seconds === undefined || !isFinite(seconds)) return "–";
    if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
    if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    if (seconds < 129600) return `${(seconds / 3600).toFixed(1)} h`;
    return `${Math.round(seconds / 86400)} d`;
  }

  const ago = (time) => duration(Math.max(0, (Date.now() - Date.parse(time)) / 1000));

  function fillBar(bar, counts) {
    statuses.forEach((status, index) => {
      let part = bar.children[index];
      if (!part) { part = bar.appendChild(make("div", `part ${status}`)); }
      part.hidden = !counts[status];
      part.style.flexGrow = counts[status] || 0;
      part.title = `${status}: ${counts[status] || 0}`;
    });
    bar.setAttribute("aria-label", statuses.map((status) => `${counts[status] || 0} ${status}`).join(", "));
  }

  function showStatus(status) {
    const percent = status.total ? Math.floor(1000 * status.complete / status.total) / 10 : 0;
    find("percent").textContent = percent === 100 || percent === 0 ? percent : percent.toFixed(1);
    find("headline").textContent = status.total
      ? `${status.complete.toLocaleString()} of ${status.total.toLocaleString()} tasks are complete`
      : "There are no tasks yet";
    const pace = [];
    if (status.rate_per_s > 0) pace.push(status.rate_per_s >= 1 ? `${status.rate_per_s.toFixed(1)} a second` : `${(status.rate_per_s * 60).toFixed(1)} a minute`);
    if (status.eta_s) pace.push(`${duration(status.eta_s)} left`);
    pace.push(`event ${status.seq.toLocaleString()}`);
    find("pace").textContent = pace.join(" · ");
    document.title = status.total ? `${percent}% · manager` : "manager";
    fillBar(find("total-bar"), status);
    find("legend").replaceChildren(...statuses.filter((name) => status[name]).map((name) => {
      const item = make("li");
      item.append(make("span", `dot ${name}`), make("b", "", status[name].toLocaleString()), ` ${name}`);
      return item;
    }));
    const names = Object.keys(status.phases);
    const box = find("phases");
    const known = new Map([...box.children].map((node) => [node.dataset.phase, node]));
    box.replaceChildren(...names.map((name) => {
      const counts = status.phases[name];
      let node = known.get(name);
      if (!node) {
        node = make("div", "phase");
        node.dataset.phase = name;
        const line = make("p");
        line.append(make("span", "name", name), make("span", "quiet"));
        node.append(line, make("div", "bar"));
        node.children[1].setAttribute("role", "img");
        node.title = name;
      }
      node.children[0].children[1].textContent = `${counts.complete}/${counts.total}`;
      fillBar(node.children[1], counts);
      return node;
    }));
    if (!names.length) box.replaceChildren(make("p", "empty", "Tasks come with submit, or with sweep files at the start."));
  }

  function showWorkers(workers) {
    const busy = workers.filter((worker) => worker.state === "busy").length;
    find("worker-count").textContent = workers.length ? `${busy} busy of ${workers.length}` : "";
    const order = [...workers].sort((a, b) => (a.state < b.state ? -1 : a.state > b.state ? 1 : b.last_seen < a.last_seen ? -1 : 1));
    const rows = order.slice(0, shownWorkers).map((worker) => {
      const row = make("tr");
      const task = make("td", `task${worker.task ? "" : " idle"}`, worker.task ? `${worker.task} #${worker.attempt}` : "idle");
      task.title = worker.task || "";
      row.append(make("td", "", worker.worker), task, make("td", "number", worker.completed), make("td", "number", worker.failed),
        make("td", "number", duration(worker.p50_s)), make("td", "number", `${ago(worker.last_seen)} ago`));
      return row;
    });
    if (!rows.length) {
      const row = make("tr");
      const cell = row.appendChild(make("td", "idle", "Nobody has asked for a task yet."));
      cell.colSpan = 6;
      rows.push(row);
    }
    find("workers").replaceChildren(...rows);
  }

  // What failed for good before the page was opened: the events that are followed begin later.
  async function readFailures() {
    const page = await json(`api/v1/tasks?status=failed&newest=true&limit=${shownFailures}`);
    const known = new Set(failures.map((failure) => `${failure.task} ${failure.attempt}`));
    for (const task of page.tasks) {
      if (known.has(`${task.task_id} ${task.attempt}`)) continue;
      failures.push({ task: task.task_id, attempt: task.attempt, worker: task.assigned_to, time: task.finished_at, error: task.last_error });
    }
    failures.sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0));
    failures.length = Math.min(failures.length, shownFailures);
    showFailures();
  }

  function showFailures() {
    find("failure-count").textContent = failureTotal > 0 ? `${failureTotal} for good` : "";
    const nodes = failures.slice(0, shownFailures).map((failure) => {
      const node = make("div", "failure");
      node.append(make("p", "", `${failure.task} #${failure.attempt} on ${failure.worker || "?"}, ${ago(failure.time)} ago`));
      if (failure.error) node.append(make("pre", "", failure.error.length > 800 ? `…${failure.error.slice(-800)}` : failure.error));
      return node;
    });
    find("failures").replaceChildren(...(nodes.length ? nodes : [make("p", "empty", "None.")]));
  }

  function describe(event) {
    const parts = [event.task, event.attempt ? `#${event.attempt}` : null, event.worker, event.reason, event.error && event.error.split("\n").pop(), event.version && `version ${event.version}`];
    return parts.filter(Boolean).join(" · ");
  }

  function showEvent(event) {
    const item = make("li");
    const time = make("time", "", new Date(event.time).toLocaleTimeString());
    time.dateTime = event.time;
    const what = make("span", "what", describe(event));
    what.title = describe(event);
    item.append(make("span", "seq", event.seq), time, make("span", `tag ${event.type}`, event.type), what);
    const list = find("events");
    list.prepend(item);
    while (list.children.length > shownEvents) list.lastChild.remove();
    if (event.type === "failed") {
      if (failures.some((failure) => failure.task === event.task && failure.attempt === event.attempt)) return;
      failures.unshift(event);
      failures.length = Math.min(failures.length, shownFailures);
      showFailures();
    }
  }

  async function refresh() {
    const [status, workers] = await Promise.all([json("api/v1/status"), json("api/v1/workers")]);
    find("login").hidden = true;
    find("board").hidden = false;
    find("leave").hidden = !token;
    showStatus(status);
    showWorkers(workers);
    if (status.failed !== failureTotal) { failureTotal = status.failed; showFailures(); }
    return status;
  }

  // Events come in bursts: numbers are asked for at most once a second.
  function refreshSoon() {
    if (refreshing) return;
    refreshing = setTimeout(() => { refreshing = null; refresh().catch(trouble); }, 1000);
  }

  function connection(state, text) {
    const pill = find("connection");
    pill.dataset.state = state;
    pill.textContent = text;
  }

  async function follow(signal) {
    const answer = await call(`api/v1/events?follow=true&from=${lastSeq + 1}`, { headers: { Accept: "text/event-stream" }, signal });
    connection("live", "live");
    pause = 500;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      // Of a long burst only the end is drawn.
      const events = blocks.map((block) => block.split("\n").find((line) => line.startsWith("data: "))).filter(Boolean).map((line) => JSON.parse(line.slice(6)));
      if (!events.length) continue;
      lastSeq = events[events.length - 1].seq;
      events.slice(-shownEvents).forEach(showEvent);
      refreshSoon();
    }
  }

  function askForToken(problem) {
    if (follower) follower.abort();
    find("board").hidden = true;
    find("login").hidden = false;
    find("login-problem").textContent = token ? problem : "";
    connection("waiting", "locked");
    token = null;
    sessionStorage.removeItem("manager-token");
    find("leave").hidden = true;
    find("token").focus();
  }

  function trouble(error) {
    if (error.isLogin) return askForToken(error.message);
    if (error.name !== "AbortError") connection("lost", "away, trying again");
  }

  async function run() {
    if (follower) follower.abort();
    const mine = follower = new AbortController();
    while (!mine.signal.aborted) {
      try {
        const status = await refresh();
        await readFailures();
        if (lastSeq === 0 || lastSeq > status.seq) lastSeq = Math.max(0, status.seq - shownEvents);
        await follow(mine.signal);
      } catch (error) {
        trouble(error);
        if (error.isLogin) return;
      }
      if (mine.signal.aborted) return;
      connection("lost", "away, trying again");
      await new Promise((resume) => setTimeout(resume, pause));
      pause = Math.min(10000, pause * 2);
    }
  }

  find("login").addEventListener("submit", (event) => {
    event.preventDefault();
    token = find("token").value.trim();
    find("token").value = "";
    sessionStorage.setItem("manager-token", token);
    run();
  });
  find("leave").addEventListener("click", () => { token = null; askForToken(""); });
  setInterval(() => { if (!find("board").hidden) refreshSoon(); }, 10000);
  run();
})();
