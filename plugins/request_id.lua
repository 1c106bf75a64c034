-- Gives each request an id: the backend and the plugins behind see it in the request, the client in the answer.
-- docs/request-id.md has the settings.
local settings = require("lib.settings")

local config = settings.read(weir.config, {
    header = {type = "name", default = "X-Request-ID"},
    accept = {type = "boolean", default = false},
    answer = {type = "boolean", default = true},
})

-- Safe to write into logs and headers of whatever comes behind.
local function is_good(id)
    return #id <= 128 and id:find("^[%w._~+/=:@-]+$") ~= nil
end

local function new_id()
    return weir.crypto.hex(assert(weir.crypto.random(16)))
end

local request_id = {}

function request_id.on_request(req)
    local given = config.accept and req.headers[config.header]
    local id = given and is_good(given) and given or new_id()
    req:set_request_header(config.header, id)
    if config.answer then req:set_header(config.header, id) end
end

return request_id
