// What each worker trained when: a bar is a stack, or a trial that trained alone.

const MOST_WORKERS = 40; // told apart by their rows

function timeLineChart() {
  const { unit, hosts, stacks } = data.time_line;
  const names = hosts.slice(0, MOST_WORKERS).map((host, worker) => `${worker + 1} ${host}`);
  const shown = stacks
    .map(([worker, start, end, own]) => ({ worker, start, end, own: own.filter(isRunShown) }))
    .filter(({ own }) => own.length);
  const drawn = shown.filter(({ worker }) => worker < MOST_WORKERS);
  const counts = names.map(() => 0);
  const bars = drawn.map(({ worker, start, end, own }) => ({
    kind: "bar",
    runs: own,
    xs: [start, end],
    ys: [worker, worker],
    // one after the other without a pause between can be told apart
    style: { colour: PALETTE[counts[worker]++ % 2 ? 5 : 0], width: 14 },
    told: () => toldOfStack(worker, start, end, own),
  }));
  const left = hosts.length - names.length;
  const label = left ? `worker (${left} more are in the numbers)` : "worker";
  return {
    x: numberAxis(
      `${unit} since the first start`,
      stacks.flatMap(([, start, end]) => [start, end]),
    ),
    y: { ...choiceAxis("", []), names, high: names.length - 1, turned: true, label },
    marks: bars,
    numbers: () => ({
      head: ["worker", "machine", "process", `from (${unit})`, `to (${unit})`, "trials"],
      rows: shown.map(({ worker, start, end, own }) => [
        worker + 1,
        ...machineOf(worker),
        start,
        end,
        own.map((run) => runs.names[run]).join(" "),
      ]),
    }),
  };
}

const machineOf = (worker) => [data.time_line.hosts[worker], data.time_line.processes[worker]];

function toldOfStack(worker, start, end, own) {
  const [host, process] = machineOf(worker);
  const names = own.slice(0, 8).map((run) => runs.names[run]);
  const more = own.length > names.length ? [`${own.length - names.length} more`] : [];
  return [
    `worker ${worker + 1}: process ${process} on ${host}`,
    `${short(start)} to ${short(end)} ${data.time_line.unit}`,
    `${own.length > 1 ? "trials" : "trial"} ${[...names, ...more].join(", ")}`,
  ];
}
