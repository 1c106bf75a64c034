-- Cross-origin requests (the fetch standard): answers preflights, and says in every other answer which pages may read it.
-- docs/cors.md has the settings.
local settings = weir.config

local function fail(words)
    error("cors: " .. words, 0)
end

local known = {
    origins = "table", methods = "table", headers = "table", expose = "table",
    credentials = "boolean", max_age = "number",
}

for name, value in pairs(settings) do
    local kind = known[name]
    if not kind then
        fail("there is no setting `" .. name .. "`; there are `origins`, `methods`, `headers`, `expose`, `credentials`, `max_age`")
    end
    if type(value) ~= kind then
        fail("`" .. name .. "` must be a " .. (kind == "table" and "list" or kind) .. ", not a " .. type(value))
    end
end

-- A list of words, each fitting `pattern`.
local function read_list(name, otherwise, pattern, what)
    local list = settings[name] or otherwise
    if next(list) ~= nil and #list == 0 then fail("`" .. name .. "` must be a list") end
    for _, item in ipairs(list) do
        if type(item) ~= "string" or not item:find(pattern) then
            fail("`" .. name .. "` has \"" .. tostring(item) .. "\", which is no " .. what)
        end
    end
    return list
end

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"
local origins = read_list("origins", {}, "^[^%s%c,]+$", "origin")
local methods = read_list("methods", { "GET", "HEAD", "POST" }, TOKEN, "method")
local headers = read_list("headers", {}, TOKEN, "header")
local expose = read_list("expose", {}, TOKEN, "header")
local max_age = math.tointeger(settings.max_age or 0)

if #origins == 0 then fail("`origins` must name the pages that are let in, or [\"*\"]") end
if not max_age or max_age < 0 then fail("`max_age` must be a whole number of seconds") end

local any = false
local exact = {} -- origins as they are compared
local below = {} -- { scheme =, domain = } of https://*.example.com

for _, origin in ipairs(origins) do
    local scheme, host = origin:lower():match("^([%a][%w+.-]*://)([^/]+)$")
    if origin == "*" then
        any = true
    elseif origin == "null" then
        exact[origin] = true
    elseif not scheme or host:find("*", 2, true) or (host:find("^%*") and not host:find("^%*%.[^*]")) then
        fail("`origins` has \"" .. origin .. "\"; write https://example.com, https://*.example.com, null or *")
    elseif host:sub(1, 2) == "*." then
        below[#below + 1] = { scheme = scheme, domain = host:sub(2) }
    else
        exact[scheme .. host] = true
    end
end

if any and #origins > 1 then fail("`origins` has * beside others, which it makes needless") end
if any and settings.credentials then
    fail("`credentials` with `origins: [\"*\"]` would let every page act for its visitor; name the pages")
end
for name, list in pairs({ methods = methods, headers = headers, expose = expose }) do
    for _, item in ipairs(list) do
        if item == "*" and settings.credentials then fail("`" .. name .. "` cannot have * with `credentials`: browsers take it as a name") end
    end
end

local function is_allowed(origin)
    if any or exact[origin] then return true end
    for _, rule in ipairs(below) do
        local starts = origin:sub(1, #rule.scheme) == rule.scheme
        if starts and #origin > #rule.scheme + #rule.domain and origin:sub(-#rule.domain) == rule.domain then return true end
    end
    return false
end

-- Lists for headers; nil where they are empty, which leaves the header out.
local function join(list)
    return #list > 0 and table.concat(list, ", ") or nil
end

local allow_methods = join(methods)
local allow_headers = join(headers)
local expose_headers = join(expose)

-- The headers that say who may read, in the place of any that a backend gives.
local function mark(req, origin)
    if not any then req:add_header("Vary", "Origin") end
    req:remove_header("Access-Control-Allow-Origin")
    req:remove_header("Access-Control-Allow-Credentials")
    req:remove_header("Access-Control-Expose-Headers")
    if not origin or not is_allowed(origin) then return end
    req:set_header("Access-Control-Allow-Origin", any and "*" or origin)
    if settings.credentials then req:set_header("Access-Control-Allow-Credentials", "true") end
    if expose_headers then req:set_header("Access-Control-Expose-Headers", expose_headers) end
end

local function answer_preflight(req, origin)
    req:remove_header("Access-Control-Expose-Headers")
    if not is_allowed(origin) then
        return req:reply(403, { ["content-type"] = "text/plain; charset=utf-8" }, "this Origin is not allowed\n")
    end
    return req:reply(204, {
        ["access-control-allow-methods"] = allow_methods,
        ["access-control-allow-headers"] = allow_headers,
        ["access-control-max-age"] = settings.max_age and max_age,
    })
end

local cors = {}

function cors.on_request(req)
    if req.is_websocket then return end -- not bound by CORS; the route's allowed_origins is for these
    local origin = req.headers["origin"]
    mark(req, origin)
    if origin and req.method == "OPTIONS" and req.headers["access-control-request-method"] then
        return answer_preflight(req, origin)
    end
end

return cors
