-- Gives each request an id: the backend and the plugins behind see it in the request, the client in the answer.
-- docs/request-id.md has the settings.
local settings = weir.config
local MAX_LENGTH = 128 -- characters of an id that a client gives

local known = { header = "string", accept = "boolean", answer = "boolean" }

local function fail(words)
    error("request_id: " .. words, 0)
end

for name, value in pairs(settings) do
    if not known[name] then fail("there is no setting `" .. name .. "`; there are `accept`, `answer`, `header`") end
    if type(value) ~= known[name] then fail("`" .. name .. "` must be a " .. known[name] .. ", not a " .. type(value)) end
end

local header = settings.header or "X-Request-ID"
local answers = settings.answer ~= false

if not header:find("^[%w!#$%%&'*+.^_`|~-]+$") then fail("`header` must be the name of a header, not \"" .. header .. "\"") end

if header:lower() == "host" or header:lower() == "connection" then fail("`header` cannot be " .. header .. ", which Weir needs") end

-- Safe to write into logs and headers of whatever comes behind.
local function is_good(id)
    return id ~= nil and #id <= MAX_LENGTH and id:find("^[%w._~+/=:@-]+$") ~= nil
end

local function new_id()
    return weir.crypto.hex(assert(weir.crypto.random(16)))
end

local request_id = {}

function request_id.on_request(req)
    local given = settings.accept and req.headers[header]
    local id = given and is_good(given) and given or new_id()
    req:set_request_header(header, id)
    if answers then req:set_header(header, id) end
end

return request_id
