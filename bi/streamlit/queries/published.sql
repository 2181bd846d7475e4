SELECT *  -- noqa: AM04
FROM build
ORDER BY mart
