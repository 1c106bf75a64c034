-- Cross-origin requests (the fetch standard): answers preflights, and says in every other answer which pages may read it.
-- docs/cors.md has the settings.
local settings = require("lib.settings")

local config = settings.read(weir.config, {
    origins = {type = "strings", required = true},
    methods = {type = "strings", default = {"GET", "HEAD", "POST"}},
    headers = {type = "strings", default = {}},
    expose = {type = "strings", default = {}},
    credentials = {type = "boolean", default = false},
    max_age = {type = "integer", min = 0, max = 86400, unit = "seconds"},
})

local function fail(words)
    error("config." .. words, 0)
end

-- Each item of a list has to fit a pattern.
local function check_list(name, pattern, what)
    for i, item in ipairs(config[name]) do
        if not item:find(pattern) then fail(string.format("%s[%d] must be %s, not %q", name, i - 1, what, item)) end
    end
    return config[name]
end

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"
local origins = config.origins
local methods = check_list("methods", TOKEN, "a method")
local headers = check_list("headers", TOKEN, "a header's name")
local expose = check_list("expose", TOKEN, "a header's name")

if #origins == 0 then fail("origins must name the pages that are let in, or be [\"*\"]") end

local any = false
local exact = {} -- origins as they are compared
local below = {} -- { scheme =, domain = } of https://*.example.com

for i, origin in ipairs(origins) do
    local scheme, host = origin:lower():match("^(%a[%w+.-]*://)([^/%s%c,]+)$")
    if origin == "*" then
        any = true
    elseif origin == "null" then
        exact[origin] = true
    elseif not scheme or host:find("*", 2, true) or (host:find("^%*") and not host:find("^%*%.[^*]")) then
        fail(string.format("origins[%d] must be as https://example.com, https://*.example.com, null or *, not %q", i - 1, origin))
    elseif host:sub(1, 2) == "*." then
        below[#below + 1] = { scheme = scheme, domain = host:sub(2) }
    else
        exact[scheme .. host] = true
    end
end

if any and #origins > 1 then fail("origins has * beside others, which it makes needless") end
if any and config.credentials then
    fail("credentials with origins: [\"*\"] would let every page act for its visitor; name the pages")
end
for name, list in pairs({ methods = methods, headers = headers, expose = expose }) do
    for _, item in ipairs(list) do
        if item == "*" and config.credentials then fail(name .. " cannot have * with credentials: browsers take it as a name") end
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
    if config.credentials then req:set_header("Access-Control-Allow-Credentials", "true") end
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
        ["access-control-max-age"] = config.max_age,
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
