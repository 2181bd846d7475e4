# Published marts in R: `Rscript read.R FOLDER PYTHON` prints, as JSON, the rows of every statement of
# FOLDER/queries on FOLDER/marts.duckdb, by the DuckDB of that Python through reticulate, and those of
# each CSV file by R itself. Where CRAN can be reached, `install.packages("duckdb")` is shorter.
library(reticulate)
library(jsonlite)

arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[[1]]
use_python(arguments[[2]], required = TRUE)
named <- function(files) setNames(files, tools::file_path_sans_ext(basename(files)))

connection <- import("duckdb")$connect(file.path(folder, "marts.duckdb"), read_only = TRUE)
ask <- function(file) {
  found <- connection$execute(paste(readLines(file), collapse = "\n"))
  names <- vapply(found$description, function(column) column[[1]], "")
  rows <- found$fetchall()
  column <- function(n) sapply(rows, function(row) if (is.null(row[[n]])) NA else row[[n]])
  as.data.frame(setNames(lapply(seq_along(names), column), names), check.names = FALSE)
}
duckdb <- lapply(named(list.files(file.path(folder, "queries"), full.names = TRUE)), ask)

files <- named(list.files(folder, pattern = "[.]csv$", full.names = TRUE))
# As text: R would take the id 0007 for the number 7.
csv <- lapply(files, read.csv, colClasses = "character", na.strings = "", check.names = FALSE)

cat(toJSON(list(duckdb = duckdb, csv = csv), digits = NA, na = "null", dataframe = "rows"))
