// The filter: words, and comparisons of columns, joined by and, or, not and brackets.
//   learning_rate > 0.01 and (status = completed or pruned) and not optimizer = sgd

function tokens(text) {
  return Array.from(
    text.matchAll(/\s*(<=|>=|!=|==|[=<>~()]|"[^"]*"|[^\s<>=!~()"]+|!)/g),
    (found) => found[1],
  );
}

// A function of table and row, or an Error that says what is wrong.
function filterOf(text) {
  const left = tokens(text);
  if (!left.length) return () => true;
  try {
    const keeps = either(left);
    if (left.length) throw new Error(`there is nothing to join ${left[0]} to`);
    return keeps;
  } catch (error) {
    return error;
  }
}

function either(left) {
  const one = both(left);
  if (!taken(left, "or")) return one;
  const other = either(left);
  return (table, row) => one(table, row) || other(table, row);
}

function both(left) {
  const one = term(left);
  const ends = !left.length || left[0] === ")" || left[0].toLowerCase() === "or";
  if (!taken(left, "and") && ends) return one;
  const other = both(left);
  return (table, row) => one(table, row) && other(table, row);
}

function term(left) {
  if (!left.length) throw new Error("the filter ends too early");
  if (taken(left, "not")) {
    const one = term(left);
    return (table, row) => !one(table, row);
  }
  if (!taken(left, "(")) return comparison(left);
  const inner = either(left);
  if (!taken(left, ")")) throw new Error("a bracket is not closed");
  return inner;
}

function comparison(left) {
  const name = unquoted(left.shift());
  if (!/^(<=|>=|!=|==|[=<>~])$/.test(left[0] || "")) return word(name);
  const sign = left.shift();
  if (!left.length) throw new Error(`${name} ${sign} needs a value`);
  const wanted = unquoted(left.shift());
  if (!cells(items, name) && !cells(runs, name)) throw new Error(`there is no column ${name}`);
  return (table, row) => holds((cells(table, name) || [])[row], sign, wanted);
}

function cells(table, name) {
  if (name === "status") return table.status;
  if (name === "trial" || name === "trials") return table.names;
  return table.named(name)?.values;
}

function word(text) {
  const wanted = text.toLowerCase();
  const has = (value) => String(value).toLowerCase().includes(wanted);
  return (table, row) =>
    has(table.status[row]) ||
    table.names[row] === text ||
    table.columns.some((one) => !isNumber(one.values[row]) && has(one.values[row] ?? ""));
}

function holds(value, sign, wanted) {
  if (value === null || value === undefined) return false;
  const number =
    isNumber(value) ||
    (value !== "" && !Number.isNaN(Number(value)) && !Number.isNaN(Number(wanted)));
  const [a, b] = number
    ? [Number(value), Number(wanted)]
    : [String(value).toLowerCase(), wanted.toLowerCase()];
  const does = {
    "=": a === b,
    "==": a === b,
    "!=": a !== b,
    "<": a < b,
    "<=": a <= b,
    ">": a > b,
    ">=": a >= b,
  };
  return sign === "~" ? String(value).toLowerCase().includes(wanted.toLowerCase()) : does[sign];
}

function taken(left, token) {
  return left.length > 0 && left[0].toLowerCase() === token && Boolean(left.shift());
}

const unquoted = (token) => token.replaceAll(/^"|"$/g, "");
