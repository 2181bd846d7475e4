SELECT *
FROM build
ORDER BY mart
