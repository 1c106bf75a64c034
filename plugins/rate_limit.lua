-- Bounds what clients may do: sessions that one address has open, and messages and bytes a second, of each session and
-- of each key (an address, or what a header, a parameter or a cookie says). Limits hold over all workers: they are
-- counted in a dictionary of `shared`. docs/rate-limit.md has the settings.
local settings = weir.config

local KEY_MOST = 512 -- bytes; longer keys are cut

-- A mistake in the settings is a configuration error: what is thrown here stops the start.
local function check(condition, words)
    if not condition then
        error("rate_limit: " .. words, 0)
    end
end

local function check_names(table, known, where)
    check(type(table) == "table", where .. "must be a mapping")
    for name in pairs(table) do
        check(known[name], where .. "unknown setting " .. tostring(name))
    end
end

local function number(table, name, default, least)
    local value = table[name]
    if value == nil then
        return default
    end
    check(type(value) == "number" and value >= least, name .. " must be a number, at least " .. least)
    return value
end

-- Rates of one `session` or `per_key`: what a bucket gets a second, and how much it holds.
local function rates(name)
    local given = settings[name]
    if given == nil then
        return {}
    end
    check_names(given, {messages = true, message_burst = true, bytes = true, byte_burst = true}, name .. ": ")
    local found = {}
    for kind, burst in pairs({messages = "message_burst", bytes = "byte_burst"}) do
        local rate = number(given, kind, nil, 0.001)
        check(rate or not given[burst], name .. ": " .. burst .. " needs " .. kind)
        if rate then
            found[kind] = {rate = rate, burst = number(given, burst, math.max(rate, 1), 1)}
        end
    end
    return found
end

check_names(settings, {
    dictionary = true, connections = true, key = true, session = true, per_key = true,
    action = true, max_delay = true, close_code = true, close_reason = true,
}, "")

local dictionary = settings.dictionary or "rate_limit"
local counts = weir.shared[dictionary]
check(counts, "there is no dictionary `" .. dictionary .. "`; add `shared: {" .. dictionary .. ": {size: 10MiB}}`")

local max_connections = number(settings, "connections", nil, 1)
local session_rates = rates("session")
local key_rates = rates("per_key")
local action = settings.action or "delay"
check(({delay = true, drop = true, close = true})[action], "action must be delay, drop or close")
local max_delay = number(settings, "max_delay", 10, 0)
local close_code = number(settings, "close_code", 1008, 1000)
local close_reason = settings.close_reason or "rate limit"

local key_kind, key_name = "address", nil
if type(settings.key) == "table" then
    key_kind, key_name = next(settings.key)
    check(({header = true, query = true, cookie = true})[key_kind] and type(key_name) == "string"
        and next(settings.key, key_kind) == nil, "key must be address, {header: NAME}, {query: NAME} or {cookie: NAME}")
elseif settings.key ~= nil then
    check(settings.key == "address", "key must be address, {header: NAME}, {query: NAME} or {cookie: NAME}")
end

local limited = weir.metrics.counter("rate_limit_total", "What rate_limit has refused, delayed, dropped or closed.",
    {"limit", "action"})

-- Whoever has an IPv6 address mostly has 2^64 of them: the network counts as one address.
local function address_of(remote)
    if not remote:find(":", 1, true) then
        return remote
    end
    local before, after = remote:match("^(.-)::(.*)$")
    local groups = {}
    for group in (before or remote):gmatch("[^:]+") do
        groups[#groups + 1] = group
    end
    if before then
        local _, count = after:gsub("[^:]+", "")
        for _ = #groups + count + 1, 8 do
            groups[#groups + 1] = "0"
        end
        for group in after:gmatch("[^:]+") do
            groups[#groups + 1] = group
        end
    end
    return table.concat(groups, ":", 1, 4) .. "::/64"
end

local function cookie(request, name)
    for pair in (request.headers["cookie"] or ""):gmatch("[^;]+") do
        local found, value = pair:match("^%s*([^=]+)=(.*)$")
        if found == name then
            return value
        end
    end
end

-- Who does not say its key counts by its address.
local function key_of(request)
    local value
    if key_kind == "header" then
        value = request.headers[key_name]
    elseif key_kind == "query" then
        value = request.query[key_name]
    elseif key_kind == "cookie" then
        value = cookie(request, key_name)
    end
    if value == nil or value == "" then
        return "a:" .. address_of(request.remote)
    end
    return "k:" .. value:sub(1, KEY_MOST)
end

-- Connections: whose request has been counted, by its id, until its request or session ends.
local held = {}

local function hold(request)
    local name = "c:" .. address_of(request.remote)
    local open = counts:incr(name, 1, 0)
    if open and open > max_connections then
        counts:incr(name, -1)
        return false
    end
    held[request.id] = name
    return true
end

local function release(id)
    local name = held[id]
    held[id] = nil
    local open = name and counts:incr(name, -1)
    if open and open < 0 then
        counts:incr(name, 1) -- its count had been forgotten meanwhile: the dictionary is too small
    end
end

-- Waits until the bucket has enough, for as long as that may take. True: it had.
local function wait_for(conn, bucket, count)
    local waited = 0
    local took, wait = counts:take(bucket.name, bucket.rate, bucket.burst, count)
    while not took and waited + wait <= max_delay do
        if waited == 0 then
            limited:add(1, {bucket.limit, "delay"})
        end
        weir.sleep(wait)
        waited = waited + wait
        if conn.close_code then
            return false
        end
        took, wait = counts:take(bucket.name, bucket.rate, bucket.burst, count)
    end
    return took
end

local function shut(conn, limit)
    limited:add(1, {limit, "close"})
    conn:close(close_code, close_reason)
    return false
end

-- Whether the message may pass this bucket.
local function passes(conn, bucket, count)
    count = math.min(count, bucket.burst) -- a larger message takes all that there can be
    if action == "delay" then
        return wait_for(conn, bucket, count) or (not conn.close_code and shut(conn, bucket.limit))
    end
    if counts:take(bucket.name, bucket.rate, bucket.burst, count) then
        return true
    end
    if action == "close" then
        return shut(conn, bucket.limit)
    end
    limited:add(1, {bucket.limit, "drop"})
    return false
end

local function add_buckets(buckets, given, prefix)
    for _, kind in ipairs({"messages", "bytes"}) do
        local rate = given[kind]
        if rate then
            buckets[#buckets + 1] = {
                name = prefix .. kind, limit = kind, rate = rate.rate, burst = rate.burst,
            }
        end
    end
end

local rate_limit = {}

if max_connections then
    function rate_limit.on_request(req)
        if req.is_websocket and not hold(req) then
            limited:add(1, {"connections", "refuse"})
            return req:reply(429, {["content-type"] = "text/plain", ["retry-after"] = "10"}, "too many connections\n")
        end
    end

    function rate_limit.on_done(req)
        release(req.id)
    end

    function rate_limit.on_close(conn)
        release(conn.id)
    end
end

if next(session_rates) or next(key_rates) then
    function rate_limit.on_open(conn)
        local buckets = {}
        add_buckets(buckets, session_rates, "s:" .. conn.id .. ":")
        add_buckets(buckets, key_rates, key_of(conn.request) .. ":")
        conn.data.buckets = buckets
    end

    function rate_limit.on_message(conn, data)
        for _, bucket in ipairs(conn.data.buckets) do
            if not passes(conn, bucket, bucket.limit == "messages" and 1 or #data) then
                return false
            end
        end
    end
end

return rate_limit
