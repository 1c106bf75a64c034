-- Sends every message back as it came. The simplest handler there is; docs/lua-api.md has the rest.
local echo = {}

function echo.on_message(conn, data, kind)
    conn:send(data, kind)
end

return echo
