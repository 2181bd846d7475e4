// The site reads its Parquet files with DuckDB in the browser. From version 1.29 that fetches its
// Parquet reader from a host of DuckDB's, while the site is built and again in every reader's
// browser; package.json therefore holds it at 1.28, the last with the reader built in. It knows two
// settings not yet, whose values are how it behaves anyway; they are taken out here.
import { readFileSync, writeFileSync } from "node:fs";

const CLIENTS = "node_modules/@evidence-dev/universal-sql/src/client-duckdb";
const UNKNOWN = /^.*SET (ieee_floating_point_ops = false|old_implicit_casting = true);.*\n/gm;

for (const client of ["node.js", "browser.js"]) {
  const path = `${CLIENTS}/${client}`;
  writeFileSync(path, readFileSync(path, "utf8").replace(UNKNOWN, ""));
}
