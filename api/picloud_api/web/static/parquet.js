// Shows the first rows of a Parquet file, of which the browser reads only what these take.
import { parquetMetadataAsync } from "./hyparquet-1.33.0/metadata.js";
import { parquetReadObjects } from "./hyparquet-1.33.0/read.js";
import { asyncBufferFromUrl } from "./hyparquet-1.33.0/utils.js";

const ROWS = 50;
const COLUMNS = 40;
const MOST_BYTES = 64e6;
const CHARACTERS = 300;

function plain(key, value) {
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
}

function shown(value) {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value !== "object") return String(value).slice(0, CHARACTERS);
  return JSON.stringify(value, plain).slice(0, CHARACTERS);
}

function row(parent, name, texts) {
  const line = parent.insertRow();
  for (const text of texts) {
    const cell = document.createElement(name);
    cell.textContent = text;
    line.append(cell);
  }
}

function note(text) {
  const line = document.createElement("p");
  line.textContent = text;
  return line;
}

async function read(element) {
  const byteLength = Number(element.dataset.size);
  const file = await asyncBufferFromUrl({ url: element.dataset.parquet, byteLength });
  const metadata = await parquetMetadataAsync(file);
  const group = metadata.row_groups[0];
  const names = metadata.schema.slice(1).map((each) => each.name);
  const total = `${Number(metadata.num_rows).toLocaleString("en")} rows`;
  const bytes = group ? Number(group.total_byte_size) : 0;
  if (bytes > MOST_BYTES) return [note(`${total}. The first ones are too large to read here.`)];
  const columns = metadata.schema.some((each) => each.num_children > 0 && each !== metadata.schema[0])
    ? undefined
    : names.slice(0, COLUMNS);
  const rows = await parquetReadObjects({ file, metadata, columns, rowStart: 0, rowEnd: ROWS });
  const heads = (columns ?? Object.keys(rows[0] ?? {})).slice(0, COLUMNS);
  const table = document.createElement("table");
  row(table.createTHead(), "th", heads);
  const body = table.createTBody();
  for (const each of rows) row(body, "td", heads.map((name) => shown(each[name])));
  return [table, note(`${total}, of which the first ${rows.length} are shown.`)];
}

for (const element of document.querySelectorAll("[data-parquet]")) {
  read(element).then(
    (parts) => element.replaceChildren(...parts),
    (error) => element.replaceChildren(note(`It cannot be shown here: ${error.message}`)),
  );
}
