// Published marts in Node.js: `node read.mjs FOLDER` prints, as JSON, the rows of every statement of
// FOLDER/queries on FOLDER/marts.duckdb, and those of each Parquet file by a reader of its own.
import { readFileSync, readdirSync } from "node:fs";
import { join, parse } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";

const folder = process.argv[2];
const plain = (_, value) => (typeof value === "bigint" ? Number(value) : value);
Date.prototype.toJSON = function () {
  return this.toISOString().slice(0, 10); // marts have days alone
};

const marts = await DuckDBInstance.create(join(folder, "marts.duckdb"), { access_mode: "READ_ONLY" });
const connection = await marts.connect();
const duckdb = {};
for (const file of readdirSync(join(folder, "queries"))) {
  const statement = readFileSync(join(folder, "queries", file), "utf8");
  const reader = await connection.runAndReadAll(statement);
  duckdb[parse(file).name] = reader.getRowObjectsJS();
}

const parquet = {};
for (const file of readdirSync(folder).filter((name) => name.endsWith(".parquet"))) {
  const buffer = await asyncBufferFromFile(join(folder, file));
  parquet[parse(file).name] = await parquetReadObjects({ file: buffer, compressors });
}
console.log(JSON.stringify({ duckdb, parquet }, plain));
